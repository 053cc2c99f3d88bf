package source

import (
	"context"
	"slices"
	"strings"

	"sekisho/scan/advisory"
)

// Wants forgets what a state knows when other ecosystems are wanted than the
// last time: then everything is read again. It reports whether that was so.
func Wants(state *advisory.State, want []string) bool {
	list := strings.Join(slices.Sorted(slices.Values(want)), ",")
	if old, known := state.Cursors["want"]; known && old == list {
		return false
	}
	clear(state.Validators)
	clear(state.Cursors)
	state.Cursors["want"] = list
	return true
}

// Set opens documents that replace what is known together: all of them when
// one of them changed, none when none did.
func Set(ctx context.Context, c advisory.Client, state advisory.State, urls []string, limit int64) (docs []*Document, err error) {
	defer func() {
		if err != nil {
			Close(docs)
			docs = nil
		}
	}()
	same := 0
	for _, url := range urls {
		doc, err := Open(ctx, c, state, url, limit)
		if err != nil {
			return docs, err
		}
		docs = append(docs, doc)
		if doc.Same {
			same++
		}
	}
	if same == len(docs) {
		Close(docs)
		return nil, nil
	}
	for i, url := range urls {
		if !docs[i].Same {
			continue
		}
		delete(state.Validators, url)
		if docs[i], err = Open(ctx, c, state, url, limit); err != nil {
			docs = slices.Delete(docs, i, i+1)
			return docs, err
		}
	}
	return docs, nil
}

// Close closes documents.
func Close(docs []*Document) {
	for _, d := range docs {
		d.Close()
	}
}
