package source

// maxBroken is how many broken parts a document of many may have.
const maxBroken = 100

// Few counts a broken part among what is skipped: one of many must not hide the
// others. It returns the error when there are more than a few.
func Few(skipped map[string]int, err error) error {
	if err == nil {
		return nil
	}
	if skipped["broken"]++; skipped["broken"] > maxBroken {
		return err
	}
	return nil
}

// Result is what became of one part.
type Result[T any] struct {
	Value T
	Err   error
}

// Kept returns a function that keeps f's error with its value, for Ordered.
func Kept[I, O any](f func(I) (O, error)) func(I) (Result[O], error) {
	return func(in I) (Result[O], error) {
		out, err := f(in)
		return Result[O]{out, err}, nil
	}
}
