package fanotify

import (
	"maps"
	"testing"
)

func TestMarkable(t *testing.T) {
	info := "1 0 0:50 / / rw - overlay overlay rw\n" +
		"2 1 0:51 / /proc rw - proc proc rw\n" +
		"3 1 0:52 / /dev/shm rw,nosuid,nodev,noexec - tmpfs shm rw\n" +
		"4 1 0:53 / /t rw,nosuid - tmpfs tmpfs rw\n" +
		`5 1 8:1 /vol /with\040blank rw - ext4 /dev/sda1 rw` + "\n" +
		"6 1 0:54 / /sys/fs/cgroup ro - cgroup2 cgroup rw\nbroken\n"
	want := map[string]bool{"/t": true, "/with blank": false}
	if got := markable([]byte(info)); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzMarkable(f *testing.F) {
	f.Add([]byte("4 1 0:53 / /t rw,nosuid - tmpfs tmpfs rw\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n := len(markable(data)); n > maxMounts {
			t.Fatal(n)
		}
	})
}
