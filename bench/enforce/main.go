//go:build linux

// Command enforce measures what the enforcer costs a host: its memory with many
// containers, how much slower whole workloads are beside it, and what becomes
// of the events of a flood. The same workload runs with and without the
// enforcer in turn, in one run, on the host and in a container; the fastest of
// many short batches counts, since other work on the machine only slows down.
// It needs root and runc; nginx and wrk are used where they are installed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	only       string
	containers int
	rounds     int
	flood      time.Duration
	rules      string
	dir        string // of everything that is made
	sekisho    string // the program
	program    string // of a flood
	self       string // this program, static, to be run in containers
}

func main() {
	o := options{}
	agent := flag.Bool("agent", false, "run workloads that standard input names (used by the command itself)")
	flag.StringVar(&o.only, "only", "memory,workloads,flood", "what is measured")
	flag.IntVar(&o.containers, "containers", 200, "containers whose memory is measured")
	flag.IntVar(&o.rounds, "rounds", 7, "rounds of each workload with and without the enforcer")
	flag.DurationVar(&o.flood, "flood", 10*time.Second, "how long the flood of programs lasts")
	flag.StringVar(&o.rules, "rules", "../shared/data/rules/falco", "a directory of rules in the Falco language, loaded beside our own")
	flag.StringVar(&o.sekisho, "sekisho", "", "the program to measure; built from here when left out")
	flag.Parse()
	if *agent {
		if err := serveAgent(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	if os.Getuid() != 0 {
		return fmt.Errorf("root is needed")
	}
	if o.rules, err = filepath.Abs(o.rules); err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp("", "bench-enforce-"); err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	for name, to := range map[string]*string{"./cmd/sekisho": &o.sekisho, "./bench/enforce": &o.self} {
		if *to != "" {
			continue
		}
		*to = filepath.Join(o.dir, filepath.Base(name)+"-built")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", *to, name)
		build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build %s: %w", name, err)
		}
	}
	for _, step := range []struct {
		name string
		do   func(context.Context, options) error
	}{{"memory", memory}, {"workloads", workloads}, {"flood", floods}} {
		if slices.Contains(strings.Split(o.only, ","), step.name) {
			if err := step.do(ctx, o); err != nil {
				return fmt.Errorf("%s: %w", step.name, err)
			}
		}
	}
	return nil
}

// tiers are the settings that are compared.
func (o options) tiers() (map[string]string, error) {
	public, err := filepath.Glob(filepath.Join(o.rules, "*.yaml"))
	if err != nil || len(public) == 0 {
		return nil, fmt.Errorf("no rules in %s: %v", o.rules, err)
	}
	return map[string]string{
		"syscalls: false": "syscalls: false\n",
		"own rules":       "",
		"all rules":       "rules: {files: [" + strings.Join(public, ", ") + "]}\n",
	}, nil
}

// table prints rows below a head, in Markdown.
func table(head []string, rows [][]string) {
	fmt.Printf("\n| %s |\n|%s\n", strings.Join(head, " | "), "---|"+strings.Repeat("--:|", len(head)-1))
	for _, r := range rows {
		fmt.Printf("| %s |\n", strings.Join(r, " | "))
	}
	fmt.Println()
}

func fastest(list []time.Duration) time.Duration { return slices.Min(list) }

// machine says where this was measured.
func machine() string {
	var u syscall.Utsname
	_ = syscall.Uname(&u)
	var b strings.Builder
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return fmt.Sprintf("Linux %s, %s, %d CPUs", b.String(), runtime.GOARCH, runtime.NumCPU())
}
