package approval

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/admit/signature"
	"sekisho/admit/signature/envelope"
	"sekisho/admit/signature/key"
	"sekisho/policy/fact"
)

const digest = sekisho.Digest("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// office is people with keys, and what they signed.
type office struct {
	t      *testing.T
	keys   map[string]key.Private
	people *People
	files  []signature.File
}

func newOffice(t *testing.T, settings string) *office {
	t.Helper()
	o := &office{t: t, keys: map[string]key.Private{}}
	files := map[string][]byte{}
	for _, name := range []string{"alice", "bob", "carol", "dave", "mallory"} {
		k, err := key.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		o.keys[name] = k
		if files[name+".pub"], err = k.Public.PEM(); err != nil {
			t.Fatal(err)
		}
	}
	text := `people:
- {name: alice, keys: [alice.pub], may: [request, review, decide]}
- {name: bob, keys: [bob.pub], may: [review]}
- {name: carol, keys: [carol.pub], may: [decide, review]}
- {name: dave, keys: [dave.pub], may: [decide], environments: [staging]}
` + settings
	var err error
	if o.people, err = ParsePeople([]byte(text), "approvers.yaml", reader(files)); err != nil {
		t.Fatal(err)
	}
	return o
}

func reader(files map[string][]byte) func(string, int64) ([]byte, error) {
	return func(name string, _ int64) ([]byte, error) {
		if data, ok := files[name]; ok {
			return data, nil
		}
		return nil, os.ErrNotExist
	}
}

// says signs a record and returns the hash of its statement.
func (o *office) says(who string, r Record) string {
	o.t.Helper()
	doc, err := json.Marshal(r)
	if err != nil {
		o.t.Fatal(err)
	}
	return o.signs(who, digest, doc)
}

func (o *office) signs(who string, d sekisho.Digest, doc []byte) string {
	o.t.Helper()
	payload, err := json.Marshal(envelope.NewStatement("app", d, PredicateType, doc))
	if err != nil {
		o.t.Fatal(err)
	}
	sig, err := o.keys[who].Sign(rand.Reader, envelope.PAE(envelope.InTotoType, payload))
	if err != nil {
		o.t.Fatal(err)
	}
	e, err := json.Marshal(envelope.Envelope{PayloadType: envelope.InTotoType, Payload: payload, Signatures: []envelope.Signature{{Sig: sig}}})
	if err != nil {
		o.t.Fatal(err)
	}
	o.files = append(o.files, signature.File{Name: fmt.Sprint(len(o.files)), Data: e})
	return Hash(&signature.Verified{Payload: payload})
}

// approvals are those that count, and why the rest does not.
func (o *office) approvals(now time.Time) (list []Approval, why string) {
	o.t.Helper()
	r, err := signature.VerifyFiles(o.t.Context(), o.files, signature.Subject{Digests: []sekisho.Digest{digest}}, o.people.Trust(), now)
	if err != nil {
		o.t.Fatal(err)
	}
	roads, refused := o.people.Roads(r, now)
	for _, x := range append(r.Refused, refused...) {
		why += x.Reason + "\n"
	}
	for _, x := range roads {
		why += x.Why + "\n"
	}
	return Approvals(roads), why
}

func request(at time.Time) Record {
	return Record{Step: Request, Environment: "production", Reason: "release", Time: at, Evidence: frozen()}
}

func frozen() *Evidence {
	e, err := Freeze(&fact.Image{Digest: digest, Findings: []sekisho.Finding{critical("CVE-1")}}, &signature.Verified{Payload: []byte("scan")}, nil)
	if err != nil {
		panic(err)
	}
	return e
}

func critical(id string) sekisho.Finding {
	return sekisho.Finding{Kind: sekisho.Vulnerability, ID: id, Severity: sekisho.Critical, Package: &sekisho.PackageRef{Name: "openssl"}, Vulnerable: &sekisho.Vulnerable{}}
}

func answer(step, request string, at time.Time) Record {
	r := Record{Step: step, Environment: "production", Reason: "seen", Time: at, Request: request}
	if step == Approve {
		r.Until, r.Evidence = at.AddDate(0, 0, 30), frozen()
	}
	return r
}

// TestRoads tells stories of requests: how they count, and how they do not.
func TestRoads(t *testing.T) {
	for _, c := range []struct {
		name, settings string
		story          func(*office)
		approver, why  string
	}{
		{"approved by another", "", func(o *office) {
			o.says("carol", answer(Approve, o.says("alice", request(noon)), noon.Add(time.Hour)))
		}, "carol", ""},
		{"by the author", "", func(o *office) {
			o.says("alice", answer(Approve, o.says("alice", request(noon)), noon.Add(time.Hour)))
		}, "", "alice asked for it"},
		{"by one who may review only", "", func(o *office) {
			o.says("bob", answer(Approve, o.says("alice", request(noon)), noon.Add(time.Hour)))
		}, "", "bob may not decide"},
		{"by one of another environment", "", func(o *office) {
			o.says("dave", answer(Approve, o.says("alice", request(noon)), noon.Add(time.Hour)))
		}, "", "dave may not decide for production"},
		{"by a stranger", "", func(o *office) {
			o.says("mallory", answer(Approve, o.says("alice", request(noon)), noon.Add(time.Hour)))
		}, "", "no trusted key"},
		{"a request by one who may not", "", func(o *office) {
			o.says("carol", answer(Approve, o.says("bob", request(noon)), noon.Add(time.Hour)))
		}, "", "bob may not request"},
		{"without its review", "reviews: 1\n", func(o *office) {
			o.says("carol", answer(Approve, o.says("alice", request(noon)), noon.Add(time.Hour)))
		}, "", "0 of 1 reviews"},
		{"with its review", "reviews: 1\n", func(o *office) {
			r := o.says("alice", request(noon))
			o.says("bob", answer(Review, r, noon.Add(time.Minute)))
			o.says("carol", answer(Approve, r, noon.Add(time.Hour)))
		}, "carol", ""},
		{"reviewed by who decides", "reviews: 1\n", func(o *office) {
			r := o.says("alice", request(noon))
			o.says("carol", answer(Review, r, noon.Add(time.Minute)))
			o.says("carol", answer(Approve, r, noon.Add(time.Hour)))
		}, "", "0 of 1 reviews"},
		{"taken back", "", func(o *office) {
			r := o.says("alice", request(noon))
			o.says("carol", answer(Approve, r, noon.Add(time.Hour)))
			o.says("carol", answer(Reject, r, noon.Add(2*time.Hour)))
		}, "", ""},
		{"rejected and approved at one time", "", func(o *office) {
			r := o.says("alice", request(noon))
			o.says("carol", answer(Reject, r, noon.Add(time.Hour)))
			o.says("carol", answer(Approve, r, noon.Add(time.Hour)))
		}, "", ""},
		{"without its request", "", func(o *office) { o.says("carol", answer(Approve, string(digest), noon)) }, "", "is not here"},
		{"from the future", "", func(o *office) {
			o.says("carol", answer(Approve, o.says("alice", request(noon)), noon.Add(1000*time.Hour)))
		}, "", "lies ahead"},
		{"before the request", "", func(o *office) {
			o.says("carol", answer(Approve, o.says("alice", request(noon)), noon.Add(-time.Hour)))
		}, "", "older than the request"},
		{"for too long", "max_days: 7\n", func(o *office) {
			o.says("carol", answer(Approve, o.says("alice", request(noon)), noon.Add(time.Hour)))
		}, "", "longer than 7 days"},
		{"on other evidence", "", func(o *office) {
			a := answer(Approve, o.says("alice", request(noon)), noon.Add(time.Hour))
			a.Evidence.Serious = nil
			o.says("carol", a)
		}, "", "evidence is not that of the request"},
		{"what the policy denied", "", func(o *office) {
			r := request(noon)
			r.Evidence.Result = sekisho.Deny
			a := answer(Approve, o.says("alice", r), noon.Add(time.Hour))
			a.Evidence.Result = sekisho.Deny
			o.says("carol", a)
		}, "", "the policy denied"},
		{"what the policy denied, where that may be", "allow_denied: true\n", func(o *office) {
			r := request(noon)
			r.Evidence.Result = sekisho.Deny
			a := answer(Approve, o.says("alice", r), noon.Add(time.Hour))
			a.Evidence.Result = sekisho.Deny
			o.says("carol", a)
		}, "carol", ""},
		{"of another image", "", func(o *office) {
			r := o.says("alice", request(noon))
			doc, err := json.Marshal(answer(Approve, r, noon.Add(time.Hour)))
			if err != nil {
				o.t.Fatal(err)
			}
			o.signs("carol", "sha256:"+sekisho.Digest(strings.Repeat("b", 64)), doc)
		}, "", "another image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t, c.settings)
			c.story(o)
			list, why := o.approvals(noon.Add(24 * time.Hour))
			if (c.approver != "") != (len(list) == 1) || len(list) == 1 && (list[0].Approver != c.approver || list[0].Author != "alice") || !strings.Contains(why, c.why) {
				t.Errorf("%+v; %s; want by %q, why %q", list, why, c.approver, c.why)
			}
		})
	}
}

func TestLapsed(t *testing.T) {
	a := &Approval{Evidence: *frozen()}
	exploited := critical("CVE-1")
	exploited.KEV = &sekisho.KEV{Added: "2026-11-24"}
	accepted := critical("CVE-2")
	accepted.Suppressed = &sekisho.Suppressed{Reason: "not used"}
	high := critical("CVE-2")
	high.Severity = sekisho.High
	for _, c := range []struct {
		name string
		now  []sekisho.Finding
		want string
	}{
		{"nothing new", []sekisho.Finding{critical("CVE-1")}, ""},
		{"less", nil, ""},
		{"a new critical one", []sekisho.Finding{critical("CVE-1"), critical("CVE-2")}, "CVE-2 openssl"},
		{"one is exploited now", []sekisho.Finding{exploited}, "CVE-1 openssl KEV"},
		{"a high one", []sekisho.Finding{high}, ""},
		{"one that is accepted", []sekisho.Finding{accepted}, ""},
		{"many", []sekisho.Finding{critical("A"), critical("B"), critical("C"), critical("D"), critical("E")}, "A openssl, B openssl, C openssl, +2"},
		{"malware", []sekisho.Finding{{Kind: sekisho.Malware, ID: "EICAR", Location: sekisho.Location{Path: "/x"}}}, "EICAR /x"},
	} {
		if got := Lapsed(a, &fact.Image{Findings: c.now}); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	f := Facts([]Approval{*a}, &fact.Image{Findings: []sekisho.Finding{critical("CVE-2")}})
	if len(f) != 1 || f[0].Lapsed == "" || a.Lapsed != "" {
		t.Errorf("facts %+v", f)
	}
	if f := Facts(nil, &fact.Image{}); f == nil {
		t.Error("no approvals are not unknown ones")
	}
}

// TestPeople: a file that would let one person be two, or nobody be another, is
// refused.
func TestPeople(t *testing.T) {
	o := newOffice(t, "")
	pub, err := o.keys["alice"].Public.PEM()
	if err != nil {
		t.Fatal(err)
	}
	other, err := o.keys["bob"].Public.PEM()
	if err != nil {
		t.Fatal(err)
	}
	read := reader(map[string][]byte{"a": pub, "b": other})
	const two = "people:\n- {name: a, keys: [a], may: [request]}\n"
	for text, want := range map[string]string{
		two: "nobody approves alone",
		two + "- {name: b, keys: [a], may: [decide]}\n":                 "is a's already",
		two + "- {name: a, keys: [b], may: [decide]}\n":                 `there is a "a" already`,
		two + "- {name: b, keys: [b], may: [sign]}\n":                   "want request, review or decide",
		two + "- {name: b, keys: [b], may: [decide]}\nreviews: 1\n":     "reviews",
		two + "- {name: b, keys: [b], may: [decide]}\nmax_days: -1\n":   "max_days",
		two + "- {name: b, keys: [b], may: [decide], role: admin}\n":    "unknown field",
		two + "- {name: b, may: [decide], identities: [{issuer: i}]}\n": "subject",
		two + "- {name: b, keys: [c], may: [decide]}\n":                 "not exist",
	} {
		if _, err := ParsePeople([]byte(text), "approvers.yaml", read); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}

// FuzzRecord: a record that is read can be written and read again.
func FuzzRecord(f *testing.F) {
	doc, err := json.Marshal(request(noon))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	doc, err = json.Marshal(answer(Approve, string(digest), noon))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Fuzz(func(t *testing.T, doc []byte) {
		r, err := Parse(doc)
		if err != nil {
			return
		}
		again, err := r.Statement()
		if err != nil {
			return // a time that JSON cannot write
		}
		s, err := Parse(again)
		if err != nil || s.Step != r.Step || s.Environment != r.Environment || !reflect.DeepEqual(s.Evidence == nil, r.Evidence == nil) {
			t.Errorf("%+v became %+v: %v", r, s, err)
		}
	})
}

// FuzzPeople: no file makes its reader panic.
func FuzzPeople(f *testing.F) {
	f.Add([]byte("people:\n- {name: a, keys: [a], may: [request]}\n- {name: b, identities: [{issuer: i, subject_regexp: '.*'}], may: [decide]}\nroot: r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := ParsePeople(data, "approvers.yaml", reader(nil)); err == nil {
			t.Errorf("people without any key: %+v", p)
		}
	})
}
