/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a workload's profile has, held against what it does. The maps are keyed
 * by the number of a set of rules, which is made of its content: a profile
 * that changes is written whole under its new number before a container is put
 * under it. Whoever can deny (an LSM hook) may ask the same questions as those
 * who kill. */
#ifndef SEKISHO_VERDICT_H
#define SEKISHO_VERDICT_H
#include "common.h"

/* Bits of net_key.proto above the number of the protocol. */
#define P_IPV4 0x100
#define P_LISTEN 0x200 /* the port may be listened on; the address is zero */

struct net_key {
	u32 prefixlen; /* in bits, of what follows */
	u32 rules;
	u16 port, proto;
	u32 addr[4]; /* an IPv4 address stands in the first */
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct net_key);
	__type(value, u32);
} nets SEC(".maps");

/* Names that may be connected to, by a hash of their form in a message. */
#define HOST_PORTS 8
struct host_key {
	u64 name;
	u32 rules, pad;
};
struct host {
	u32 count, pad;
	struct {
		u16 port, proto;
	} ports[HOST_PORTS];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct host_key);
	__type(value, struct host);
} hosts SEC(".maps");

/* Addresses that a name server gave a container for one of those names. */
struct resolved_key {
	u64 container;
	u32 rules;
	u16 port, proto;
	u32 addr[4];
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct resolved_key);
	__type(value, u64);
} resolved SEC(".maps");

#define PATH_WRITE 'w'
#define PATH_EXEC 'x'
#define LEVEL_ALL 0  /* everything below the prefix, or just this path */
#define LEVEL_ONE 1  /* names in this directory */
#define LEVEL_GLOB 2 /* a pattern begins here: whoever reads the events decides */
struct path_value {
	u32 level;
	u32 length; /* of the prefix */
};
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct path_key);
	__type(value, struct path_value);
} paths SEC(".maps");

/* Numbers of rules that are whole. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, u8);
} rulesets SEC(".maps");

/* Processes that a runtime started in a container and that are the container's
 * own by now. */
struct settled_key {
	u64 start;
	u32 pid, pad;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct settled_key);
	__type(value, u8);
} settled SEC(".maps");

#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58
#define IPPROTO_MPTCP 262

/* stopping says whether what a container's rules do not have is stopped: its
 * policy wants it, there are rules, and a missing enforcer does not lift it. */
INLINE bool stopping(struct config *c, struct who *w, struct policy *p, u32 bits)
{
	return w->cg && w->cg->rules && p && p->mode & bits && !(c->loss & LOSS_OPEN && gone(c));
}

/* plain writes an address in one form: an IPv4 address inside an IPv6 one is
 * the IPv4 address. */
INLINE u16 plain(u32 *addr, bool six)
{
	if (six && (addr[0] || addr[1] || addr[2] != bpf_htonl(0xffff)))
		return 0;
	if (six)
		addr[0] = addr[3];
	addr[1] = addr[2] = addr[3] = 0;
	return P_IPV4;
}

/* loopback says whether an address stays inside: this machine's, or none,
 * which a connection takes for it. */
INLINE bool loopback(const u32 *addr, u16 family)
{
	if (family == P_IPV4)
		return !addr[0] || (bpf_ntohl(addr[0]) >> 24) == 127;
	return !addr[0] && !addr[1] && !addr[2] && bpf_ntohl(addr[3]) <= 1;
}

INLINE bool net_known(u32 rules, const u32 *addr, u16 port, u16 proto)
{
	struct net_key k = {.prefixlen = 192, .rules = rules, .port = port, .proto = proto};

	k.addr[0] = addr[0];
	k.addr[1] = addr[1];
	k.addr[2] = addr[2];
	k.addr[3] = addr[3];
	return bpf_map_lookup_elem(&nets, &k) != NULL;
}

INLINE bool listen_known(u32 rules, u16 port, u16 proto)
{
	u32 none[4] = {};
	return net_known(rules, none, port, proto | P_LISTEN);
}

/* peer_known says whether a container may reach an address, in plain form. */
INLINE bool peer_known(struct cg *cg, const u32 *addr, u16 port, u16 proto)
{
	struct resolved_key r = {.container = cg->container, .rules = cg->rules, .port = port, .proto = proto};

	if (net_known(cg->rules, addr, port, proto))
		return true;
	r.addr[0] = addr[0];
	r.addr[1] = addr[1];
	r.addr[2] = addr[2];
	r.addr[3] = addr[3];
	return bpf_map_lookup_elem(&resolved, &r) != NULL;
}

/* path_known says whether a profile has the path that was walked to s->walk.
 * name is the length of the path's last part, 0 where it is not known. */
INLINE bool path_known(struct scratch *s, u32 rules, u8 kind, u32 pos, u32 name)
{
	struct path_key *k = &s->key;
	struct path_value *v;
	u32 n;

	pos &= BUF_PATH - 1;
	n = BUF_PATH - pos;
	if (n > PATH_BYTES - 1)
		n = PATH_BYTES - 1;
	OPAQUE(n);
	if (n > PATH_BYTES - 1)
		return false;
	bpf_probe_read_kernel(k->path, n, &s->walk[pos]);
	k->path[n] = 0; /* what is known as a whole ends so too */
	k->rules = rules;
	k->kind = kind;
	k->prefixlen = (n + 6) * 8;
	v = bpf_map_lookup_elem(&paths, k);
	if (!v)
		return false;
	return v->level != LEVEL_ONE || !name || v->length == BUF_PATH - pos - name;
}

#define O_ACCMODE 3
#define O_CREAT 0100
#define O_TRUNC 01000
#define O_PATH 010000000
#define FMODE_WRITE 2

/* Whoever can refuse an open before it happens asks writable, walks the path
 * from the root of the mounts, and asks unknown, as those who kill do. */

/* writable says whether a file was opened to write what a profile speaks of:
 * its content, not a terminal, a pipe or a device of characters. */
INLINE bool writable(struct file *f, u64 flags)
{
	u32 kind = L(f, f_inode, i_mode) & S_IFMT;

	if (!(L(f, f_mode) & FMODE_WRITE) && !(flags & (O_CREAT | O_TRUNC)))
		return false;
	return !(flags & O_PATH) && (kind == S_IFREG || kind == S_IFBLK || kind == S_IFDIR);
}

/* proc_own says whether a path is one of a process in /proc, but for its memory:
 * they have numbers, and the kernel guards them. */
INLINE bool proc_own(struct scratch *s, struct dentry *d, u32 pos)
{
	char name[4] = {};
	u8 digit;

	pos &= BUF_PATH - 1;
	if (L(d, d_sb, s_magic) != PROC_SUPER_MAGIC || pos > BUF_PATH - 8)
		return false;
	digit = s->walk[(pos + 6) & (BUF_PATH - 1)];
	bpf_probe_read_kernel(name, 4, L(d, d_name.name));
	return digit >= '0' && digit <= '9' && !(name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && !name[3]);
}

/* unknown says whether a file that was opened to write, and whose path was
 * walked, is none of the places that the profile has. */
static __attribute__((noinline, unused)) bool unknown(struct scratch *s, struct file *f, u32 rules, u32 pos)
{
	struct dentry *d = L(f, f_path.dentry);
	struct vfsmount *m = L(f, f_path.mnt);
	u32 name = L(d, d_name.len);

	if (L(m, mnt_root) == d)
		name = 0; /* a file that is mounted has the name of its place */
	return !path_known(s, rules, PATH_WRITE, pos, name) && !proc_own(s, d, pos);
}

/* foreign says whether a task runs a file that its own mounts do not have, as
 * a container's runtime does before it becomes the container's program. */
INLINE bool foreign(struct task_struct *t)
{
	struct mm_struct *mm = L(t, mm);
	struct mount *mount;

	if (!mm)
		return true;
	mount = CAST(mount, (void *)L(mm, exe_file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt));
	return (u64)L(mount, mnt_ns) != (u64)L(t, nsproxy, mnt_ns);
}

INLINE bool born_outside(struct task_struct *t, struct config *c, u64 container)
{
	struct who w;

	identify(L(t, real_parent), c, &w);
	return !w.cg || w.cg->container != container;
}

/* setup says whether a task is a runtime's that makes a container: it came
 * from outside and has not become a program of the container yet. */
INLINE bool setup(struct task_struct *t, struct config *c, u64 container)
{
	struct settled_key k = {.pid = L(t, tgid)};

	if (!foreign(t) || !born_outside(t, c, container))
		return false;
	k.start = started(L(t, group_leader));
	return !bpf_map_lookup_elem(&settled, &k);
}

/* settle notes at exec that a task which came from outside is the container's
 * own from now on: it does not become a runtime again by running something
 * that has no place among its mounts. */
INLINE void settle(struct task_struct *t, struct config *c, u64 container)
{
	struct settled_key k = {.pid = L(t, tgid)};
	u8 one = 1;

	if (foreign(t) || !born_outside(t, c, container))
		return;
	k.start = started(L(t, group_leader));
	bpf_map_update_elem(&settled, &k, &one, BPF_ANY);
}

#endif
