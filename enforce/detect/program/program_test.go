package program

import (
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/enforce/detect/cond"
	"sekisho/enforce/detect/field"
)

// holdsFor evaluates one condition for one event.
func holdsFor(t testing.TB, text string, e *sekisho.Event) bool {
	t.Helper()
	n, err := cond.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	p, notes := Compile([]Rule{{Name: text, Condition: n}}, field.NewTable(), field.NewTypes())
	for _, x := range notes {
		if x.Fatal {
			t.Fatalf("%s: %v", text, x.Err)
		}
	}
	return len(p.NewMatcher(nil, "h").Match(e)) == 1
}

// TestMissing holds the table of truth for a field that the event does not
// have: the check is false whatever the operator, so its negation holds.
func TestMissing(t *testing.T) {
	e := &sekisho.Event{Seq: 1, Kind: sekisho.EventExec, Process: &sekisho.Process{Name: "x"}}
	for _, check := range []string{
		"proc.pname = x", "proc.pname != x", "proc.pname in (x)", "proc.pname contains x", "proc.pname icontains x", "proc.pname bcontains 78", "proc.pname startswith x", "proc.pname endswith x", "proc.pname glob *",
		"proc.pname iglob *", "proc.pname regex .*", "proc.pname pmatch (/)", "proc.pname intersects (x)", "proc.pname exists", "proc.pname = val(proc.name)", "proc.name = val(proc.pname)", "tolower(proc.pname) = x", "proc.ppid.duration >= 0", "proc.ppid.duration != 0",
		"fd.num != 1", "fd.ip != 1.2.3.4", "fd.net != 1.2.3.0/24", "fd.port != 1", "fd.sip = 1.2.3.4", "evt.is_open_write != true", "container.privileged != true", "proc.aname != x", "proc.aname = x", "proc.aname[2] != x", "k8s.ns.name != x", "evt.arg.path != x", "proc.nchilds >= 0",
	} {
		if holdsFor(t, check, e) {
			t.Errorf("%s holds although the field is missing", check)
		}
		if !holdsFor(t, "not "+check, e) {
			t.Errorf("not %s does not hold although the field is missing", check)
		}
	}
}

// TestOperators holds what each operator says.
func TestOperators(t *testing.T) {
	parent := &sekisho.Process{Name: "sshd", Path: "/usr/sbin/sshd", Args: []string{"sshd", "-D"}, Parent: &sekisho.Process{Name: "systemd", PID: 1}}
	e := &sekisho.Event{Seq: 3, Time: time.Unix(20, 0), Kind: sekisho.EventExec, Syscall: "execve", Process: &sekisho.Process{PID: 9, ParentPID: 4, InnerPID: 2, Name: "bash", Path: "/usr/bin/bash", Args: []string{"-bash", "--Login", "--file=x y", "aGk="}, Directory: "/root", TTY: 3,
		LoginUID: 1<<32 - 1, Effective: 1<<21 | 1, Parent: parent, Started: time.Unix(10, 0), Env: []string{"A=1", "PATH=/bin"}}}
	for check, want := range map[string]bool{
		"proc.name = bash": true, "proc.name == bash": true, "proc.name != bash": false, "proc.name in (zsh, bash)": true, "proc.name in ()": false, "proc.name in (zsh)": false,
		"proc.cmdline = \"bash --Login --file=x y aGk=\"": true, "proc.exeline startswith -bash": true, "proc.args icontains --login": true, "proc.args contains --login": false, "proc.cmdline bcontains 4c6f67696e": true, "proc.cmdline bstartswith 62617368": true,
		"proc.exepath startswith /usr/": true, "proc.exepath endswith /bash": true, "proc.exepath glob /usr/*/b?sh": true, "proc.exepath glob /usr": false, "proc.exepath glob /usr/bin/[a-c]ash": true, "proc.exepath glob /usr/bin/[!a-c]ash": false, "proc.exepath iglob /USR/*": true,
		"proc.exepath pmatch (/usr)": true, "proc.exepath pmatch (/us)": false, "proc.exepath pmatch (/usr/*/bash)": true, "proc.exepath pmatch (/opt, /usr/bin/bash)": true, "proc.exepath pmatch (/usr/bin/bash/x)": false, "proc.exepath pmatch (/)": true,
		"proc.exepath regex \"/usr/.*\"": true, "proc.exepath regex usr": false, "proc.name intersects (a, bash)": true, "proc.name exists": true, "evt.type = execve": true, "evt.type in (open, execve)": true, "not evt.type = open": true,
		"proc.name contains oneof (x, as)": true, "proc.name contains allof (b, as)": true, "proc.name contains allof (b, x)": false, "proc.name startswith anyof (z, b)": true, "proc.aname in allof (sshd, systemd)": true, "proc.aname in allof (sshd, x)": false,
		"proc.pid = 9": true, "proc.pid = 0x9": true, "proc.pid > 9": false, "proc.pid >= 9": true, "proc.pid < 10": true, "proc.pid <= 8": false, "proc.pid in (1, 9)": true, "proc.pid != 8": true, "user.loginuid = -1": true, "proc.duration = 10000000000": true,
		"proc.aname = systemd": true, "proc.aname = bash": false, "proc.aname[0] = bash": true, "proc.aname[2] = systemd": true, "proc.aname[3] = x": false, "proc.acmdline contains sshd": true, "proc.apid = 1": true, "proc.pname = val(proc.aname[1])": true, "proc.name = val(proc.pname)": false,
		"tolower(proc.args) contains --login": true, "toupper(proc.name) = BASH": true, "basename(proc.exepath) = bash": true, "len(proc.name) = 4": true, "len(proc.aname) = 2": true, "concat(proc.name, \"-\", proc.pname) = bash-sshd": true, "join(\",\", proc.aname) = \"sshd,systemd\"": true, "getopt(proc.args, \"file\") = x": true,
		"b64(proc.name) exists": true, "tolower(toupper(proc.name)) = val(proc.name)": true, "proc.env[A] = 1": true, "proc.env[B] exists": false, "proc.env icontains \"path=\"": true, "proc.cwd = /root/": true, "proc.cmdnargs = 3": true,
		"evt.num = 0": false, "evt.num >= 0": true, "evt.num = 3": true, "evt.num != 0": true, "container.id = host": true, "container.id != host": false, "thread.cap_effective contains CAP_SYS_ADMIN": true, "thread.cap_effective = \"CAP_CHOWN CAP_SYS_ADMIN\"": true, "evt.rawres = 0 and evt.res = SUCCESS": true,
		"(proc.name = x or proc.name = bash) and not (proc.name = y)": true, "not not proc.name = bash": true, "not(proc.name = bash)": false, "proc.name = 'bash'": true, "proc.name = \"ba\\\"sh\"": false, "user.name = root": true, "proc.tty != 0": true,
	} {
		if got := holdsFor(t, check, e); got != want {
			t.Errorf("%s is %v, want %v", check, got, want)
		}
	}
}

// TestTypes holds that what makes no sense is refused, with a reason.
func TestTypes(t *testing.T) {
	for text, want := range map[string]string{
		"proc.nam = x": "proc.nam is no field", "proc.pid = x": `"x" is no number`, "proc.pid contains 1": "proc.pid is no text", "proc.name < 3": "proc.name is no number", "fd.ip = x": `"x" is no address`, "fd.net = 1.2.3.4/99": "is no network",
		"evt.is_open_read = maybe": "is not true or false", "proc.name[2] = x": "takes no argument", "proc.aname[x] = y": "wants a small number", "proc.name regex \"(\"": "error parsing regexp", "proc.name bcontains zz": "is not hexadecimal", "proc.name = val(proc.pid)": "are not of one type",
		"tolower(proc.pid) = 3": "wants texts", "concat() = x": "want", "val(proc.name) = x": "val does not take", "proc.env[] = x": "want an argument",
	} {
		n, err := cond.Parse(text)
		if err == nil {
			_, notes := Compile([]Rule{{Name: "r", Condition: n}}, field.NewTable(), field.NewTypes())
			for _, x := range notes {
				if x.Fatal {
					err = x.Err
				}
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", text, err, want)
		}
	}
}

// TestSharedMacros holds that conditions that double again and again are
// compiled in no time.
func TestSharedMacros(t *testing.T) {
	n, _ := cond.Parse("proc.name = x")
	other, _ := cond.Parse("proc.pname = y")
	for range 200 {
		n = &cond.Node{Op: cond.Or, Kids: []*cond.Node{{Op: cond.And, Kids: []*cond.Node{n, other}}, {Op: cond.Not, Kids: []*cond.Node{n}}}}
	}
	p, _ := Compile([]Rule{{Name: "r", Condition: n}}, field.NewTable(), field.NewTypes())
	p.NewMatcher(nil, "").Match(&sekisho.Event{Kind: sekisho.EventExec, Process: &sekisho.Process{Name: "x"}})
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"proc.name = x", "not (fd.name startswith /a or tolower(proc.name) in (a, b))", "proc.aname[2] != val(proc.name)", "fd.net in (\"10.0.0.0/8\")", "proc.name glob [a-", "proc.args regex \"a(b|c)*\" and evt.type=open", "proc.env[A] bcontains 00ff", "proc.name pmatch (/a/*, '')"} {
		f.Add(s, "bash", "/etc/passwd")
	}
	table, types := field.NewTable(), field.NewTypes()
	f.Fuzz(func(t *testing.T, text, name, path string) {
		n, err := cond.Parse(text)
		if err != nil {
			return
		}
		p, _ := Compile([]Rule{{Name: "r", Condition: n}}, table, types)
		m := p.NewMatcher(nil, "")
		for _, k := range []sekisho.EventKind{sekisho.EventExec, sekisho.EventOpen, sekisho.EventConnect} {
			m.Match(&sekisho.Event{Seq: 1, Kind: k, Path: path, Process: &sekisho.Process{Name: name, Args: []string{name, path}, Env: []string{name}}})
		}
	})
}
