package assurance

import (
	"fmt"
	"strconv"
	"time"

	"sekisho/policy/fact"
)

// approvalControl: somebody other than the author approved the image.
type approvalControl struct {
	MaxDays int    `yaml:"max_days"`
	Running string `yaml:"running"` // keep or stop: what an approval that ended means for what runs already
}

func (c *approvalControl) ready() error {
	if c.Running != "" && c.Running != "keep" && c.Running != "stop" {
		return fmt.Errorf("running: %q is none of keep, stop", c.Running)
	}
	return between("max_days", c.MaxDays, 0, 3650)
}

func (c *approvalControl) judge(x *Index, r *request, j *judgement) {
	if x.image.Approvals == nil {
		j.missing("approvals")
		return
	}
	j.looked = len(x.image.Approvals)
	if j.looked == 0 {
		j.fail("none")
		return
	}
	before := len(j.details)
	for i := range x.image.Approvals {
		if c.holds(&x.image.Approvals[i], r, j) {
			j.details = j.details[:before] // one that holds is enough
			return
		}
	}
}

// holds reports whether an approval counts, and tells why not. One that has
// ended stops what is new; what was let in under it keeps restarting and
// scaling, unless the policy says otherwise.
func (c *approvalControl) holds(a *fact.Approval, r *request, j *judgement) bool {
	who := []string{"approver", a.Approver}
	ended := a.Lapsed != "" || !a.Until.IsZero() && !r.Now.Before(a.Until) || c.MaxDays > 0 && r.Now.Sub(a.Time) > time.Duration(c.MaxDays)*24*time.Hour
	keep := ended && r.Again && c.Running != "stop"
	before := len(j.details)
	switch {
	case a.Approver == "" || a.Approver == a.Author:
		j.fail("own", append(who, "author", a.Author)...)
	case keep: // it was let in while the approval held
	case a.Lapsed != "":
		j.fail("lapsed", append(who, "why", a.Lapsed)...)
	case !a.Until.IsZero() && !r.Now.Before(a.Until):
		j.fail("expired", append(who, "date", a.Until.Format(time.DateOnly))...)
	case c.MaxDays > 0 && r.Now.Sub(a.Time) > time.Duration(c.MaxDays)*24*time.Hour:
		j.fail("old", append(who, "date", a.Time.Format(time.DateOnly), "max_days", strconv.Itoa(c.MaxDays))...)
	}
	if len(j.details) > before {
		return false
	}
	switch {
	case a.Environment != "" && r.Environment == nil:
		j.missing("environment")
	case a.Environment != "" && a.Environment != *r.Environment:
		j.fail("elsewhere", append(who, "environment", a.Environment)...)
	default:
		return true
	}
	return false
}
