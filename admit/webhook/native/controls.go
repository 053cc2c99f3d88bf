package native

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// control writes one control. What cannot be said is left out with the reason.
func control(name string, c map[string]any) (out []Validation, why string) {
	if effect, _ := c["effect"].(string); effect == "note" {
		return nil, "it is a note, which stops nothing"
	}
	if at := texts(c["at"]); len(at) > 0 && !slices.Contains(at, "run") {
		return nil, "it is not for what runs"
	}
	switch name {
	case "privileged":
		return []Validation{each("is privileged", notPrivileged)}, ""
	case "privilege-escalation":
		return []Validation{each("allows privilege escalation", fmt.Sprintf("%s && %s && has(c.securityContext.allowPrivilegeEscalation) && !c.securityContext.allowPrivilegeEscalation && !%s.exists(a, a in ['SYS_ADMIN', 'CAP_SYS_ADMIN', 'ALL'])", hasContext, notPrivileged, list("add")))}, ""
	case "read-only-root":
		return []Validation{each("can write to its root file system", hasContext+" && has(c.securityContext.readOnlyRootFilesystem) && c.securityContext.readOnlyRootFilesystem")}, ""
	case "capabilities":
		return capabilities(c), ""
	case "host-access":
		return hostAccess(c)
	case "root-user":
		return rootUser(c), "a user that only the image names is left to sekisho"
	case "registries":
		return registries(c), ""
	case "digest-pinned":
		return digestPinned(), ""
	}
	return nil, "it needs facts that the API server does not have"
}

const hasContext = "has(c.securityContext)"

// notPrivileged also sees host processes of Windows, which are in no container.
const notPrivileged = "(!has(c.securityContext) || !has(c.securityContext.privileged) || !c.securityContext.privileged)" +
	" && !(has(c.securityContext) && has(c.securityContext.windowsOptions) && has(c.securityContext.windowsOptions.hostProcess) ? c.securityContext.windowsOptions.hostProcess" +
	" : has(variables.pod.windowsOptions) && has(variables.pod.windowsOptions.hostProcess) && variables.pod.windowsOptions.hostProcess)"

// each is a validation of every container.
func each(what, good string) Validation {
	return Validation{Expression: fmt.Sprintf("variables.containers.all(c, %s)", good),
		MessageExpression: fmt.Sprintf("'sekisho: container ' + variables.containers.filter(c, !(%s)).map(c, c.name).join(', ') + ' %s'", good, what), Reason: "Forbidden"}
}

// list is a container's capabilities, added or dropped.
func list(field string) string {
	return fmt.Sprintf("(has(c.securityContext) && has(c.securityContext.capabilities) && has(c.securityContext.capabilities.%[1]s) ? c.securityContext.capabilities.%[1]s : [])", field)
}

// capability compares names as the control does: in capitals, without CAP_.
func capability(s string) string { return strings.TrimPrefix(strings.ToUpper(s), "CAP_") }

func capabilities(c map[string]any) (out []Validation) {
	quoted := func(list []string) string {
		var all []string
		for _, s := range list {
			all = append(all, quote(capability(s)))
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	name := "(a.upperAscii().startsWith('CAP_') ? a.upperAscii().substring(4) : a.upperAscii())"
	bad := name + " in " + quoted(texts(c["allowed"]))
	if denied := texts(c["denied"]); len(denied) > 0 {
		bad = fmt.Sprintf("!(%s in %s)", name, quoted(append(denied, "ALL")))
	}
	out = append(out, each("is privileged, which is all capabilities", notPrivileged), each("adds a capability that is not allowed", fmt.Sprintf("%s.all(a, %s)", list("add"), bad)))
	if yes, _ := c["drop_all"].(bool); yes {
		out = append(out, each("does not drop all capabilities", fmt.Sprintf("%s.exists(a, a.upperAscii() in ['ALL', 'CAP_ALL'])", list("drop"))))
	}
	return out
}

func hostAccess(c map[string]any) (out []Validation, why string) {
	allowed := texts(c["allowed"])
	for _, n := range []struct{ name, field string }{{"network", "hostNetwork"}, {"pid", "hostPID"}, {"ipc", "hostIPC"}} {
		if !slices.Contains(allowed, n.name) {
			out = append(out, Validation{Expression: fmt.Sprintf("!has(variables.spec.%[1]s) || !variables.spec.%[1]s", n.field), Message: "sekisho: the pod shares the " + n.name + " namespace of its host", Reason: "Forbidden"})
		}
	}
	good := "false"
	for _, p := range texts(c["allowed_paths"]) {
		expression, ok := pathPattern(p)
		if !ok {
			return out, fmt.Sprintf("paths of the host: the pattern %s has no form in CEL, so no path is judged", p)
		}
		good += " || " + expression
	}
	out = append(out, Validation{Expression: fmt.Sprintf("variables.volumes.all(v, !has(v.hostPath) || !v.hostPath.path.contains('..') && !v.hostPath.path.contains('//') && (%s))", good),
		Message: "sekisho: the pod mounts a path of its host that is not allowed", Reason: "Forbidden"})
	return out, ""
}

// pathPattern is a pattern of path.Match, or DIR/**, over a clean path; the
// server refuses paths with "..", and what is not clean is denied.
func pathPattern(p string) (string, bool) {
	trim := "(v.hostPath.path.endsWith('/') && v.hostPath.path != '/' ? v.hostPath.path.substring(0, v.hostPath.path.size() - 1) : v.hostPath.path)"
	if dir, ok := strings.CutSuffix(p, "/**"); ok && dir != "" && !strings.ContainsAny(dir, `*?[\`) {
		return fmt.Sprintf("%[1]s == %[2]s || %[1]s.startsWith(%[3]s)", trim, quote(path.Clean("/"+dir)), quote(path.Clean("/"+dir)+"/")), true
	}
	if strings.ContainsAny(p, `[\`) || strings.Contains(p, "**") {
		return "", false
	}
	re := "^"
	for _, r := range p {
		switch r {
		case '*':
			re += "[^/]*"
		case '?':
			re += "[^/]"
		default:
			re += strings.TrimSuffix(strings.TrimPrefix(regex(string(r)), "^(?s:"), ")$")
		}
	}
	return fmt.Sprintf("%s.matches(%s)", trim, quote(re+"$")), true
}

// rootUser denies what the object itself says; a user that only the image
// names cannot be known here.
func rootUser(c map[string]any) []Validation {
	minimum, _ := number(c["minimum_uid"])
	numeric, _ := c["numeric"].(bool)
	user := "(has(c.securityContext) && has(c.securityContext.runAsUser) ? c.securityContext.runAsUser : has(variables.pod.runAsUser) ? variables.pod.runAsUser : -1)"
	nonRoot := "(has(c.securityContext) && has(c.securityContext.runAsNonRoot) ? c.securityContext.runAsNonRoot : has(variables.pod.runAsNonRoot) && variables.pod.runAsNonRoot)"
	good := fmt.Sprintf("%[1]s == -1 || %[1]s >= %[2]d", user, max(minimum, 1))
	if minimum == 0 && !numeric {
		good = nonRoot + " || " + good
	}
	return []Validation{each("runs as a user that is not allowed", good)}
}

// registries reads the registry of a reference as Docker's grammar does: the
// part before the first slash is one when it has a dot, a colon or a capital,
// or is localhost.
func registries(c map[string]any) []Validation {
	host := "(i.contains('/') && (i.split('/')[0].contains('.') || i.split('/')[0].contains(':') || i.split('/')[0] == 'localhost' || i.split('/')[0].lowerAscii() != i.split('/')[0])" +
		" ? (i.split('/')[0] == 'index.docker.io' ? 'docker.io' : i.split('/')[0]) : 'docker.io')"
	good := oneOf(host, texts(c["allowed"]))
	return []Validation{{Expression: fmt.Sprintf("variables.images.all(i, %s)", good),
		MessageExpression: fmt.Sprintf("'sekisho: not from an allowed registry: ' + variables.images.filter(i, !%s).join(', ')", good), Reason: "Forbidden"}}
}

func digestPinned() []Validation {
	const good = "i.matches('@sha256:[0-9a-f]{64}$|@sha384:[0-9a-f]{96}$|@sha512:[0-9a-f]{128}$')"
	return []Validation{{Expression: fmt.Sprintf("variables.images.all(i, %s)", good),
		MessageExpression: fmt.Sprintf("'sekisho: not pinned by digest: ' + variables.images.filter(i, !%s).join(', ')", good), Reason: "Forbidden"}}
}

// texts is a list of texts of YAML.
func texts(v any) (out []string) {
	list, _ := v.([]any)
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// number is a whole number of YAML.
func number(v any) (int64, bool) {
	switch n := v.(type) {
	case uint64:
		return int64(min(n, 1<<62)), true
	case int64:
		return n, true
	case int:
		return int64(n), true
	}
	return 0, false
}
