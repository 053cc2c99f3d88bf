// Package oval reads definitions of the Open Vulnerability and Assessment
// Language (5.11) about packages of rpm, as vendors of distributions publish
// them. What enters is a document that can be read twice: tests, objects and
// states first, then definitions one at a time. It refuses what goes beyond
// its bounds, and says which tests it does not know.
package oval

import (
	"encoding/xml"
	"io"
	"strings"

	"sekisho"
	"sekisho/scan/advisory/feed/internal/source"
)

// Bounds of a document.
const (
	maxElement      = 32 << 20 // bytes of one definition
	maxTests        = 4 << 20
	maxName         = 512 // bytes of names, versions and identifiers
	maxDepth        = 16  // of criteria
	maxAlternatives = 100000
)

// Document can be read from its begin more than once.
type Document interface {
	io.Reader
	Again() error
}

// Definition is a definition's metadata and criteria.
type Definition struct {
	ID          string      `xml:"id,attr"`
	Class       string      `xml:"class,attr"`
	Title       string      `xml:"metadata>title"`
	Platforms   []string    `xml:"metadata>affected>platform"`
	References  []Reference `xml:"metadata>reference"`
	Description string      `xml:"metadata>description"`
	Advisory    struct {
		Severity string   `xml:"severity"`
		Issued   when     `xml:"issued"`
		Updated  when     `xml:"updated"`
		CVEs     []CVE    `xml:"cve"`
		CPEs     []string `xml:"affected_cpe_list>cpe"`
	} `xml:"metadata>advisory"`
	Patchable string   `xml:"metadata>patchable"` // Azure Linux: true, false, Not Applicable
	Severity  string   `xml:"metadata>severity"`
	Date      string   `xml:"metadata>advisory_date"`
	Number    string   `xml:"metadata>advisory_id"`
	Criteria  Criteria `xml:"criteria"`
}

// Reference is a reference of a definition.
type Reference struct {
	ID     string `xml:"ref_id,attr"`
	URL    string `xml:"ref_url,attr"`
	Source string `xml:"source,attr"`
}

// CVE is a CVE as an advisory names it.
type CVE struct {
	ID     string `xml:",chardata"`
	Impact string `xml:"impact,attr"`
	Href   string `xml:"href,attr"`
	CVSS3  string `xml:"cvss3,attr"` // score/vector
}

type when struct {
	Date string `xml:"date,attr"`
}

// Criteria is a node of what must hold.
type Criteria struct {
	Operator   string      `xml:"operator,attr"` // AND unless it says OR
	Negate     string      `xml:"negate,attr"`
	Criteria   []Criteria  `xml:"criteria"`
	Criterions []Criterion `xml:"criterion"`
}

// Criterion refers to one test.
type Criterion struct {
	Test    string `xml:"test_ref,attr"`
	Comment string `xml:"comment,attr"`
	Negate  string `xml:"negate,attr"`
}

// Test is a test, resolved: a package and what its state must be.
type Test struct {
	Package string // the object's name
	Fields  []Field
	Comment string
	Negate  bool // it must not hold
}

// Field is one entity of a state: evr less than 1.0.
type Field struct {
	Name      string // evr, arch, signature_keyid, version …
	Operation string // equals unless it says something else
	Value     string
}

// Field returns a test's field by its name.
func (t Test) Field(name string) (Field, bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// File knows the tests of a document.
type File struct {
	tests   map[string]test
	objects map[string]string
	states  map[string][]Field
}

type test struct{ object, state, comment string }

// Read reads a document, the tests and then each definition, which it tells.
func Read(doc Document, see func(f *File, d *Definition) error) error {
	f := &File{tests: map[string]test{}, objects: map[string]string{}, states: map[string][]Field{}}
	if err := source.Markup(doc, maxElement, f.parts); err != nil {
		return err
	}
	if err := doc.Again(); err != nil {
		return err
	}
	seen := false
	return source.Markup(doc, maxElement, func(d *xml.Decoder, start xml.StartElement) error {
		switch start.Name.Local {
		case "definition":
			seen = true
			var def Definition
			if err := d.DecodeElement(&def, &start); err != nil {
				return err
			}
			return see(f, &def)
		case "tests", "objects", "states":
			if seen { // definitions come first (OVAL definitions schema, "oval_definitions")
				return source.ErrStop
			}
		}
		return nil
	})
}

// parts keeps tests, objects and states.
func (f *File) parts(d *xml.Decoder, start xml.StartElement) error {
	if len(f.tests) > maxTests || len(f.objects) > maxTests || len(f.states) > maxTests {
		return sekisho.Errorf(sekisho.Invalid, "more than %d tests", maxTests)
	}
	if len(source.Attr(start, "id")) > maxName {
		return sekisho.Errorf(sekisho.Invalid, "an identifier of more than %d bytes", maxName)
	}
	id := number(source.Attr(start, "id"))
	switch name := start.Name.Local; {
	case name == "definition":
		return d.Skip()
	case strings.HasSuffix(name, "_test"):
		t := test{}
		if comment := source.Attr(start, "comment"); strings.Contains(comment, " is <") && len(comment) <= maxName {
			t.comment = comment
		}
		err := children(d, func(e xml.StartElement, _ string) {
			if ref := source.Attr(e, "object_ref"); ref != "" {
				t.object = number(ref)
			}
			if ref := source.Attr(e, "state_ref"); ref != "" {
				t.state = number(ref)
			}
		})
		f.tests[id] = t
		return err
	case strings.HasSuffix(name, "_object"):
		return children(d, func(e xml.StartElement, text string) {
			if e.Name.Local == "name" {
				f.objects[id] = text
			}
		})
	case strings.HasSuffix(name, "_state"):
		return children(d, func(e xml.StartElement, text string) {
			operation := source.Attr(e, "operation")
			if operation == "" {
				operation = "equals"
			}
			f.states[id] = append(f.states[id], Field{e.Name.Local, operation, text})
		})
	}
	return nil
}

// number returns the last part of an identifier, "oval:org.example:tst:17",
// which is what tells one of a vendor's tests from another (OVAL common schema,
// "TestIDPattern"). The rest would be held half a million times.
func number(id string) string {
	return strings.Clone(id[strings.LastIndexByte(id, ':')+1:])
}

// children tells the elements within the one that has begun, with their text,
// and takes its end.
func children(d *xml.Decoder, see func(e xml.StartElement, text string)) error {
	var open []xml.StartElement
	var text string
	for {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(open) > maxDepth {
				return sekisho.Errorf(sekisho.Invalid, "nested more than %d deep", maxDepth)
			}
			open, text = append(open, t.Copy()), ""
		case xml.CharData:
			if len(text)+len(t) > maxName {
				return sekisho.Errorf(sekisho.Invalid, "a value of more than %d bytes", maxName)
			}
			text += string(t)
		case xml.EndElement:
			if len(open) == 0 {
				return nil
			}
			see(open[len(open)-1], strings.TrimSpace(text))
			open, text = open[:len(open)-1], ""
		}
	}
}
