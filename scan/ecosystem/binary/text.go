package binary

import (
	"bytes"
	"strings"

	"sekisho/scan/analyze"
)

// textOf returns how to read a text file that tells a version, or nil.
func textOf(path, base string) func([]byte, *analyze.Result) {
	switch base {
	case "release":
		return java
	case "VERSION":
		return golang
	case "OTP_VERSION":
		return erlang
	case "version.php":
		if strings.HasSuffix(path, "wp-includes/version.php") {
			return wordpress
		}
	}
	return nil
}

// java reads the file release of a Java run time: NAME="VALUE" lines.
func java(data []byte, out *analyze.Result) {
	values := map[string]string{}
	for line := range bytes.Lines(data) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		switch name {
		case "JAVA_VERSION", "IMPLEMENTOR", "BUILD_TYPE", "GRAALVM_VERSION":
			if value = strings.Trim(value, `"`); ok && len(value) < 128 {
				values[name] = value
			}
		}
	}
	version := values["JAVA_VERSION"]
	if version == "" || version[0] < '0' || version[0] > '9' {
		return
	}
	name := "openjdk"
	if values["BUILD_TYPE"] == "commercial" {
		name = "oracle-jdk"
	}
	report(name, version, values["IMPLEMENTOR"], out)
	if v := values["GRAALVM_VERSION"]; v != "" {
		report("graalvm", v, values["IMPLEMENTOR"], out)
	}
}

// golang reads the file VERSION of a Go distribution.
func golang(data []byte, out *analyze.Result) {
	line, _, _ := strings.Cut(string(data[:min(len(data), 256)]), "\n")
	if m := goRelease.FindStringSubmatch(line); m != nil {
		report("go", m[1], "", out)
	}
}

// erlang reads the file OTP_VERSION of a release.
func erlang(data []byte, out *analyze.Result) {
	if m := otpRelease.FindSubmatch(data[:min(len(data), 256)]); m != nil {
		report("erlang", string(m[1]), "", out)
	}
}

func wordpress(data []byte, out *analyze.Result) {
	if m := wordpressRelease.FindSubmatch(data); m != nil {
		report("wordpress", string(m[1]), "", out)
	}
}
