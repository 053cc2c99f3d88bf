package licence_test

import (
	"strings"
	"testing"

	"sekisho/scan/licence"
)

func TestSPDX(t *testing.T) {
	for in, want := range map[string]string{
		"MIT":                                   "MIT",
		"GPL-2+":                                "GPL-2.0-or-later",
		"GPLv2+ and BSD":                        "GPL-2.0-or-later AND BSD-3-Clause",
		"Apache License, Version 2.0":           "Apache-2.0",
		"(MIT OR Apache-2.0)":                   "(MIT OR Apache-2.0)",
		"MIT AND (BSD-2-Clause OR ISC)":         "MIT AND (BSD-2-Clause OR ISC)",
		"GPLv3+ and GPLv2 or MIT":               "(GPL-3.0-or-later AND GPL-2.0-only) OR MIT",
		"GPL-2.0-only WITH Classpath-exception": "GPL-2.0-only WITH Classpath-exception-2.0",
		"GPL-2+ with OpenSSL exception":         "LicenseRef-GPL-2-with-OpenSSL-exception",
		"Expat":                                 "MIT",
		"public domain":                         "LicenseRef-Public-Domain",
		"Very Own Licence":                      "LicenseRef-Very-Own-Licence",
		"ISC, MIT":                              "ISC AND MIT",
		"LGPLv2+":                               "LGPL-2.0-or-later",
		"":                                      "",
		"http://www.apache.org/licenses/LICENSE-2.0": "Apache-2.0",
	} {
		if got := licence.SPDX(in); got != want {
			t.Errorf("SPDX(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDetect(t *testing.T) {
	mit := "Permission is hereby granted, free of charge, to any person obtaining a copy\nof this software … THE SOFTWARE IS PROVIDED \"AS IS\""
	for in, want := range map[string]string{mit: "MIT", "Apache License\n   Version 2.0, January 2004": "Apache-2.0", "all rights reserved": ""} {
		if got := licence.Detect([]byte(in)); got != want {
			t.Errorf("Detect(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSPDX(f *testing.F) {
	f.Add("MIT and (GPL or (x with y))")
	f.Add("((((((((")
	f.Fuzz(func(t *testing.T, text string) {
		out := licence.SPDX(text)
		if strings.Count(out, "(") != strings.Count(out, ")") || strings.ContainsAny(out, "\n\x00,|") {
			t.Errorf("SPDX(%q) = %q is no expression", text, out)
		}
		licence.Detect([]byte(text))
	})
}
