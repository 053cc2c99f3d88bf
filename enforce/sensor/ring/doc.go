// Package ring reads a ring buffer of the kernel's programs: in place, without
// a copy and without a system call for a record. It learns of new records when
// it is told to look, and gives their place back when it is told to release.
package ring
