package symbol

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Bounds of one program. The largest Go programs have some 400,000 functions.
const (
	maxEntries  = 2 << 20
	maxPackages = 64 << 10 // whose hashes are remembered
	maxPending  = 64 << 10 // functions of package main
	maxText     = 16 << 20 // bytes of the names of both
	maxReplaced = 1 << 10
)

// Builder collects the functions of a program. Its zero value is ready.
type Builder struct {
	hashes   []uint64
	sorted   int // so many at the front are sorted and differ
	packages map[string]hash
	last     string // package, and its hash
	lastHash hash
	main     []string
	text     int // bytes of names that are held
	replaced []Replaced
	partial  bool
	any      bool
}

// Add notes a function of a package, "Func" or "Type.Method".
func (b *Builder) Add(pkg, name []byte) {
	b.any = true
	if string(pkg) == "main" {
		if len(b.main) >= maxPending || b.text >= maxText {
			b.partial = true
			return
		}
		b.main, b.text = append(b.main, string(name)), b.text+len(name)
		return
	}
	b.note(b.hash(pkg).with(string(name)))
}

// hash returns the hash of a package, and notes a package that is new.
func (b *Builder) hash(pkg []byte) hash {
	if b.last != "" && string(pkg) == b.last {
		return b.lastHash
	}
	h, ok := b.packages[string(pkg)]
	if !ok {
		if b.packages == nil {
			b.packages = map[string]hash{}
		}
		h = hashOf(string(pkg))
		b.note(h.with(""))
		if len(b.packages) >= maxPackages || b.text >= maxText {
			return h
		}
		b.packages[string(pkg)], b.text = h, b.text+len(pkg)
	}
	b.last, b.lastHash = string(pkg), h
	return h
}

// note adds a hash. Those that are there twice go away before the list grows.
func (b *Builder) note(h uint64) {
	if n := len(b.hashes); n > 2*b.sorted && (n == cap(b.hashes) || n >= maxEntries) {
		b.compact()
	}
	if len(b.hashes) >= maxEntries {
		b.partial = true
		return
	}
	b.hashes = append(b.hashes, h)
}

func (b *Builder) compact() {
	slices.Sort(b.hashes)
	b.hashes = slices.Compact(b.hashes)
	b.sorted = len(b.hashes)
}

// Partial says that some functions could not be noted.
func (b *Builder) Partial() { b.partial = true }

// Replace says that the module path was compiled under the path as.
func (b *Builder) Replace(path, as string) {
	if path == as {
		return
	}
	if len(b.replaced) >= maxReplaced || len(path)+len(as) > 4096 {
		b.partial = true
		return
	}
	b.replaced = append(b.replaced, Replaced{path, as})
}

// Set returns the set. The functions of package main count for the package
// with the path main, where it is not empty.
func (b *Builder) Set(main string) Set {
	if !b.any {
		return Set{}
	}
	if main == "" {
		main = "main"
	}
	if len(b.main) > 0 {
		h := b.hash([]byte(main))
		for _, name := range b.main {
			b.note(h.with(name))
		}
	}
	b.compact()
	return Set{b.encode()}
}

func (b *Builder) encode() []byte {
	n := len(b.hashes)
	log := uint64(bits.Len64(uint64(max(n-1, 0) / perBucket)))
	flags := uint64(0)
	if b.partial {
		flags = incomplete
	}
	out := make([]byte, 0, n*fingerprint+(1<<log)+64)
	out = binary.AppendUvarint(append(out, version), flags)
	out = binary.AppendUvarint(out, uint64(len(b.replaced)))
	for _, r := range b.replaced {
		for _, s := range []string{r.Path, r.As} {
			out = append(binary.AppendUvarint(out, uint64(len(s))), s...)
		}
	}
	out = binary.AppendUvarint(out, uint64(n))
	out = binary.AppendUvarint(out, log)
	at := 0
	for bucket := range uint64(1) << log {
		from := at
		for at < n && b.hashes[at]>>1>>(63-log) == bucket {
			at++
		}
		out = binary.AppendUvarint(out, uint64(at-from))
	}
	for _, h := range b.hashes {
		_, t := split(h, log)
		out = append(out, t[:]...)
	}
	return out
}
