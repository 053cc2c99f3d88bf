package inflate

import "encoding/binary"

// fast decodes while there is input for a whole symbol and room for a match.
func (r *Reader) fast() error {
	in, b, n, out, to := r.in, r.bits, r.n, r.out, r.to
	lit, dist := &r.lit, &r.dist
	limit, floor := history+outSize, r.floor
	var fail error
	for to < limit && len(in) >= margin {
		b |= binary.LittleEndian.Uint64(in) << (n & 63)
		in = in[(63-n)>>3:]
		n |= 56
		e := lit[b&(1<<litBits-1)]
		if e&entLiteral != 0 { // up to three literals of 11 bits leave 23
			b >>= e & 31
			n -= uint(e & 31)
			out[to] = byte(e >> 10)
			to++
			if e = lit[b&(1<<litBits-1)]; e&entLiteral != 0 {
				b >>= e & 31
				n -= uint(e & 31)
				out[to] = byte(e >> 10)
				to++
				if e = lit[b&(1<<litBits-1)]; e&entLiteral != 0 {
					b >>= e & 31
					n -= uint(e & 31)
					out[to] = byte(e >> 10)
					to++
					continue
				}
			}
			b |= binary.LittleEndian.Uint64(in) << (n & 63)
			in = in[(63-n)>>3:]
			n |= 56
		}
		if e&entLink != 0 {
			e = lit[uint64(e>>10&0xffff)+b>>litBits&(1<<(e&31)-1)]
		}
		b >>= e & 31
		n -= uint(e & 31)
		if e&entLiteral != 0 {
			out[to] = byte(e >> 10)
			to++
			continue
		}
		if e&(entEnd|entBad) != 0 {
			if e&entBad != 0 {
				fail = ErrFormat
			}
			r.inBlock = false
			break
		}
		extra := uint(e >> 5 & 31)
		length := int(e>>10&0xffff) + int(b&(1<<extra-1))
		b >>= extra
		n -= extra
		e = dist[b&(1<<distBits-1)]
		if e&entLink != 0 {
			e = dist[uint64(e>>10&0xffff)+b>>distBits&(1<<(e&31)-1)]
		}
		b >>= e & 31
		n -= uint(e & 31)
		extra = uint(e >> 5 & 31)
		distance := int(e>>10&0xffff) + int(b&(1<<extra-1))
		b >>= extra
		n -= extra
		if distance > to-floor || e&entBad != 0 || distance == 0 {
			fail = ErrFormat
			break
		}
		match(out, to, distance, length)
		to += length
	}
	r.in, r.bits, r.n, r.to = in, b&(1<<n-1), n, to
	return fail
}
