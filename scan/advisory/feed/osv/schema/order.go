package schema

import "sekisho/scan/version"

// OrderOf returns how versions of an ecosystem compare, nil when that is not
// known.
func OrderOf(ecosystem string) Order {
	scheme, ok := version.Of(ecosystem)
	if !ok {
		return nil
	}
	return func(a, b string) (int, error) { return version.Compare(scheme, a, b) }
}
