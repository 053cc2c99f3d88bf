package siphash_test

import (
	"testing"

	"sekisho/internal/siphash"
)

// TestVectors uses the vectors of the reference implementation: key 00..0f,
// input 00..(n-1).
func TestVectors(t *testing.T) {
	var key siphash.Key
	input := make([]byte, 15)
	for i := range key {
		key[i] = byte(i)
	}
	for i := range input {
		input[i] = byte(i)
	}
	for n, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5} {
		if got := key.Sum(string(input[:n])); got != want {
			t.Errorf("%d bytes: got %x, want %x", n, got, want)
		}
	}
}
