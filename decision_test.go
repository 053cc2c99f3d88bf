package sekisho_test

import (
	"testing"

	"sekisho"
)

// TestDenial: who reads why something was stopped is told what stopped it, not
// what another policy only warns of.
func TestDenial(t *testing.T) {
	d := &sekisho.Decision{Policy: "a, b, c", Policies: []sekisho.PolicyResult{{Name: "a", Result: sekisho.Deny}, {Name: "b", Result: sekisho.Warn}, {Name: "c", Result: sekisho.Allow}},
		Reasons: []sekisho.Reason{{Policy: "b", Control: "x"}, {Policy: "a", Control: "y"}, {Policy: "a", Control: "z", Effect: sekisho.Note}}}
	if policies, reasons := d.Denial(); len(policies) != 1 || policies[0] != "a" || len(reasons) != 1 || reasons[0].Control != "y" {
		t.Errorf("%v %+v", policies, reasons)
	}
	d = &sekisho.Decision{Policy: "--fail-on high", Reasons: []sekisho.Reason{{Control: "severity"}}}
	if policies, reasons := d.Denial(); len(policies) != 1 || policies[0] != d.Policy || len(reasons) != 1 {
		t.Errorf("without policies: %v %+v", policies, reasons)
	}
}
