package source

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"sekisho"
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
// one of them changed, none when none did. In the place of one that is not
// there stands nil, and it is counted; when none is there, that is an error.
func Set(ctx context.Context, c advisory.Client, state advisory.State, urls []string, limit int64) (docs []*Document, err error) {
	defer func() {
		if err != nil {
			Close(docs)
			docs = nil
		}
	}()
	same, missing := 0, 0
	for _, url := range urls {
		doc, err := Open(ctx, c, state, url, limit)
		if sekisho.KindOf(err) == sekisho.NotFound {
			if missing++; missing == len(urls) {
				return docs, err
			}
			delete(state.Validators, url)
			err = nil
		}
		if err != nil {
			return docs, err
		}
		docs = append(docs, doc)
		if doc != nil && doc.Same {
			same++
		}
	}
	gone := Count(state, "missing", missing)
	if same+missing == len(docs) && !gone {
		Close(docs)
		return nil, nil
	}
	for i, url := range urls {
		if docs[i] == nil || !docs[i].Same {
			continue
		}
		delete(state.Validators, url)
		if docs[i], err = Open(ctx, c, state, url, limit); err != nil {
			return docs, err
		}
	}
	return docs, nil
}

// Count keeps a number in the state's cursors and reports whether it changed.
func Count(state advisory.State, name string, n int) bool {
	old := state.Cursors[name]
	now := ""
	if n > 0 {
		now = strconv.Itoa(n)
		state.Cursors[name] = now
	} else {
		delete(state.Cursors, name)
	}
	return old != now
}

// Close closes documents.
func Close(docs []*Document) {
	for _, d := range docs {
		if d != nil {
			d.Close()
		}
	}
}
