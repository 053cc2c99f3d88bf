package webhook

import (
	"context"
	"encoding/json"
	"strings"

	"sekisho"
	"sekisho/admit/webhook/object"
	"sekisho/policy/scope"
)

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// mutate pins the tags of what the request brings to the digests that they
// point to now: what is judged next is then what runs. It denies nothing; what
// it cannot look up stays as it is, for the validating webhook to judge.
func (s *Server) mutate(ctx context.Context, r *object.Request, c *Scope) *object.Response {
	if r.Operation != object.Create && r.Operation != object.Update || *c.Pin == "" || s.Resolver == nil {
		return allowed("nothing")
	}
	o, old, err := objects(r)
	if err != nil {
		return s.failed(r, c, "unreadable", err)
	}
	if o.Template && *c.Pin != PinAll || o.Mirror { // a node's own pods are what their files say
		return allowed("nothing")
	}
	var patch []operation
	out := allowed("nothing")
	for _, x := range o.Changed(old) {
		pinned, err := s.pin(ctx, x.Image)
		if err != nil {
			s.metrics.count("sekisho_admit_unpinned_total")
			out.Warnings = append(out.Warnings, warnings(s.text("webhook.unpinned", "image", x.Image, "error", cut(err.Error(), 120)))...)
			continue
		}
		if pinned != x.Image {
			patch = append(patch, operation{"replace", x.Path, pinned})
		}
	}
	if len(patch) == 0 {
		return out
	}
	s.metrics.count("sekisho_admit_pinned_total")
	if out.Patch, err = json.Marshal(patch); err != nil {
		return s.failed(r, c, "internal", err)
	}
	out.PatchType = "JSONPatch"
	out.AuditAnnotations["decision"] = "pinned"
	if !r.Dry() {
		details := map[string]string{"scope": c.Name}
		for _, p := range patch {
			details[p.Path] = cut(p.Value, 1100)
			if len(details) > 100 {
				break
			}
		}
		s.note(entry(r, "admit.pin", "done", details))
	}
	return out
}

// pin adds the digest to a reference that has none.
func (s *Server) pin(ctx context.Context, image string) (string, error) {
	ref, err := scope.Parse(image)
	if err != nil || ref.Digest != "" || !s.Config.Resolve.Asks(ref.Registry) {
		return image, nil // what is broken is told when it is judged
	}
	r, err := s.tags.resolve(ctx, ref)
	if err != nil {
		return "", err
	}
	if err := r.Digest.Validate(); err != nil {
		return "", sekisho.Errorf(sekisho.Corrupt, "%s: %w", image, err)
	}
	return strings.TrimSpace(image) + "@" + string(r.Digest), nil
}
