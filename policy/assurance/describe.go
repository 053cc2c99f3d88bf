package assurance

import (
	"sekisho"
	"sekisho/i18n"
)

// Describe puts the reasons into the printer's language.
func Describe(d *sekisho.Decision, p *i18n.Printer) {
	for i := range d.Reasons {
		r := &d.Reasons[i]
		if r.Key != "" {
			r.Message = p.Fill(r.Key, r.Params)
		}
		if r.FixKey != "" && (r.FixKey != "policy.fix.finding" || r.Params["fix"] != "") {
			r.Fix = p.Fill(r.FixKey, r.Params)
		}
	}
}
