// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Connections, listeners, sockets and names, below the system calls: it does
// not matter by which one a process asks.
#include "dns.h"

struct bpf_sock {
	u32 bound_dev_if, family, type, protocol, mark, priority, src_ip4, src_ip6[4], src_port;
};

struct bpf_sock_addr {
	u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol, msg_src_ip4, msg_src_ip6[4];
	struct bpf_sock *sk __attribute__((aligned(8)));
};

struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol;
};

struct seen_key {
	u64 cgroup;
	u8 remote[16];
	u16 port, kind;
	u32 pad;
};

/* When a datagram's peer was last told: the next minute's are not. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct seen_key);
	__type(value, u64);
} sends SEC(".maps");

/* Whose sockets are, by their cookies, and whose listeners, by namespace and
 * port: what the kernel keeps of a socket's cgroup is that of v2 only. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u64);
} owners SEC(".maps");

#define LISTENER (1ULL << 63)

INLINE void own(struct who *w, u64 k)
{
	u64 v = w->cg ? w->cg->container : 0;
	if (v)
		bpf_map_update_elem(&owners, &k, &v, BPF_ANY);
}

INLINE void owned(struct who *w, u64 k)
{
	u64 *v = bpf_map_lookup_elem(&owners, &k);
	if (!v)
		return;
	w->cgroup = *v;
	w->cg = bpf_map_lookup_elem(&cgroups, &w->cgroup);
}

/* listener names a listening socket by what its connections share with it. */
INLINE u64 listener(const struct sock *sk)
{
	return LISTENER | (u64)L(sk, __sk_common.skc_net.net, ns.inum) << 16 | L(sk, __sk_common.skc_num);
}

#define TCP_ESTABLISHED 1
#define TCP_SYN_RECV 3
#define TCP_LISTEN 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define IPPROTO_UDPLITE 136
#define DNS_PORT 53
#define MINUTE (60 * SECOND)

INLINE void give(struct config *c, struct counter *n, struct net_event *from)
{
	struct net_event *e = bpf_ringbuf_reserve(&bulk, sizeof(*e), 0);
	if (!e) {
		ADD(n, lost);
		return;
	}
	*e = *from;
	e->h.size = sizeof(*e);
	ADD(n, submitted);
	bpf_ringbuf_submit(e, wake(c));
}

/* again says whether the same was told within a span of time. */
INLINE bool again(struct who *w, struct net_event *e, u32 kind, u64 span)
{
	struct seen_key k = {.cgroup = w->cg ? w->cg->container : 0, .port = e->rport ? e->rport : e->lport, .kind = kind, .pad = e->op << 16 | e->protocol};
	u64 now = bpf_ktime_get_boot_ns(), *last;

	__builtin_memcpy(k.remote, e->remote, 16);
	last = bpf_map_lookup_elem(&sends, &k);
	if (last && now - *last < span)
		return true;
	bpf_map_update_elem(&sends, &k, &now, BPF_ANY);
	return false;
}

/* deny tells what is denied, each once a second. */
static __attribute__((noinline)) int deny(struct config *c, struct who *w, struct net_event *e)
{
	struct counter *n = counter(K_DENIED);
	struct task_struct *t = TASK();

	ADD(n, seen);
	if (again(w, e, K_DENIED, SECOND)) {
		ADD(n, filtered);
		return 0;
	}
	heading(&e->h, t, w, K_DENIED);
	e->h.result = -1; /* EPERM */
	give(c, n, e);
	return 0;
}

/* reachable says whether a container may send to where it wants to. */
INLINE bool reachable(struct who *w, struct net_event *e, bool six)
{
	u16 proto = e->protocol == IPPROTO_MPTCP ? IPPROTO_TCP : e->protocol;
	u32 addr[4];
	u16 family;

	__builtin_memcpy(addr, e->remote, 16);
	family = six ? plain(addr, true) : P_IPV4;
	if (loopback(addr, family) || peer_known(w->cg, addr, e->rport, proto | family))
		return true;
	/* what a server answers from its port is no connection of its own */
	return e->op == OP_SEND && e->lport && listen_known(w->cg->rules, e->lport, proto);
}

INLINE int peer(struct bpf_sock_addr *ctx, u32 kind, bool six)
{
	struct config *c = conf();
	struct counter *n = counter(kind);
	struct task_struct *t = TASK();
	struct net_event e = {};
	struct policy *p;
	struct who w;
	bool stops;

	if (!c)
		return 1;
	ADD(n, seen);
	identify(t, c, &w);
	p = policy_of(&w);
	stops = stopping(c, &w, p, M_DENY_CONNECT);
	if (!wanted(c, &w, kind) && !stops) {
		ADD(n, filtered);
		return 1;
	}
	if (six) {
		u32 *to = (u32 *)e.remote;
		to[0] = ctx->user_ip6[0];
		to[1] = ctx->user_ip6[1];
		to[2] = ctx->user_ip6[2];
		to[3] = ctx->user_ip6[3];
	} else
		*(u32 *)e.remote = ctx->user_ip4;
	e.rport = bpf_ntohs(ctx->user_port);
	e.family = six ? AF_INET6 : AF_INET;
	e.type = ctx->type;
	e.protocol = ctx->protocol;
	e.op = OP_CONNECT;
	if (kind == K_SEND) {
		struct bpf_sock *sk = ctx->sk;
		e.op = OP_SEND;
		if (sk)
			e.lport = sk->src_port;
	}
	if (stops && !reachable(&w, &e, six)) {
		ADD(n, filtered);
		return deny(c, &w, &e);
	}
	if (!wanted(c, &w, kind) || (kind == K_SEND && again(&w, &e, kind, MINUTE))) {
		ADD(n, filtered);
		return 1;
	}
	if (w.cg && spent(c, w.cg->container)) {
		ADD(n, lost);
		return 1;
	}
	heading(&e.h, t, &w, kind);
	give(c, n, &e);
	return 1;
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx) { return peer(ctx, K_CONNECT, false); }

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx) { return peer(ctx, K_CONNECT, true); }

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx) { return peer(ctx, K_SEND, false); }

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx) { return peer(ctx, K_SEND, true); }

/* bound holds what a socket is bound to against what may be listened on. A
 * name server of its own would name peers as it likes. */
INLINE int bound(struct bpf_sock_addr *ctx, bool six)
{
	struct config *c = conf();
	struct net_event e = {};
	struct policy *p;
	struct who w;
	u16 proto;

	e.lport = bpf_ntohs(ctx->user_port);
	if (!c || !e.lport)
		return 1; /* the kernel chooses a port */
	identify(TASK(), c, &w);
	p = policy_of(&w);
	if (!stopping(c, &w, p, M_DENY_LISTEN | M_DENY_CONNECT))
		return 1;
	e.type = ctx->type;
	e.protocol = ctx->protocol;
	if (e.type == SOCK_STREAM && p->mode & M_DENY_LISTEN)
		proto = IPPROTO_TCP;
	else if (e.type == SOCK_DGRAM && e.lport == DNS_PORT && p->mode & M_DENY_CONNECT)
		proto = IPPROTO_UDP;
	else
		return 1;
	if (listen_known(w.cg->rules, e.lport, proto))
		return 1;
	if (six) {
		u32 *at = (u32 *)e.local;
		at[0] = ctx->user_ip6[0];
		at[1] = ctx->user_ip6[1];
		at[2] = ctx->user_ip6[2];
		at[3] = ctx->user_ip6[3];
	} else
		*(u32 *)e.local = ctx->user_ip4;
	e.family = six ? AF_INET6 : AF_INET;
	e.op = OP_BIND;
	return deny(c, &w, &e);
}

SEC("cgroup/bind4")
int on_bind4(struct bpf_sock_addr *ctx) { return bound(ctx, false); }

SEC("cgroup/bind6")
int on_bind6(struct bpf_sock_addr *ctx) { return bound(ctx, true); }

/* raw says whether a policy forbids a socket that the hooks of connections do
 * not see: neither TCP nor UDP. */
INLINE bool raw(struct policy *p, struct net_event *e)
{
	switch (e->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_MPTCP:
		return false;
	case IPPROTO_UDP:
		if (e->type == SOCK_DGRAM)
			return false;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (e->type == SOCK_DGRAM)
			return (p->mode & M_DENY_ICMP) != 0;
	}
	return (p->mode & M_DENY_RAW) != 0;
}

SEC("cgroup/sock_create")
int on_socket(struct bpf_sock *ctx)
{
	struct config *c = conf();
	struct counter *n = counter(K_SOCKET);
	struct task_struct *t = TASK();
	struct net_event e = {};
	struct policy *p;
	struct who w;

	if (!c)
		return 1;
	ADD(n, seen);
	identify(t, c, &w);
	if (c->v1)
		own(&w, bpf_get_socket_cookie(ctx));
	e.family = ctx->family;
	e.type = ctx->type;
	e.protocol = ctx->protocol;
	p = policy_of(&w);
	if (stopping(c, &w, p, M_DENY_RAW | M_DENY_ICMP) && raw(p, &e)) {
		ADD(n, filtered);
		e.op = OP_SOCKET;
		return deny(c, &w, &e);
	}
	if (!wanted(c, &w, K_SOCKET)) {
		ADD(n, filtered);
		return 1;
	}
	if (w.cg && spent(c, w.cg->container)) {
		ADD(n, lost);
		return 1;
	}
	heading(&e.h, t, &w, K_SOCKET);
	give(c, n, &e);
	return 1;
}

/* owner finds the container of a socket. */
INLINE void owner(const struct sock *sk, struct who *w)
{
	struct cgroup *cg = NULL;

	w->cgroup = 0;
	w->cg = NULL;
	if (bpf_core_field_exists(struct sock_cgroup_data, cgroup))
		cg = L(sk, sk_cgrp_data.cgroup);
	if (!cg || L(cg, level) == 0)
		return;
	w->cgroup = key(cg);
	w->cg = bpf_map_lookup_elem(&cgroups, &w->cgroup);
}

#define EPHEMERAL 32768 /* where the ports begin that the kernel chooses */

/* listens says whether a profile has the port that a socket listens on. A port
 * that the kernel chose was not seen when it was bound. */
INLINE bool listens(const struct sock *sk, u32 rules)
{
	u16 port = L(sk, __sk_common.skc_num);
	u32 addr[4] = {};
	u16 family;

	if (listen_known(rules, port, IPPROTO_TCP))
		return true;
	if (port < EPHEMERAL)
		return false;
	if (L(sk, __sk_common.skc_family) == AF_INET) {
		bpf_core_read(addr, 4, &sk->__sk_common.skc_rcv_saddr);
		family = P_IPV4;
	} else {
		bpf_core_read(addr, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		family = plain(addr, true);
	}
	if (loopback(addr, family) && (addr[0] || addr[3])) /* not every address */
		return true;
	return listen_known(rules, 0, IPPROTO_TCP);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, const struct sock *sk, int before, int after)
{
	struct config *c = conf();
	struct counter *n;
	struct task_struct *t = TASK();
	struct net_event e = {};
	struct policy *p;
	struct who w;
	bool forbidden, killed;
	u32 kind;

	if (after == TCP_LISTEN)
		kind = K_LISTEN;
	else if (before == TCP_SYN_RECV && after == TCP_ESTABLISHED)
		kind = K_ACCEPT;
	else
		return 0;
	if (!c)
		return 0;
	n = counter(kind);
	ADD(n, seen);
	if (kind == K_LISTEN) {
		identify(t, c, &w);
		if (c->v1)
			own(&w, listener(sk));
	} else {
		owner(sk, &w);
		if (!w.cg && c->v1)
			owned(&w, listener(sk));
	}
	p = policy_of(&w);
	forbidden = kind == K_LISTEN && stopping(c, &w, p, M_DENY_LISTEN) && !listens(sk, w.cg->rules);
	killed = forbidden && bpf_send_signal(SIGKILL) == 0;
	if (!killed && !wanted(c, &w, kind)) {
		ADD(n, filtered);
		return 0;
	}
	if (!killed && w.cg && spent(c, w.cg->container)) {
		ADD(n, lost);
		return 0;
	}
	heading(&e.h, t, &w, kind);
	if (killed)
		e.h.flags |= F_KILLED | F_PROFILE;
	if (kind == K_ACCEPT)
		e.h.flags |= F_NOTASK | F_INBOUND;
	e.family = L(sk, __sk_common.skc_family);
	e.type = SOCK_STREAM;
	e.protocol = L(sk, sk_protocol);
	e.lport = L(sk, __sk_common.skc_num);
	e.rport = bpf_ntohs(L(sk, __sk_common.skc_dport));
	if (e.family == AF_INET) {
		bpf_core_read(e.local, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_core_read(e.remote, 4, &sk->__sk_common.skc_daddr);
	} else {
		bpf_core_read(e.local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(e.remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
	give(c, n, &e);
	return 0;
}

/* where finds what a name server says in a packet: how far in, or 0. */
INLINE u32 where(struct __sk_buff *skb, struct answer *a, u8 *proto)
{
	u8 first = 0, words = 0;
	u32 at;

	__builtin_memset(a->key.addr, 0, sizeof(a->key.addr));
	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return 0;
	if (first >> 4 == 4) {
		at = (first & 15) * 4;
		bpf_skb_load_bytes(skb, 9, proto, 1);
		bpf_skb_load_bytes(skb, 12, a->key.addr, 4);
	} else if (first >> 4 == 6) {
		at = 40;
		bpf_skb_load_bytes(skb, 6, proto, 1);
		bpf_skb_load_bytes(skb, 8, a->key.addr, 16);
	} else
		return 0;
	if (*proto == IPPROTO_UDP)
		return at + 8;
	if (*proto != IPPROTO_TCP || bpf_skb_load_bytes(skb, at + 12, &words, 1))
		return 0;
	return at + (words >> 4) * 4;
}

/* named lets the container of a packet reach what a name server that it may
 * ask says about a name that its profile has. */
INLINE void named(struct __sk_buff *skb, struct answer *a, struct cg *cg, u32 at, u8 proto)
{
	u16 family = plain(a->key.addr, a->key.addr[1] || a->key.addr[2] || a->key.addr[3]);
	u32 size = skb->len - at;
	u16 length = 0;

	/* over TCP the length goes before, in the same packet or in its own; an
	 * answer that is in several packets is not read whole */
	if (proto == IPPROTO_TCP && !bpf_skb_load_bytes(skb, at, &length, 2) && at + 2 + bpf_ntohs(length) == skb->len) {
		at += 2;
		size -= 2;
	}
	if (!net_known(cg->rules, a->key.addr, DNS_PORT, proto | family))
		return;
	if (size > DNS_BYTES)
		size = DNS_BYTES;
	OPAQUE(size);
	if (size < 12 || size > DNS_BYTES || bpf_skb_load_bytes(skb, at, a->data, size))
		return;
	a->size = size;
	resolve(a, cg);
}

/* Answers of name servers, before the process that asked has them. */
SEC("cgroup_skb/ingress")
int on_dns(struct __sk_buff *skb)
{
	struct config *c;
	struct counter *n;
	struct dns_event *e;
	struct answer *a;
	struct policy *p;
	struct who w = {};
	u8 first = 0, proto = 0;
	u16 ports[2] = {};
	u32 at, size, zero = 0;

	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return 1;
	at = first >> 4 == 4 ? (first & 15) * 4 : 40;
	if (bpf_skb_load_bytes(skb, at, ports, 4) || ports[0] != bpf_htons(DNS_PORT))
		return 1;
	a = bpf_map_lookup_elem(&answers, &zero);
	c = conf();
	if (!a || !c)
		return 1;
	at = where(skb, a, &proto);
	size = skb->len;
	if (!at || size <= at || size - at < 12)
		return 1;
	n = counter(K_DNS);
	ADD(n, seen);
	w.cgroup = bpf_skb_cgroup_id(skb);
	w.cg = bpf_map_lookup_elem(&cgroups, &w.cgroup);
	if (!w.cg && c->v1)
		owned(&w, bpf_get_socket_cookie(skb));
	p = policy_of(&w);
	if (stopping(c, &w, p, M_DENY_CONNECT))
		named(skb, a, w.cg, at, proto);
	if (!wanted(c, &w, K_DNS)) {
		ADD(n, filtered);
		return 1;
	}
	size -= at;
	if (w.cg && spent(c, w.cg->container)) {
		ADD(n, lost);
		return 1;
	}
	e = bpf_ringbuf_reserve(&bulk, sizeof(*e), 0);
	if (!e) {
		ADD(n, lost);
		return 1;
	}
	__builtin_memset(&e->h, 0, sizeof(e->h));
	e->h.size = sizeof(*e);
	e->h.kind = K_DNS;
	e->h.flags = F_NOTASK;
	e->h.time = bpf_ktime_get_boot_ns();
	e->h.cgroup = w.cgroup;
	e->h.container = w.cg ? w.cg->container : 0;
	e->lport = bpf_ntohs(ports[1]);
	e->stream = proto == IPPROTO_TCP;
	if (size > sizeof(e->payload)) {
		size = sizeof(e->payload);
		e->h.flags |= F_CUT;
	}
	OPAQUE(size);
	if (size < 1 || size > sizeof(e->payload) || bpf_skb_load_bytes(skb, at, e->payload, size))
		size = 0;
	e->length = size;
	ADD(n, submitted);
	bpf_ringbuf_submit(e, wake(c));
	return 1;
}
