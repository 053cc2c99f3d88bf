package e2e_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"sekisho/cli"
	"sekisho/internal/fixture/sigstoreca"
	"sekisho/internal/mkimage"
)

func TestMain(m *testing.M) {
	program := func() {
		os.Exit(cli.Main(context.Background(), cli.Process{Program: os.Args[0], Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}))
	}
	if base := filepath.Base(os.Args[0]); base == "runc" || base == "sekisho-runc" {
		program() // in a runtime's place; testscript would put these names into the path
	}
	testscript.Main(m, map[string]func(){"sekisho": program})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("SEKISHO_CACHE_DIR", filepath.Join(e.WorkDir, ".cache"))
			e.Setenv("SOURCE_DATE_EPOCH", "1795478400") // 2026-11-24
			e.Setenv("LANG", "C")
			e.Values[sigstoreKey] = sync.OnceValue(func() *sigstoreca.Sigstore { return sigstoreca.New(t) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"mkimage": makeImage, "fails": fails, "truncate": truncate, "damage": damage, "registry": startRegistry, "push": push, "pushindex": pushIndex, "notary": notary, "keyless": keyless, "verifyhead": verifyHead},
	})
}

// makeImage is "mkimage OUT [config.json] [arch=ARCH] [gzip|zstd] DIR...": a
// name ending in .tar is docker save's form, else an OCI layout; with arch=a,b
// an index.
func makeImage(ts *testscript.TestScript, _ bool, args []string) {
	img := mkimage.Image{Name: "app:1.0", Run: map[string]any{"User": "10001", "Cmd": []string{"/app"}}}
	var arches []string
	compression := ""
	for _, a := range args[1:] {
		switch {
		case strings.HasSuffix(a, ".json"):
			img.Run = nil
			ts.Check(json.Unmarshal([]byte(ts.ReadFile(a)), &img.Run))
		case strings.HasPrefix(a, "arch="):
			arches = strings.Split(a[5:], ",")
		case a == "gzip" || a == "zstd":
			compression = a
		default:
			img.Layers = append(img.Layers, mkimage.Layer{Dir: ts.MkAbs(a), Compression: compression, By: "COPY " + a})
		}
	}
	images := []mkimage.Image{img}
	for i, a := range arches {
		one := img
		one.Arch = a
		if i == 0 {
			images = nil
		}
		images = append(images, one)
	}
	if !strings.HasSuffix(args[0], ".tar") {
		ts.Check(mkimage.Layout(ts.MkAbs(args[0]), images...))
		return
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(mkimage.Docker(f, images...))
	ts.Check(f.Close())
}

// fails is "fails STATUS COMMAND…": the command ends with that status.
func fails(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	status := "0"
	if err != nil {
		exit, _ = err.(*exec.ExitError)
		if exit == nil {
			ts.Fatalf("%v", err)
		}
		status = strings.TrimPrefix(exit.Error(), "exit status ")
	}
	if status != args[0] {
		ts.Fatalf("exit status %s, want %s", status, args[0])
	}
}

// damage is "damage DIR": a byte of the first block of each file below it changes.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data[16] ^= 0x55 // of the first block
		return os.WriteFile(path, data, 0o644)
	}))
}

// truncate is "truncate FILE": the file loses its second half.
func truncate(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	info, err := os.Stat(name)
	ts.Check(err)
	ts.Check(os.Truncate(name, info.Size()/2))
}

// verifyHead is "[!] verifyhead FILE": the audit log passes through the head
// that the file holds, or does not.
func verifyHead(ts *testscript.TestScript, not bool, args []string) {
	if err := ts.Exec("sekisho", "audit", "verify", "--head", strings.TrimSpace(ts.ReadFile(args[0]))); (err != nil) != not {
		ts.Fatalf("verify: %v", err)
	}
}
