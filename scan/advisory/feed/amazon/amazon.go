// Package amazon reads Amazon Linux's errata from its package repositories
// (updateinfo.xml): of the releases 1, 2 and 2023, and of the topics of
// release 2 that are installed on demand, each a repository of its own. It
// refuses an errata list whose sum is not that of the repository's index.
package amazon

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"regexp"
	"slices"
	"strings"

	"sekisho"
	"sekisho/scan/advisory"
	"sekisho/scan/advisory/feed/internal/source"
)

const (
	group       = "Amazon"
	maxDocument = 1 << 30
	maxElement  = 16 << 20
	maxList     = 4 << 20
	maxTopics   = 1000
	home        = "https://cdn.amazonlinux.com"
	homeOfFirst = "http://repo.us-west-2.amazonaws.com" // of release 1
)

// Feed is Amazon Linux's errata.
type Feed struct{}

// Info implements advisory.Feed.
func (Feed) Info() advisory.Info {
	return advisory.Info{
		Name: "amazon", Title: "Amazon Linux Security Center", URL: home,
		Licence: "Amazon, not stated", Ecosystems: []string{group},
	}
}

// repository is one place that errata are read from.
type repository struct {
	release string
	name    string // empty for the one that every system has
	list    string // path of the list of mirrors, with $arch
	arch    string
}

var architectures = []string{"x86_64", "aarch64"}

func repositories(topics []string) (out []repository) {
	for _, arch := range architectures {
		for _, part := range []string{"main", "updates"} {
			if arch == "x86_64" {
				out = append(out, repository{"1", "", "2018.03/" + part + "/" + arch + "/mirror.list", arch})
			}
		}
		out = append(out,
			repository{"2", "", "2/core/latest/" + arch + "/mirror.list", arch},
			repository{"2023", "", "al2023/core/mirrors/latest/" + arch + "/mirror.list", arch})
		for _, t := range topics {
			out = append(out, repository{"2", "amzn2extra-" + t, "2/extras/" + t + "/latest/" + arch + "/mirror.list", arch})
		}
	}
	return out
}

// update is one run.
type update struct {
	advisory.Update
	state advisory.State
}

// Update implements advisory.Feed.
func (Feed) Update(ctx context.Context, u advisory.Update) (advisory.State, error) {
	r := &update{u, source.State(u.State)}
	source.Wants(&r.state, u.Want)
	topics, err := r.topics(ctx)
	if err != nil {
		return u.State, err
	}
	var found []index
	changed, lost := false, 0
	for _, repo := range repositories(topics) {
		if !advisory.Wanted(u.Want, group+":"+repo.release) {
			continue
		}
		x, err := r.index(ctx, repo)
		if sekisho.KindOf(err) == sekisho.NotFound && (repo.name != "" || repo.arch != "x86_64" || repo.release == "1") {
			continue // not every topic is for every architecture, nor has errata
		}
		if err != nil && repo.release == "1" && ctx.Err() == nil {
			lost++ // no longer supported, on a host of its own; what is known of it stands
			continue
		}
		if err != nil {
			return u.State, err
		}
		changed = changed || r.state.Cursors[repo.list] != x.sum
		r.state.Cursors[repo.list] = x.sum
		found = append(found, x)
	}
	if !changed {
		r.state.Skipped = u.State.Skipped
		return r.state, nil
	}
	r.state.Skipped = map[string]int{}
	if lost > 0 {
		r.state.Skipped["repository that does not answer"] = lost
	}
	for _, release := range releases(found) {
		u.Sink.Replace(group + ":" + release)
	}
	f := folder{at: map[key]int{}}
	for _, x := range found {
		if err := r.read(ctx, x, &f); err != nil {
			return u.State, err
		}
	}
	return r.state, f.tell(r)
}

// releases lists those of which repositories were found.
func releases(found []index) (out []string) {
	for _, x := range found {
		if !slices.Contains(out, x.release) {
			out = append(out, x.release)
		}
	}
	return out
}

var topic = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)

// topics lists the extras of release 2.
func (r *update) topics(ctx context.Context) ([]string, error) {
	if !advisory.Wanted(r.Want, group+":2") {
		return nil, nil
	}
	data, err := source.All(ctx, r.Client, r.URL+"/2/extras-catalog.json", maxList)
	if sekisho.KindOf(err) == sekisho.NotFound {
		return nil, nil // a mirror without them
	}
	if err != nil {
		return nil, err
	}
	var catalog struct {
		Topics []struct {
			Name string `json:"n"`
		} `json:"topics"`
	}
	if err := json.Unmarshal(data, &catalog); err != nil || len(catalog.Topics) > maxTopics {
		return nil, sekisho.Errorf(sekisho.Invalid, "read extras-catalog.json: no list of topics")
	}
	var out []string
	for _, t := range catalog.Topics {
		if topic.MatchString(t.Name) {
			out = append(out, t.Name)
		}
	}
	return out, nil
}

// index is where a repository's errata are.
type index struct {
	repository
	url string
	sum string // sha256 of the file as it comes
}

// index follows the list of mirrors and the repository's index.
func (r *update) index(ctx context.Context, repo repository) (index, error) {
	base := r.URL
	if repo.release == "1" && base == home {
		base = homeOfFirst
	}
	list, err := source.All(ctx, r.Client, base+"/"+repo.list, maxList)
	if err != nil {
		return index{}, err
	}
	mirror := ""
	for line := range strings.Lines(string(list)) {
		line = strings.TrimRight(strings.TrimSpace(line), "/")
		if strings.HasPrefix(line, "https://") || strings.HasPrefix(line, "http://") {
			mirror = strings.ReplaceAll(line, "$basearch", repo.arch)
			break
		}
	}
	if mirror == "" {
		return index{}, sekisho.Errorf(sekisho.Invalid, "read %s: no mirror in it", repo.list)
	}
	if rest, ok := strings.CutPrefix(mirror, home); ok {
		mirror = r.URL + rest // the user's own mirror stands for the host
	}
	data, err := source.All(ctx, r.Client, mirror+"/repodata/repomd.xml", maxList)
	if err != nil {
		return index{}, err
	}
	x, err := repomd(data)
	if err != nil {
		return index{}, sekisho.Errorf(sekisho.KindOf(err), "read %s/repodata/repomd.xml: %w", mirror, err)
	}
	return index{repo, mirror + "/" + x.Location.Href, strings.ToLower(x.Sum.Value)}, nil
}

type data struct {
	Type string `xml:"type,attr"`
	Sum  struct {
		Type  string `xml:"type,attr"`
		Value string `xml:",chardata"`
	} `xml:"checksum"`
	Location struct {
		Href string `xml:"href,attr"`
	} `xml:"location"`
}

var href = regexp.MustCompile(`^repodata/[A-Za-z0-9._-]{1,200}$`)

func repomd(doc []byte) (data, error) {
	var md struct {
		Data []data `xml:"data"`
	}
	if err := xml.Unmarshal(doc, &md); err != nil {
		return data{}, sekisho.Errorf(sekisho.Invalid, "%w", err)
	}
	for _, d := range md.Data {
		if d.Type != "updateinfo" {
			continue
		}
		d.Sum.Value = strings.TrimSpace(d.Sum.Value)
		if !href.MatchString(d.Location.Href) || strings.Contains(d.Location.Href, "..") || d.Sum.Value == "" {
			return data{}, sekisho.Errorf(sekisho.Invalid, "updateinfo is at %q", source.Line(d.Location.Href, 80))
		}
		return d, nil
	}
	return data{}, sekisho.Errorf(sekisho.NotFound, "the repository has no errata")
}

// read reads the errata of a repository.
func (r *update) read(ctx context.Context, x index, f *folder) error {
	doc, err := source.Open(ctx, r.Client, advisory.State{Validators: map[string]advisory.Validator{}}, x.url, maxDocument)
	if err != nil {
		return err
	}
	defer doc.Close()
	if sum, err := doc.Sum(); err != nil || len(x.sum) == len(sum) && sum != x.sum {
		return sekisho.Errorf(sekisho.Corrupt, "read %s: sha256 is %s, not %s", x.url, sum, x.sum)
	}
	if err := errata(doc, func(e *erratum) { f.add(x.repository, e) }); err != nil {
		return sekisho.Errorf(sekisho.KindOf(err), "read %s: %w", x.url, err)
	}
	return nil
}

func errata(in io.Reader, see func(*erratum)) error {
	return source.Markup(in, maxElement, func(d *xml.Decoder, start xml.StartElement) error {
		if start.Name.Local != "update" {
			return nil
		}
		var e erratum
		if err := d.DecodeElement(&e, &start); err != nil {
			return err
		}
		see(&e)
		return nil
	})
}
