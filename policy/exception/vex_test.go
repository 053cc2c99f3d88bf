package exception_test

import (
	"strings"
	"testing"

	"sekisho/policy/exception"
)

// TestVEX refuses judgements that OpenVEX would refuse.
func TestVEX(t *testing.T) {
	for vex, want := range map[string]string{
		"{status: not_affected, justification: component_not_present}":           "",
		"{status: not_affected, impact: never called}":                           "",
		"{status: affected, action: update}":                                     "",
		"{status: fixed}":                                                        "",
		"{status: under_investigation}":                                          "",
		"{status: fine}":                                                         "vex.status",
		"{status: not_affected}":                                                 "wants a justification or an impact",
		"{status: not_affected, justification: trust me}":                        "vex.justification",
		"{status: affected}":                                                     "wants an action",
		"{status: fixed, justification: component_not_present}":                  "belongs to not_affected only",
		"{status: not_affected, justification: component_not_present, until: x}": "unknown field",
	} {
		text := "exceptions:\n- {id: CVE-2024-0001, reason: r, owner: o, until: 2030-01-01, vex: " + vex + "}\n"
		_, err := exception.Parse(strings.NewReader(text), "x.yaml")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", vex, err, want)
		}
	}
}
