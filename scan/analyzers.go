package scan

import (
	"sekisho/scan/analyze"
	"sekisho/scan/ecosystem/apk"
	"sekisho/scan/ecosystem/binary"
	"sekisho/scan/ecosystem/dpkg"
	"sekisho/scan/ecosystem/golang"
	"sekisho/scan/ecosystem/java"
	"sekisho/scan/ecosystem/longtail"
	"sekisho/scan/ecosystem/npm"
	"sekisho/scan/ecosystem/osrelease"
	"sekisho/scan/ecosystem/pacman"
	"sekisho/scan/ecosystem/python"
	"sekisho/scan/ecosystem/repository"
	"sekisho/scan/ecosystem/rpm"
	"sekisho/scan/ecosystem/ruby"
	"sekisho/scan/ecosystem/rust"
	"sekisho/scan/misconfig"
	"sekisho/scan/misconfig/dockerfile"
)

// Analyzers returns all who look into files: those who read packages and
// configuration, and those given. A new ecosystem is a line here.
func Analyzers(more ...analyze.Analyzer) []analyze.Analyzer {
	return append([]analyze.Analyzer{
		osrelease.New(),
		dpkg.New(),
		apk.New(),
		rpm.New(),
		repository.New(),
		pacman.New(),
		npm.New(),
		python.New(),
		ruby.New(),
		golang.New(),
		java.New(),
		rust.New(),
		longtail.New(),
		binary.New(),
		misconfig.Files{},
		dockerfile.New(),
	}, more...)
}
