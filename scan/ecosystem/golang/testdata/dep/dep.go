// Package dep is a dependency.
package dep

// Hello is a text.
const Hello = "hello"
