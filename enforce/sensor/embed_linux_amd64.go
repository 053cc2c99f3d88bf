package sensor

import "embed"

// objects are the compiled programs; those of system calls are of this
// architecture.
//
//go:embed bpf/proc.o bpf/proc_old.o bpf/net.o bpf/net_old.o bpf/lsm.o bpf/lsm_old.o bpf/sys_amd64.o bpf/sys_amd64_old.o bpf/sys_amd64_oldest.o bpf/sources.sum
var objects embed.FS
