package envelope

import (
	"encoding/json"
	"strings"
	"testing"

	"sekisho"
)

const digest = sekisho.Digest("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")

// TestPAE holds the example of the specification (DSSE, protocol.md).
func TestPAE(t *testing.T) {
	if got := string(PAE("http://example.com/HelloWorld", []byte("hello world"))); got != "DSSEv1 29 http://example.com/HelloWorld 11 hello world" {
		t.Errorf("%q", got)
	}
}

func TestForms(t *testing.T) {
	for name, c := range map[string]struct {
		read func(string) error
		text string
		want string
	}{
		"two documents":         {envelopeOf, `{"payloadType":"x","payload":"e30=","signatures":[{"sig":"e30="}]}{}`, "nothing behind it"},
		"no signature":          {envelopeOf, `{"payloadType":"x","payload":"e30=","signatures":[]}`, "1 to 16 signatures"},
		"many signatures":       {envelopeOf, `{"payloadType":"x","payload":"e30=","signatures":[` + strings.Repeat(`{},`, 16) + `{}]}`, "1 to 16 signatures"},
		"large":                 {envelopeOf, strings.Repeat(" ", Max+1), "more than"},
		"no statement":          {statementOf, `{"_type":"https://in-toto.io/Statement/v9","subject":[{}],"predicateType":"x"}`, "of type"},
		"about nothing":         {statementOf, `{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"x"}`, "subjects"},
		"another algorithm":     {statementOf, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha512":"` + digest.Hex() + `"}}],"predicateType":"x"}`, "another image"},
		"a payload for another": {simpleOf, `{"critical":{"type":"something","image":{"docker-manifest-digest":"` + string(digest) + `"}}}`, "of type"},
		"no digest":             {simpleOf, `{"critical":{"type":"cosign container image signature"}}`, "digest"},
		"no bundle":             {bundleOf, `{"mediaType":"application/json"}`, "media type"},
		"both contents":         {bundleOf, `{"mediaType":"` + BundleType + `","dsseEnvelope":{},"messageSignature":{}}`, "either"},
	} {
		if err := c.read(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func envelopeOf(s string) error { _, err := Parse([]byte(s)); return err }
func simpleOf(s string) error   { _, err := ParseSimple([]byte(s)); return err }
func bundleOf(s string) error   { _, err := ParseBundle([]byte(s)); return err }
func statementOf(text string) error {
	s, err := ParseStatement(InTotoType, []byte(text))
	if err == nil {
		_, err = s.Speaks([]sekisho.Digest{digest})
	}
	return err
}

// FuzzForms: nothing makes a reader panic, and what is read can be written and
// read again.
func FuzzForms(f *testing.F) {
	simple, err := NewSimple("example.com/app", digest, map[string]any{"a": 1})
	if err != nil {
		f.Fatal(err)
	}
	statement, err := json.Marshal(NewStatement("app", digest, "x", json.RawMessage("{}")))
	if err != nil {
		f.Fatal(err)
	}
	bundle, err := NewBundle(&Envelope{PayloadType: InTotoType, Payload: statement, Signatures: []Signature{{Sig: []byte("s")}}}, "hint")
	if err != nil {
		f.Fatal(err)
	}
	rekor := `{"SignedEntryTimestamp":"e30=","Payload":{"body":"eyJraW5kIjoiZHNzZSIsImFwaVZlcnNpb24iOiIwLjAuMSJ9","integratedTime":1,"logIndex":2,"logID":"` + digest.Hex() + `"}}`
	for _, seed := range []string{string(simple), string(statement), string(bundle), rekor} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := Parse(data); err == nil {
			again, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Parse(again); err != nil {
				t.Errorf("an envelope was written that cannot be read: %v", err)
			}
		}
		if s, err := ParseStatement(InTotoType, data); err == nil {
			s.Speaks([]sekisho.Digest{digest})
		}
		ParseSimple(data)
		if b, err := ParseBundle(data); err == nil {
			b.ByCertificate()
		}
		legacy := Legacy{Certificate: data, Log: string(data), Timestamp: string(data)}
		legacy.Bundle(Bundle{DSSE: &Envelope{}})
	})
}
