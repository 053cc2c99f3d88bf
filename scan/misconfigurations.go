package scan

import (
	"strings"

	"sekisho"
	"sekisho/image"
	"sekisho/scan/misconfig"
	"sekisho/scan/squash"
)

// misconfigurations judges the configuration and the facts of visible files.
func (s *scanner) misconfigurations(tree *squash.Tree, layers []sekisho.Layer) []sekisho.Finding {
	if s.img.Kind == image.KindRepository {
		return nil
	}
	in := misconfig.Input{Kind: s.img.Kind, Name: name(s.img), Config: s.img.Config, OS: distribution(tree), Now: s.Now}
	for _, f := range tree.Files {
		if f.Hidden {
			continue
		}
		for _, fact := range f.Facts {
			in.Facts = append(in.Facts, misconfig.Placed{Fact: fact, Path: f.Path, Layer: f.Layer})
		}
	}
	var list []sekisho.Finding
	for _, j := range misconfig.Image(in) {
		list = append(list, place(j.Finding, layers, j.Layer))
	}
	return list
}

// name returns the reference of an image that was asked for by name, without
// the scheme; files have none.
func name(img *image.Image) string {
	scheme, rest, ok := strings.Cut(img.Reference, ":")
	if !ok || img.Kind != image.KindImage {
		return ""
	}
	switch scheme {
	case "docker", "containerd", "registry":
		return rest
	}
	return ""
}
