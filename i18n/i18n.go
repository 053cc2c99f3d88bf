// Package i18n holds every sentence that people read, in English and
// Japanese, by key. The catalogues are flat JSON files, one per area and
// language: messages/AREA.LANG.json. A text may hold {name} placeholders.
package i18n

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed messages/*.json
var messages embed.FS

// Lang is a language of the catalogue.
type Lang string

// The languages.
const (
	English  Lang = "en"
	Japanese Lang = "ja"
)

// Languages lists them.
func Languages() []Lang { return []Lang{English, Japanese} }

// Printer gives texts of one language.
type Printer struct {
	lang  Lang
	texts map[string]string
}

// New loads the catalogue of one language; an unknown one is English.
func New(lang Lang) *Printer {
	if lang != Japanese {
		lang = English
	}
	p := &Printer{lang: lang, texts: map[string]string{}}
	names, err := fs.Glob(messages, "messages/*."+string(lang)+".json")
	if err != nil {
		panic(err) // the pattern is constant
	}
	for _, name := range names {
		data, err := messages.ReadFile(name)
		if err != nil {
			panic(err) // embedded
		}
		if err := json.Unmarshal(data, &p.texts); err != nil {
			panic(fmt.Sprintf("%s: %v", path.Base(name), err)) // held by a test
		}
	}
	return p
}

// Lang returns the printer's language.
func (p *Printer) Lang() Lang { return p.lang }

// Has reports whether the catalogue has the key.
func (p *Printer) Has(key string) bool { _, ok := p.texts[key]; return ok }

// Keys returns all keys, in no order.
func (p *Printer) Keys() []string {
	keys := make([]string, 0, len(p.texts))
	for k := range p.texts {
		keys = append(keys, k)
	}
	return keys
}

// Text returns the text of a key with its placeholders filled from pairs of
// name and value: Text("scan.done", "packages", 12). {packages:package|packages}
// is the first word for one and the second for any other number. A missing key
// is returned as it is, so that it is seen.
func (p *Printer) Text(key string, pairs ...any) string {
	text, ok := p.texts[key]
	if !ok {
		return key
	}
	if len(pairs) == 0 {
		return text
	}
	list := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		name, value := fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1])
		text = number(text, name, value)
		list = append(list, "{"+name+"}", value)
	}
	return strings.NewReplacer(list...).Replace(text)
}

// number chooses the words that go by the number of one placeholder.
func number(text, name, value string) string {
	for {
		before, rest, ok := strings.Cut(text, "{"+name+":")
		if !ok {
			return text
		}
		words, after, _ := strings.Cut(rest, "}")
		one, many, _ := strings.Cut(words, "|")
		if value == "1" {
			many = one
		}
		text = before + many + after
	}
}

// FromLocale picks the language of a POSIX locale such as "ja_JP.UTF-8".
func FromLocale(locale string) Lang {
	if strings.HasPrefix(strings.ToLower(locale), "ja") {
		return Japanese
	}
	return English
}

// Fill returns the text of a key with its placeholders filled. A value that is
// "@" and a key of the catalogue is that text; for {x}, a parameter x_ja is
// preferred in Japanese.
func (p *Printer) Fill(key string, params map[string]string) string {
	pairs := make([]any, 0, 2*len(params))
	for name, value := range params {
		if other, ok := params[name+"_"+string(p.lang)]; ok && other != "" {
			value = other
		}
		if word, ok := strings.CutPrefix(value, "@"); ok && p.Has(word) {
			value = p.Text(word)
		}
		pairs = append(pairs, name, value)
	}
	return p.Text(key, pairs...)
}
