package version

// comparePub is pub's order: Semantic Versioning, then build metadata, where
// any comes after none.
func comparePub(a, b string) (int, bool) {
	x, ok := cutTriple(a)
	if !ok {
		return 0, false
	}
	y, ok := cutTriple(b)
	if !ok {
		return 0, false
	}
	if c := compareTriple(&x, &y); c != 0 {
		return c, true
	}
	if x.build == "" || y.build == "" {
		return order(min(1, len(x.build)), min(1, len(y.build))), true
	}
	return compareIdentifiers(x.build, y.build), true
}
