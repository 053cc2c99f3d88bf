//go:build !linux

// Package pin exists on Linux only.
package pin
