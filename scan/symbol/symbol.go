// Package symbol is the set of functions that a program contains, small
// enough to be kept with every program of every cached layer: about 3.2 bytes a
// function. Names go in through a Builder, and long after the program was
// read a Set answers whether it has a function or any function of a package.
// A function that is there is always found; one that is not is taken for
// found about once in a million questions. Sets that are read back are
// refused where their lengths do not add up.
package symbol

import (
	"bytes"
	"encoding/binary"
	"sort"
	"strings"

	"sekisho"
)

// The encoding: version, flags, the replaced modules, the number of entries,
// the logarithm of the number of buckets, all as uvarints; then how many
// entries each bucket has, as uvarints, then the entries' fingerprints of
// three bytes, sorted inside their buckets. Hashes choose the bucket by their
// upper bits and the fingerprint by those below.
const (
	version     = 1
	fingerprint = 3  // bytes
	perBucket   = 16 // entries at most, on average
	maxLog      = 24 // of the number of buckets
)

// maxEncoded bounds what Parse takes, in bytes.
const maxEncoded = 64 << 20

const incomplete = 1 // flag

// Set is the set. The zero Set belongs to a file of which no functions are
// known.
type Set struct{ raw []byte }

// Replaced is a module whose code was compiled under the path of another one
// (go.mod's replace): advisories name Path, functions bear As.
type Replaced struct{ Path, As string }

// Known reports whether the functions of the program could be read at all.
func (s Set) Known() bool { return len(s.raw) > 0 }

// Complete reports whether a function that the set does not have is really
// absent. Where it is not, the answer no means unknown.
func (s Set) Complete() bool { return s.Known() && s.decode().flags&incomplete == 0 }

// Count returns how many functions and packages the set has.
func (s Set) Count() int { return int(s.decode().count) }

// Bytes returns the set in the form that Parse reads.
func (s Set) Bytes() []byte { return s.raw }

// Equal reports whether the sets are the same.
func (s Set) Equal(o Set) bool { return bytes.Equal(s.raw, o.raw) }

// HasPackage reports whether the program contains a function of the package
// with that import path.
func (s Set) HasPackage(path string) bool { return s.ask(path, "") }

// Has reports whether the program contains a function: "Func" or
// "Type.Method", as the Go vulnerability database writes them.
func (s Set) Has(pkg, name string) bool {
	name, _, _ = strings.Cut(name, "#") // init#1
	return s.ask(pkg, strings.TrimPrefix(name, "*"))
}

func (s Set) ask(pkg, name string) bool {
	d := s.decode()
	if d.has(sum(pkg, name)) {
		return true
	}
	for _, r := range d.replaced {
		if rest, ok := strings.CutPrefix(pkg, r.Path); ok && (rest == "" || rest[0] == '/') && d.has(sum(r.As+rest, name)) {
			return true
		}
	}
	return false
}

// decoded are the parts of an encoded set.
type decoded struct {
	flags    uint64
	replaced []Replaced
	count    uint64
	log      uint64
	counts   []byte // behind them are the fingerprints
	bad      bool
}

func (s Set) decode() decoded {
	if len(s.raw) == 0 {
		return decoded{}
	}
	d := decoded{counts: s.raw}
	if d.number() != version {
		return decoded{bad: true}
	}
	d.flags = d.number()
	n := d.number()
	for i := uint64(0); i < n && !d.bad; i++ {
		d.replaced = append(d.replaced, Replaced{d.text(), d.text()})
	}
	d.count, d.log = d.number(), d.number()
	if d.bad || d.log > maxLog || d.count > maxEncoded {
		return decoded{bad: true}
	}
	return d
}

func (d *decoded) number() uint64 {
	n, used := binary.Uvarint(d.counts)
	if used <= 0 {
		d.bad, d.counts = true, nil
		return 0
	}
	d.counts = d.counts[used:]
	return n
}

func (d *decoded) text() string {
	n := d.number()
	if n > uint64(len(d.counts)) {
		d.bad, d.counts = true, nil
		return ""
	}
	s := string(d.counts[:n])
	d.counts = d.counts[n:]
	return s
}

// has looks a hash up. The counts before its bucket tell where the bucket is.
func (d decoded) has(h uint64) bool {
	if d.count == 0 || uint64(len(d.counts)) < d.count*fingerprint {
		return false
	}
	prints := d.counts[uint64(len(d.counts))-d.count*fingerprint:]
	bucket, want := split(h, d.log)
	counts, before, size := d.counts, uint64(0), uint64(0)
	for ; bucket >= 8 && len(counts) >= 8; bucket -= 8 { // eight counts at once, where each has one byte
		eight := binary.LittleEndian.Uint64(counts)
		if eight&0x8080808080808080 != 0 {
			break
		}
		pairs := eight&0x00ff00ff00ff00ff + eight>>8&0x00ff00ff00ff00ff
		before += pairs * 0x0001000100010001 >> 48
		counts = counts[8:]
	}
	for range bucket + 1 {
		before += size
		n, used := binary.Uvarint(counts)
		if used <= 0 {
			return false
		}
		counts, size = counts[used:], n
	}
	if size > d.count || before > d.count-size {
		return false
	}
	prints = prints[before*fingerprint:]
	i := sort.Search(int(size), func(i int) bool { return bytes.Compare(prints[i*fingerprint:(i+1)*fingerprint], want[:]) >= 0 })
	return i < int(size) && bytes.Equal(prints[i*fingerprint:(i+1)*fingerprint], want[:])
}

func split(h, log uint64) (bucket uint64, t [fingerprint]byte) {
	rest := h << log
	if log > 0 {
		bucket = h >> (64 - log)
	}
	return bucket, [fingerprint]byte{byte(rest >> 56), byte(rest >> 48), byte(rest >> 40)}
}

// sum hashes a function, or a package where name is empty.
func sum(pkg, name string) uint64 { return hashOf(pkg).with(name) }

// hash is FNV-1a of a package's path, of 64 bits.
type hash uint64

func hashOf(pkg string) hash {
	h := hash(14695981039346656037)
	for i := range len(pkg) {
		h = (h ^ hash(pkg[i])) * 1099511628211
	}
	return h * 1099511628211 // a zero byte
}

// with goes on with the name of a function and mixes the bits.
func (h hash) with(name string) uint64 {
	for i := range len(name) {
		h = (h ^ hash(name[i])) * 1099511628211
	}
	x := uint64(h)
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Parse reads what Bytes returned. The set keeps data.
func Parse(data []byte) (Set, error) {
	s := Set{data}
	if len(data) == 0 {
		return s, nil
	}
	d := s.decode()
	if d.bad || len(data) > maxEncoded {
		return Set{}, sekisho.Errorf(sekisho.Corrupt, "read set of functions: not in the form of version %d", version)
	}
	total := uint64(0)
	for range uint64(1) << d.log {
		total += d.number()
		if d.bad || total > d.count {
			return Set{}, sekisho.Errorf(sekisho.Corrupt, "read set of functions: counts do not add up")
		}
	}
	if total != d.count || uint64(len(d.counts)) != total*fingerprint {
		return Set{}, sekisho.Errorf(sekisho.Corrupt, "read set of functions: %d bytes for %d entries", len(d.counts), d.count)
	}
	return s, nil
}
