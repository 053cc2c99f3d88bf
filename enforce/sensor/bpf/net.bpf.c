// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Connections, listeners, sockets and names, below the system calls: it does
// not matter by which one a process asks.
#include "common.h"

struct bpf_sock {
	u32 bound_dev_if, family, type, protocol;
};

struct bpf_sock_addr {
	u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol, msg_src_ip4, msg_src_ip6[4];
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

#define TCP_ESTABLISHED 1
#define TCP_SYN_RECV 3
#define TCP_LISTEN 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define MINUTE 60000000000ULL

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

INLINE int peer(struct bpf_sock_addr *ctx, u32 kind, bool six)
{
	struct config *c = conf();
	struct counter *n = counter(kind);
	struct task_struct *t = TASK();
	struct net_event e = {};
	struct who w;

	if (!c)
		return 1;
	ADD(n, seen);
	identify(t, c, &w);
	if (!wanted(c, &w, kind)) {
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
	if (kind == K_SEND) {
		struct seen_key k = {.cgroup = w.cg ? w.cg->container : 0, .port = e.rport, .kind = kind};
		u64 now = bpf_ktime_get_boot_ns(), *last;
		__builtin_memcpy(k.remote, e.remote, 16);
		last = bpf_map_lookup_elem(&sends, &k);
		if (last && now - *last < MINUTE) {
			ADD(n, filtered);
			return 1;
		}
		bpf_map_update_elem(&sends, &k, &now, BPF_ANY);
	}
	if (w.cg && spent(c, w.cg->container)) {
		ADD(n, lost);
		return 1;
	}
	heading(&e.h, t, &w, kind);
	e.family = six ? AF_INET6 : AF_INET;
	e.type = ctx->type;
	e.protocol = ctx->protocol;
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

SEC("cgroup/sock_create")
int on_socket(struct bpf_sock *ctx)
{
	struct config *c = conf();
	struct counter *n = counter(K_SOCKET);
	struct task_struct *t = TASK();
	struct net_event e = {};
	struct who w;

	if (!c)
		return 1;
	ADD(n, seen);
	identify(t, c, &w);
	if (!wanted(c, &w, K_SOCKET)) {
		ADD(n, filtered);
		return 1;
	}
	if (w.cg && spent(c, w.cg->container)) {
		ADD(n, lost);
		return 1;
	}
	heading(&e.h, t, &w, K_SOCKET);
	e.family = ctx->family;
	e.type = ctx->type;
	e.protocol = ctx->protocol;
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

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, const struct sock *sk, int before, int after)
{
	struct config *c = conf();
	struct counter *n;
	struct task_struct *t = TASK();
	struct net_event e = {};
	struct who w;
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
	if (kind == K_LISTEN)
		identify(t, c, &w);
	else
		owner(sk, &w);
	if (!wanted(c, &w, kind)) {
		ADD(n, filtered);
		return 0;
	}
	if (w.cg && spent(c, w.cg->container)) {
		ADD(n, lost);
		return 0;
	}
	heading(&e.h, t, &w, kind);
	if (kind == K_ACCEPT)
		e.h.flags |= F_NOTASK | F_INBOUND;
	e.family = L(sk, __sk_common.skc_family);
	e.type = 1;
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

/* Answers of name servers, before the process that asked has them. */
SEC("cgroup_skb/ingress")
int on_dns(struct __sk_buff *skb)
{
	struct config *c;
	struct counter *n;
	struct dns_event *e;
	struct who w = {};
	u8 first = 0, proto = 0;
	u16 ports[2] = {};
	u32 at, size;

	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return 1;
	if (first >> 4 == 4) {
		at = (first & 15) * 4;
		bpf_skb_load_bytes(skb, 9, &proto, 1);
	} else if (first >> 4 == 6) {
		at = 40;
		bpf_skb_load_bytes(skb, 6, &proto, 1);
	} else
		return 1;
	if ((proto != IPPROTO_UDP && proto != IPPROTO_TCP) || bpf_skb_load_bytes(skb, at, ports, 4) || ports[0] != bpf_htons(53))
		return 1;
	c = conf();
	if (!c)
		return 1;
	n = counter(K_DNS);
	ADD(n, seen);
	w.cgroup = bpf_skb_cgroup_id(skb);
	w.cg = bpf_map_lookup_elem(&cgroups, &w.cgroup);
	if (!wanted(c, &w, K_DNS)) {
		ADD(n, filtered);
		return 1;
	}
	if (proto == IPPROTO_TCP) {
		u8 words = 0;
		bpf_skb_load_bytes(skb, at + 12, &words, 1);
		at += (words >> 4) * 4;
		if (skb->len <= at) { /* no payload: nothing was answered */
			ADD(n, filtered);
			return 1;
		}
	} else
		at += 8;
	size = skb->len;
	if (size <= at || size - at < 12) {
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
