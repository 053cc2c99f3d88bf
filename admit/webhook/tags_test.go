package webhook

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
	"sekisho/policy/scope"
)

// answers is a registry whose tag points where it is told.
type answers struct {
	mu      sync.Mutex
	digest  sekisho.Digest
	err     error
	asked   int
	release chan struct{}
}

func (a *answers) Resolve(context.Context, string) (Resolved, error) {
	if a.release != nil {
		<-a.release
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	return Resolved{Digest: a.digest}, a.err
}

func sum(n int) sekisho.Digest { return sekisho.Digest(fmt.Sprintf("sha256:%064x", n)) }

func parse(t testing.TB, text string) scope.Reference {
	t.Helper()
	r, err := scope.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTags(t *testing.T) {
	now := time.Unix(1000, 0)
	var moves []string
	r := &answers{digest: sum(1)}
	c := &tags{resolver: r, now: func() time.Time { return now }, ttl: time.Minute, limit: 10, slots: make(chan struct{}, 4), moved: func(ref string, from, to sekisho.Digest) { moves = append(moves, ref) }}
	app := parse(t, "r.example/app:1")
	get := func(ref scope.Reference) (sekisho.Digest, error) {
		got, err := c.resolve(t.Context(), ref)
		return got.Digest, err
	}
	if d, err := get(app); err != nil || d != sum(1) {
		t.Fatal(d, err)
	}
	get(app)
	if r.asked != 1 {
		t.Errorf("asked %d times for one name", r.asked)
	}
	r.digest = sum(2)
	now = now.Add(40 * time.Second)
	get(app)
	c.refresh(t.Context())
	if d, _ := get(app); d != sum(2) || r.asked != 2 || len(moves) != 1 || !c.strayed(app) {
		t.Errorf("after a move it is %s, asked %d, moves %v", d, r.asked, moves)
	}
	r.err = sekisho.Errorf(sekisho.Unavailable, "away")
	now = now.Add(40 * time.Second)
	get(app)
	c.refresh(t.Context())
	if d, err := get(app); err != nil || d != sum(2) {
		t.Errorf("while the registry is away: %s, %v", d, err)
	}
	now = now.Add(10 * time.Minute)
	if _, err := get(app); err == nil {
		t.Error("what is long old is taken for true")
	}
	r.err = nil
	if _, err := get(app); err == nil {
		t.Error("a registry that is away is asked by every request")
	}
	now = now.Add(forget + time.Second)
	if d, err := get(app); err != nil || d != sum(2) {
		t.Errorf("when it is back: %s, %v", d, err)
	}
	for n := range 40 {
		now = now.Add(time.Second)
		get(parse(t, fmt.Sprintf("r.example/other:%d", n)))
	}
	if len(c.names) > 10 {
		t.Errorf("%d names are kept, want at most 10", len(c.names))
	}
	fixed := parse(t, "r.example/app@"+string(sum(7)))
	get(fixed)
	asked := r.asked
	now = now.Add(30 * time.Minute)
	get(fixed)
	c.refresh(t.Context())
	if r.asked != asked {
		t.Error("a digest is asked for twice")
	}
	now = now.Add(2 * time.Hour)
	c.refresh(t.Context())
	if len(c.names) != 0 {
		t.Errorf("%d names that nobody uses are kept", len(c.names))
	}
	r.digest = "sha256:../../x"
	if _, err := get(parse(t, "r.example/evil:1")); sekisho.KindOf(err) != sekisho.Corrupt {
		t.Errorf("a digest that is none: %v", err)
	}
}

// TestTogether holds that many who ask for one name share one question, and
// that who gives up does not end it.
func TestTogether(t *testing.T) {
	r := &answers{digest: sum(1), release: make(chan struct{})}
	c := &tags{resolver: r, now: time.Now, ttl: time.Minute, limit: 10, slots: make(chan struct{}, 4)}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.resolve(gone, parse(t, "a/b:1")); !transient(err) {
		t.Errorf("who gives up hears %v", err)
	}
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if got, err := c.resolve(t.Context(), parse(t, "a/b:1")); err != nil || got.Digest != sum(1) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	close(r.release)
	wait.Wait()
	c.waiting.Wait()
	if r.asked != 1 {
		t.Errorf("asked %d times", r.asked)
	}
}

// TestDocumented holds that every field of the configuration is described.
func TestDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/admission-kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			name := f.Tag.Get("yaml")
			if !f.IsExported() {
				continue
			}
			if !strings.Contains(string(data), "`"+name+"`") && !strings.Contains(string(data), "."+name+"`") && !strings.Contains(string(data), "`"+name+".") {
				t.Errorf("docs/admission-kubernetes.md does not tell of %s (%s.%s)", name, typ.Name(), f.Name)
			}
			visit(f.Type)
		}
	}
	visit(reflect.TypeFor[Config]())
	_, example, ok := strings.Cut(string(data), "```yaml\n")
	if example, _, ok = strings.Cut(example, "```"); !ok {
		t.Fatal("there is no example")
	}
	if _, err := ParseConfig(strings.NewReader(example), "the example"); err != nil {
		t.Error(err)
	}
}
