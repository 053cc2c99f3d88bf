package sensor

// names remembers which addresses were answers to which questions.
type names struct{}

func newNames() *names { return &names{} }
