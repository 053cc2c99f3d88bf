// Package runtime is the gate in the place of an OCI runtime: the arguments of
// runc and the bundle of a container go in; out goes a question about the image
// and about what the container may do to its host, and, when the answer is no,
// an error as runc writes it, so that the engine shows it. It reads and never
// changes a bundle, and refuses what it cannot read.
package runtime

import (
	"slices"
	"strings"

	"sekisho"
)

// Command is a call of a runtime (runc(8)).
type Command struct {
	Name      string // create, run, exec, restore, or any other
	ID        string // of the container
	Bundle    string // directory; empty for the current one
	Log       string // file for errors; empty for standard error only
	LogFormat string // text or json
}

// Gated reports whether the call starts something.
func (c *Command) Gated() bool {
	return c.Name == "create" || c.Name == "run" || c.Name == "restore" || c.Name == "exec"
}

// valued are options that take a value, before and behind the command, of runc
// and crun.
func valued() []string {
	return []string{"log", "log-format", "log-level", "root", "criu", "rootless", "cgroup-manager",
		"bundle", "b", "console-socket", "pid-file", "preserve-fds", "image-path", "work-path", "parent-path", "page-server", "manage-cgroups-mode", "empty-ns", "status-fd", "lsm-profile", "lsm-mount-context",
		"process", "p", "cwd", "env", "e", "user", "u", "additional-gids", "g", "process-label", "apparmor", "cap", "c", "cgroup", "config", "f", "pidfd-socket"}
}

// switches are options without a value.
func switches() []string {
	return []string{"debug", "systemd-cgroup", "help", "h", "version", "v", "no-pivot", "no-new-keyring", "no-subreaper", "detach", "d", "keep", "tty", "t", "no-new-privs", "ignore-paused",
		"ext-unix-sk", "tcp-established", "tcp-skip-in-flight", "link-remap", "shell-job", "file-locks", "lazy-pages", "auto-dedup", "leave-running", "pre-dump", "force"}
}

// Parse reads the arguments behind the runtime's name. Of a call that starts
// something, an option that is not known is an error: what follows could be its
// value or the container.
func Parse(args []string) (*Command, error) {
	c := &Command{LogFormat: "text"}
	var unknown string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			c.positional(args[i+1:])
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			if c.Name == "" {
				c.Name = arg
				continue
			}
			c.positional(args[i : i+1])
			if c.Name == "exec" {
				break // what follows is the command inside
			}
			continue
		}
		name, value, has := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !has && slices.Contains(valued(), name) {
			if i+1 == len(args) {
				return c, sekisho.Errorf(sekisho.Usage, "option %s wants a value", arg)
			}
			i++
			value = args[i]
		} else if !has && !slices.Contains(switches(), name) {
			unknown = arg
		}
		c.option(name, value)
	}
	if c.Gated() && unknown != "" {
		return c, sekisho.Errorf(sekisho.Usage, "option %s of %s is not known to this gate", unknown, c.Name)
	}
	return c, nil
}

func (c *Command) positional(args []string) {
	if c.ID == "" && len(args) > 0 {
		c.ID = args[0]
	}
}

func (c *Command) option(name, value string) {
	switch name {
	case "bundle", "b":
		c.Bundle = value
	case "log":
		c.Log = value
	case "log-format":
		c.LogFormat = value
	}
}
