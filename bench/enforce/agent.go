//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// work is what an agent is asked to do, on the host or in a container.
type work struct {
	Name    string
	Batches int
	Size    int           // programs of a batch, files, blocks
	Time    time.Duration // of a flood
	Program string        // of a flood
	Steady  bool          // alone on the last CPU, before all others
}

// worked is what it says of it.
type worked struct {
	Took  []time.Duration
	Rate  float64 // requests or programs a second
	Count int     // programs that were run
	Error string
}

// serveAgent does what it reads until its input ends.
func serveAgent(in io.Reader, out io.Writer) error {
	runtime.LockOSThread() // its scheduling is this thread's
	read, write := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var w work
		if err := read.Decode(&w); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		r := &worked{}
		if err := schedule(w.Steady); err != nil {
			r.Error = err.Error()
		} else if err := w.do(r); err != nil {
			r.Error = err.Error()
		}
		if err := write.Encode(r); err != nil {
			return err
		}
	}
}

// schedule puts this thread and what it starts before all other work on the
// last CPU, or back among it.
func schedule(steady bool) error {
	const fifo = 1
	var cpus [16]uint64
	last := runtime.NumCPU() - 1
	policy, priority := uintptr(0), int32(0)
	for i := range last + 1 {
		cpus[i/64%16] |= 1 << (i % 64)
	}
	if steady {
		policy, priority = fifo, 1
		clear(cpus[:])
		cpus[last/64%16] = 1 << (last % 64)
	}
	// Not where the kernel schedules groups: then it competes.
	_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, 0, policy, uintptr(unsafe.Pointer(&priority)))
	if _, _, err := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(cpus), uintptr(unsafe.Pointer(&cpus))); err != 0 {
		return fmt.Errorf("choose a CPU: %w", err)
	}
	return nil
}

func (w *work) do(r *worked) error {
	switch w.Name {
	case "flood":
		return flood(w, r)
	case "nginx":
		return nginx(w, r)
	case "files":
		return files(w.Size)
	}
	one := map[string]func(int) error{"exec": programs, "tar": tar, "dd": dd}[w.Name]
	for range w.Batches {
		start := time.Now()
		if err := one(w.Size); err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
		r.Took = append(r.Took, time.Since(start))
	}
	r.Count = w.Batches * w.Size
	return nil
}

// programs runs a program n times, one after the other.
func programs(n int) error {
	for range n {
		p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
		if err != nil {
			return err
		}
		if _, err := p.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// small is the directory of small files, which is the container's own there.
const small = "/var/tmp/bench-enforce-files"

func files(n int) error {
	if err := os.RemoveAll(small); err != nil || n == 0 {
		return err
	}
	for i := range n {
		dir := filepath.Join(small, strconv.Itoa(i/200))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), []byte("a small file\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// tar packs the small files into a pipe: to /dev/null it would not read them.
func tar(int) error {
	cmd := exec.Command("tar", "-cf", "-", "-C", small, ".")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		return err
	}
	return cmd.Wait()
}

func dd(n int) error {
	return exec.Command("dd", "if=/dev/zero", "of=/dev/null", "bs=500", "count="+strconv.Itoa(n), "status=none").Run()
}

const nginxConf = `daemon off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 256; }
http { access_log %[1]s/access.log; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
server { listen 127.0.0.1:%[2]d; root %[1]s; } }
`

var perSecond = regexp.MustCompile(`Requests/sec:\s*([0-9.]+)`)

// nginx serves a small file to wrk.
func nginx(w *work, r *worked) error {
	dir, err := os.MkdirTemp("/run", "bench-nginx-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		return err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, w.Size), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), make([]byte, 600), 0o644); err != nil {
		return err
	}
	server := exec.Command("nginx", "-c", conf)
	server.Stderr, server.SysProcAttr = os.Stderr, &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := server.Start(); err != nil {
		return err
	}
	defer server.Wait()
	defer server.Process.Signal(syscall.SIGTERM)
	if err := listening(fmt.Sprintf("127.0.0.1:%d", w.Size)); err != nil {
		return err
	}
	for range w.Batches {
		out, err := exec.Command("wrk", "-t1", "-c16", "-d1s", fmt.Sprintf("http://127.0.0.1:%d/index.html", w.Size)).Output()
		m := perSecond.FindSubmatch(out)
		if err != nil || m == nil {
			return fmt.Errorf("wrk: %w: %s", err, out)
		}
		rate, _ := strconv.ParseFloat(string(m[1]), 64)
		r.Rate = max(r.Rate, rate)
	}
	return nil
}

// listening waits until a server takes connections.
func listening(address string) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}
