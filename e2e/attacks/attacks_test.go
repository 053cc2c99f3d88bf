//go:build linux && attacks

package attacks_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// settings treat the two tags of the image differently; nothing else on this
// host is anything but watched.
const twoModes = `mode: audit
fold: 10m
workloads:
  - {image: "attacks-other:*", ignore: true}
  - {image: "attacks-audit:*", mode: audit}
  - {image: "attacks-enforce:*", mode: enforce}
responses:
  - {on: [rule], rules: ["*reverse-shell*", "relayed-shell", "miner-*"], do: kill}
cap: {instances: 1000}
evidence: {severity: critical, time: 2s, case_each: 10m}
`

// perform runs attacks, some at once.
func perform(t *testing.T, list []attack, each func(*testing.T, attack)) {
	for _, a := range list {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			each(t, a)
		})
	}
}

// do carries out an attack and says whether it had its effect.
func (a attack) do(t *testing.T, name, image string) (effect bool, out string) {
	options := make([]string, len(a.options))
	for i, o := range a.options {
		options[i] = strings.Replace(o, "SOCKET", shared.socket, 1)
	}
	words := a.words
	if words == nil {
		words = []string{"timeout", "-s", "KILL", "30", "bash", "-c", strings.ReplaceAll(a.script, "HOSTPID", strconv.Itoa(os.Getpid()))}
	}
	out, _ = shared.run(t, name, options, append([]string{image}, words...)...)
	_, err := os.Stat(filepath.Join(shared.upper(t, name), "effect"))
	return err == nil || strings.Contains(out, "EFFECT"), out
}

// TestAttacksAreTold holds that every attack is told, with its container, and
// that it is real: it has its effect when nobody stops it.
func TestAttacksAreTold(t *testing.T) {
	g := guarded(t, twoModes)
	perform(t, attacks(), func(t *testing.T, a attack) {
		name := "audit-" + a.name
		effect, out := a.do(t, name, "attacks-audit:1")
		if effect == a.refused {
			t.Errorf("the effect is %v: %s", effect, out)
		}
		for _, what := range a.told {
			if !within(10*time.Second, func() bool { return g.told(name, what) }) {
				t.Errorf("%s is not told as %s, but as %s", a.technique, what, g.words(name))
			}
		}
	})
}

// TestAttacksAreStopped holds in enforce mode: what can be stopped before it
// has an effect has none, and what a response ends is ended.
func TestAttacksAreStopped(t *testing.T) {
	g := guarded(t, twoModes)
	var list []attack
	for _, a := range attacks() {
		if a.enforced != toldOnly {
			list = append(list, a)
		}
	}
	perform(t, list, func(t *testing.T, a attack) {
		name := "enforce-" + a.name
		began := time.Now()
		effect, out := a.do(t, name, "attacks-enforce:1")
		stopped := func() bool {
			for _, x := range g.alerts(name) {
				if strings.HasSuffix(x.Done, "killed") || x.Done == "denied" || x.Done == "ordered kill" {
					return true
				}
			}
			return false
		}
		if !within(10*time.Second, stopped) {
			t.Errorf("%s was not stopped: %s", a.technique, g.words(name))
		}
		if a.enforced == denied && effect {
			t.Errorf("%s had its effect: %s", a.technique, out)
		}
		if d := time.Since(began); a.enforced == killed && d > 25*time.Second {
			t.Errorf("it went on for %v", d)
		}
	})
}

// words are what was told of a container, for failures.
func (g *guard) words(name string) string {
	var words []string
	for _, a := range g.alerts(name) {
		words = append(words, a.Kind+" "+a.Rule+" "+a.What+" "+a.Done)
	}
	return "[" + strings.Join(words, "; ") + "]"
}
