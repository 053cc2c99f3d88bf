package approval

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/key"
	"sekisho/admit/signature/keyless"
	"sekisho/admit/signature/trust"
)

// What people may do.
const (
	MayRequest = "request"
	MayReview  = "review"
	MayDecide  = "decide"
)

// maxPeople bounds approvers.yaml.
const maxPeople, maxDays = 1000, 3650

// People is approvers.yaml: who may take which step, by the keys and identities
// that are theirs.
type People struct {
	people  []person
	MaxDays int // how long an approval may hold
	Reviews int // how many others must have reviewed a request
	Denied  bool
	trust   signature.Trust
}

type person struct {
	name         string
	keys         []string
	identities   []keyless.Identity
	may          []string
	environments []string
}

type file struct {
	People []struct {
		Name         string           `yaml:"name"`
		Keys         []string         `yaml:"keys"`
		Identities   []trust.Identity `yaml:"identities"`
		May          []string         `yaml:"may"`
		Environments []string         `yaml:"environments"` // empty for all
	} `yaml:"people"`
	Root        string `yaml:"root"`
	MaxDays     int    `yaml:"max_days"`
	Reviews     int    `yaml:"reviews"`
	AllowDenied bool   `yaml:"allow_denied"`
}

// ParsePeople reads approvers.yaml; name is its path.
func ParsePeople(data []byte, name string, read trust.Read) (*People, error) {
	var f file
	if err := trust.Decode(data, name, &f); err != nil {
		return nil, err
	}
	p, err := f.people(filepath.Dir(name), read)
	if err != nil {
		return nil, sekisho.Errorf(sekisho.Usage, "%s: %w", name, err)
	}
	return p, nil
}

func (f *file) people(dir string, read trust.Read) (*People, error) {
	p := &People{MaxDays: f.MaxDays, Reviews: f.Reviews, Denied: f.AllowDenied}
	if p.MaxDays == 0 {
		p.MaxDays = 90
	}
	switch {
	case len(f.People) < 2 || len(f.People) > maxPeople:
		return nil, fmt.Errorf("people: want 2 to %d; nobody approves alone", maxPeople)
	case p.MaxDays < 1 || p.MaxDays > maxDays:
		return nil, fmt.Errorf("max_days: want 1 to %d", maxDays)
	case p.Reviews < 0 || p.Reviews > len(f.People)-2:
		return nil, errors.New("reviews: want 0 to the number of people who are neither author nor approver")
	}
	for n, one := range f.People {
		q := person{name: one.Name, may: one.May, environments: one.Environments}
		keys, err := trust.Keys(dir, one.Keys, read)
		if err == nil {
			q.identities, err = trust.Identities(one.Identities)
		}
		if err == nil {
			err = p.add(q, keys)
		}
		if err != nil {
			return nil, fmt.Errorf("people[%d]: %w", n, err)
		}
	}
	if (f.Root == "") != (len(p.trust.Identities) == 0) {
		return nil, errors.New("identities and root go together")
	}
	if f.Root != "" {
		var err error
		if p.trust.Root, err = trust.Root(dir, f.Root, read); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add adds a person. A key belongs to one person: else one could be two.
func (p *People) add(q person, keys []key.Public) error {
	if q.name == "" || len(keys)+len(q.identities) == 0 || len(q.may) == 0 {
		return errors.New("want name, keys or identities, and may")
	}
	for _, m := range q.may {
		if m != MayRequest && m != MayReview && m != MayDecide {
			return fmt.Errorf("may: %q, want request, review or decide", m)
		}
	}
	for _, o := range p.people {
		if o.name == q.name {
			return fmt.Errorf("there is a %q already", q.name)
		}
	}
	for _, k := range keys {
		for _, o := range p.people {
			if slices.Contains(o.keys, k.Fingerprint) {
				return fmt.Errorf("the key %s is %s's already", k.Fingerprint, o.name)
			}
		}
		q.keys = append(q.keys, k.Fingerprint)
	}
	p.people = append(p.people, q)
	p.trust.Keys = append(p.trust.Keys, keys...)
	p.trust.Identities = append(p.trust.Identities, q.identities...)
	return nil
}

// Trust is for verifying what they signed.
func (p *People) Trust() *signature.Trust { return &p.trust }

// Who names the person who signed; a signature that could be two people's is
// nobody's.
func (p *People) Who(keyFingerprint, identity, issuer string) (string, error) {
	q, err := p.who(keyFingerprint, identity, issuer)
	if err != nil {
		return "", err
	}
	return q.name, nil
}

func (p *People) who(fingerprint, identity, issuer string) (*person, error) {
	var found *person
	for i := range p.people {
		q := &p.people[i]
		if !(fingerprint != "" && slices.Contains(q.keys, fingerprint)) && !slices.ContainsFunc(q.identities, func(k keyless.Identity) bool { return k.Matches(issuer, identity) }) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%q could be %s or %s", identity, found.name, q.name)
		}
		found = q
	}
	if found == nil {
		return nil, errors.New("the signer is none of the people")
	}
	return found, nil
}

// May reports whether a person may take a step for an environment.
func (p *People) May(name, step, environment string) error {
	for i := range p.people {
		if p.people[i].name == name {
			return p.people[i].mayTake(step, environment)
		}
	}
	return fmt.Errorf("%s is none of the people", name)
}

func (q *person) mayTake(step, environment string) error {
	want := map[string]string{Request: MayRequest, Review: MayReview, Approve: MayDecide, Reject: MayDecide}[step]
	if !slices.Contains(q.may, want) {
		return fmt.Errorf("%s may not %s", q.name, want)
	}
	if len(q.environments) > 0 && !slices.Contains(q.environments, environment) {
		return fmt.Errorf("%s may not %s for %s", q.name, want, environment)
	}
	return nil
}
