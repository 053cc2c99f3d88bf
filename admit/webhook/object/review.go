// Package object reads what a Kubernetes API server sends for admission: the
// review (admission.k8s.io/v1) and, out of every kind that makes pods, the
// containers with all that they inherit and with the platform's defaults. JSON
// goes in, workloads come out. It refuses kinds that it does not know: nothing
// that may start a container is taken for harmless.
//
// The types are its own, of the fields that are judged. Those of k8s.io/api
// would bring 60 modules and 20 MB for about 40 fields, and would drop without
// a word what a newer server sends.
package object

import (
	"bytes"
	"encoding/json"
	"fmt"

	"sekisho"
)

// APIVersion is the version of reviews that are spoken.
const APIVersion = "admission.k8s.io/v1"

// Operations of a request.
const (
	Create  = "CREATE"
	Update  = "UPDATE"
	Connect = "CONNECT"
)

// Review is an AdmissionReview.
type Review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *Request  `json:"request,omitempty"`
	Response   *Response `json:"response,omitempty"`
}

// Request is what the server asks.
type Request struct {
	UID         string          `json:"uid"`
	Kind        Kind            `json:"kind"`
	Resource    Resource        `json:"resource"`
	SubResource string          `json:"subResource"`
	Name        string          `json:"name"`
	Namespace   string          `json:"namespace"`
	Operation   string          `json:"operation"`
	User        User            `json:"userInfo"`
	Object      json.RawMessage `json:"object"`
	OldObject   json.RawMessage `json:"oldObject"`
	DryRun      *bool           `json:"dryRun"`
}

// Kind is a group, version and kind.
type Kind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

// Resource is a group, version and resource.
type Resource struct {
	Group    string `json:"group"`
	Version  string `json:"version"`
	Resource string `json:"resource"`
}

// User is who asks.
type User struct {
	Name   string   `json:"username"`
	UID    string   `json:"uid"`
	Groups []string `json:"groups"`
}

// Response is what the server is told.
type Response struct {
	UID              string            `json:"uid"`
	Allowed          bool              `json:"allowed"`
	Status           *Status           `json:"status,omitempty"`
	Patch            []byte            `json:"patch,omitempty"` // base64 in JSON
	PatchType        string            `json:"patchType,omitempty"`
	AuditAnnotations map[string]string `json:"auditAnnotations,omitempty"`
	Warnings         []string          `json:"warnings,omitempty"`
}

// Status says why not.
type Status struct {
	Message string `json:"message"`
	Reason  string `json:"reason,omitempty"`
	Code    int    `json:"code,omitempty"`
}

// Dry reports whether nothing will come of the request.
func (r *Request) Dry() bool { return r.DryRun != nil && *r.DryRun }

// Subject names the object: pods/shop/cart, pods/exec/shop/cart, nodes/proxy/n1.
func (r *Request) Subject() string {
	s := r.Resource.Resource
	for _, part := range []string{r.SubResource, r.Namespace, r.Name} {
		if part != "" {
			s += "/" + part
		}
	}
	return s
}

// Decode reads a review. Its request is never nil without an error.
func Decode(data []byte) (*Review, error) {
	v := &Review{}
	if err := json.Unmarshal(data, v); err != nil {
		return nil, sekisho.Errorf(sekisho.Invalid, "read admission review: %w", err)
	}
	switch {
	case v.Request == nil:
		return nil, sekisho.Errorf(sekisho.Invalid, "read admission review: there is no request")
	case v.APIVersion != APIVersion:
		return nil, sekisho.Errorf(sekisho.Invalid, "read admission review: version %q, want %s", v.APIVersion, APIVersion)
	case v.Request.UID == "":
		return nil, sekisho.Errorf(sekisho.Invalid, "read admission review: the request has no uid")
	}
	return v, nil
}

// maxHead bounds how many tokens Head looks at.
const maxHead = 500

// Head reads what stands before the object of a review that is too large or
// damaged: enough to answer it and to say whose it was. Servers write uid,
// resource, namespace and user first.
func Head(data []byte) (r Request, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	var path []string
	key, expectKey := "", false
	var object []bool // of each open bracket
	for range maxHead {
		t, err := d.Token()
		if err != nil {
			return r, fmt.Errorf("read the head of a review: %w", err)
		}
		switch v := t.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				if len(path) == 1 && path[0] == "request" && (key == "object" || key == "oldObject") {
					return r, nil
				}
				if key != "" || len(object) > 0 {
					path = append(path, key)
				}
				object, expectKey = append(object, v == '{'), v == '{'
				continue
			}
			object = object[:len(object)-1]
			if len(path) > 0 {
				path = path[:len(path)-1]
			}
			if len(object) == 0 {
				return r, nil
			}
			expectKey = object[len(object)-1]
		case string:
			if expectKey {
				key, expectKey = v, false
				continue
			}
			r.head(path, key, v)
			expectKey = object != nil && object[len(object)-1]
		default:
			expectKey = object != nil && object[len(object)-1]
		}
	}
	return r, nil
}

// head takes one field.
func (r *Request) head(path []string, key, value string) {
	at := ""
	for _, p := range append(path, key) {
		at += "/" + p
	}
	switch at {
	case "/request/uid":
		r.UID = value
	case "/request/namespace":
		r.Namespace = value
	case "/request/name":
		r.Name = value
	case "/request/operation":
		r.Operation = value
	case "/request/subResource":
		r.SubResource = value
	case "/request/resource/resource":
		r.Resource.Resource = value
	case "/request/kind/kind":
		r.Kind.Kind = value
	case "/request/userInfo/username":
		r.User.Name = value
	}
}
