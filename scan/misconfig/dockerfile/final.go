package dockerfile

import (
	"strconv"
	"strings"

	"sekisho/scan/misconfig"
)

// final judges the last stage as the image it becomes, with what it has from
// the stages that it builds on.
func (j *judge) final() {
	last := j.stages[len(j.stages)-1]
	chain := map[int]bool{}
	for s, n := last, 0; s != nil && n <= len(j.stages); s, n = s.base, n+1 {
		chain[s.from.stage] = true
	}
	for _, i := range j.list {
		if !chain[i.stage] || i.onbuild {
			continue
		}
		switch i.name {
		case "EXPOSE":
			j.expose(i)
		case "VOLUME":
			for _, w := range i.words {
				if v, known := j.stages[i.stage].scope.expand(w, j.escape); known && misconfig.Sensitive(v) {
					j.add("SKS-IMG-019", i, "VOLUME "+v)
				}
			}
		case "ADD", "COPY":
			j.context(i)
		}
	}
	j.user(last)
	if h := last.health; h == nil {
		j.add("SKS-IMG-002", last.from, "")
	} else if strings.EqualFold(h.text, "NONE") {
		j.add("SKS-IMG-002", *h, "HEALTHCHECK NONE")
	}
}

// user judges whom the image runs as. Where no USER is said it is the base
// image's; its tag may tell.
func (j *judge) user(last *stage) {
	if last.user == nil {
		root := last
		for n := 0; root.base != nil && n <= len(j.stages); n++ {
			root = root.base
		}
		if !strings.Contains(root.image, "nonroot") && !strings.Contains(root.image, "non-root") && !strings.Contains(root.image, "rootless") {
			j.add("SKS-IMG-001", last.from, "")
		}
		return
	}
	text, known := last.scope.expand(last.user.text, j.escape)
	name, _, _ := strings.Cut(text, ":")
	if n, err := strconv.Atoi(name); known && (name == "root" || err == nil && n == 0) {
		j.add("SKS-IMG-001", *last.user, "USER "+text)
	}
}

// expose looks for the ports of remote administration, in ranges too.
func (j *judge) expose(i instruction) {
	for _, w := range i.words {
		text, _ := j.stages[i.stage].scope.expand(w, j.escape)
		from, to, ok := ports(text)
		if !ok {
			continue
		}
		for p := max(from, 0); p <= min(to, 65535); p++ {
			if service := misconfig.AdminPort(strconv.Itoa(p)); service != "" {
				j.add("SKS-IMG-017", i, text+" "+service)
				break
			}
		}
	}
}

// context notes that the whole build context becomes part of the image.
func (j *judge) context(i instruction) {
	sources, _ := ends(i)
	for _, s := range sources {
		if (s == "." || s == "./" || s == "*" || s == "./*") && i.flag("from") == "" {
			j.add("SKS-DKF-020", i, i.name+" "+s)
		}
	}
}
