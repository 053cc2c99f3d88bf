// Package attacks holds the truth about the enforcer: real attacks in real
// containers under the built binary, each of which must be told and, where it
// can be, stopped; ordinary life of services, which must raise nothing; and the
// public rules of Falco over the actions of its event generator.
package attacks
