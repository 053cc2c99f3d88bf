/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Answers of name servers (RFC 1035, section 4) are read before the process
 * that asked has them: what it connects to next is known by then. */
#ifndef SEKISHO_DNS_H
#define SEKISHO_DNS_H
#include "verdict.h"

#define DNS_BYTES 2048
#define DNS_STEPS 256 /* labels and records of one answer that are looked at */

/* Where the reading stands: in memory, where the verifier forgets it. */
struct answer {
	u32 off, size, left, pad;
	struct resolved_key key;
	struct host host;
	u8 data[DNS_BYTES + 512];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct answer);
} answers SEC(".maps");

INLINE u8 byte(struct answer *a, u32 off)
{
	OPAQUE(off);
	return a->data[off & (DNS_BYTES - 1)];
}

/* question hashes the name that was asked for as it stands in the message,
 * in small letters. What its labels are it says itself, so two names never
 * have the same bytes. */
INLINE u64 question(struct answer *a)
{
	u64 h = 14695981039346656037ULL;
	u32 i;

	for (i = 12; i < 12 + 256; i++) {
		u8 b = a->data[i];
		if (!b)
			break;
		if (b >= 'A' && b <= 'Z')
			b |= 0x20;
		h = (h ^ b) * 1099511628211ULL;
	}
	a->off = i + 5; /* the end of the name, its type and its class */
	return h;
}

/* take lets the container reach an address, at the ports that the name has. */
INLINE void take(struct answer *a, u32 off, bool six)
{
	u64 now = bpf_ktime_get_boot_ns();
	u16 family;
	u32 i;

	off &= DNS_BYTES - 1;
	__builtin_memset(a->key.addr, 0, sizeof(a->key.addr));
	if (six)
		__builtin_memcpy(a->key.addr, &a->data[off], 16);
	else
		__builtin_memcpy(a->key.addr, &a->data[off], 4);
	family = plain(a->key.addr, six);
	for (i = 0; i < HOST_PORTS; i++) {
		u16 proto = a->host.ports[i].proto;
		if (i >= a->host.count)
			break;
		if (proto == IPPROTO_ICMP && !family)
			proto = IPPROTO_ICMPV6;
		a->key.port = a->host.ports[i].port;
		a->key.proto = proto | family;
		bpf_map_update_elem(&resolved, &a->key, &now, BPF_ANY);
	}
}

/* record goes on by one label of a record's name, or by the record. */
static __attribute__((noinline)) int record(struct answer *a)
{
	u32 off, type, size;
	u8 b;

	if (!a)
		return 1;
	off = a->off;
	if (!a->left || off + 11 > a->size || off >= DNS_BYTES - 16)
		return 1;
	b = byte(a, off);
	if (b && b < 0xc0) {
		a->off = off + b + 1;
		return 0;
	}
	off += b ? 2 : 1; /* a pointer, or the end of the name */
	type = byte(a, off) << 8 | byte(a, off + 1);
	size = byte(a, off + 8) << 8 | byte(a, off + 9);
	off += 10;
	if (off + size > a->size || off >= DNS_BYTES - 16)
		return 1;
	if (type == 1 && size == 4)
		take(a, off, false);
	else if (type == 28 && size == 16)
		take(a, off, true);
	a->off = off + size;
	a->left--;
	return 0;
}

/* resolve reads an answer of size bytes that stands in a->data. */
INLINE void resolve(struct answer *a, struct cg *cg)
{
	struct host_key k = {.rules = cg->rules};
	struct host *h;
	u32 i;

	/* an answer without error, to one question */
	if (!(a->data[2] & 0x80) || a->data[3] & 0x0f || a->data[4] || a->data[5] != 1)
		return;
	k.name = question(a);
	h = bpf_map_lookup_elem(&hosts, &k);
	if (!h)
		return;
	a->host = *h;
	a->key.container = cg->container;
	a->key.rules = cg->rules;
	a->left = a->data[6] << 8 | a->data[7];
	for (i = 0; i < DNS_STEPS; i++)
		if (record(a))
			break;
}

#endif
