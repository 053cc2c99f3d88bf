package schema

// OrderOf returns how versions of an ecosystem compare, nil when that is not
// known.
func OrderOf(ecosystem string) Order { return nil } // TODO(#4): scan/version
