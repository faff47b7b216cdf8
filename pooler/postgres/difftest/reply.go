package difftest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// firstUserOID is the first object identifier of what users create.
const firstUserOID = 16384

// reply is one message of the server.
type reply struct {
	typ  byte
	body []byte
}

// short is how a script names the message.
func (r reply) short() string {
	switch r.typ {
	case 'E', 'N':
		return string(r.typ) + ":" + r.field('C')
	case 'Z':
		return "Z:" + string(r.body)
	case 'S':
		name, _, _ := bytes.Cut(r.body, []byte{0})
		return "S:" + string(name)
	}
	return string(r.typ)
}

// field is one of an error's or a notice's.
func (r reply) field(want byte) string {
	for rest := r.body; len(rest) > 1; {
		value, after, _ := bytes.Cut(rest[1:], []byte{0})
		if rest[0] == want {
			return string(value)
		}
		rest = after
	}
	return ""
}

// String is the whole message, but for what is masked.
func (r reply) String() string {
	d := &decoder{rest: r.body}
	var out strings.Builder
	out.WriteByte(r.typ)
	switch r.typ {
	case 'E', 'N':
		for d.more() && d.rest[0] != 0 {
			code := d.take(1)[0]
			if value := d.text(); code != 'F' && code != 'L' && code != 'R' {
				fmt.Fprintf(&out, " %c=%q", code, value)
			}
		}
		d.take(1)
	case 'S':
		fmt.Fprintf(&out, " %q=%q", d.text(), d.text())
	case 'C':
		fmt.Fprintf(&out, " %q", d.text())
	case 'D':
		for range d.number(2) {
			out.WriteString(" " + d.value())
		}
	case 'T':
		for range d.number(2) {
			out.WriteString(" " + d.column())
		}
	case 't':
		for range d.number(2) {
			out.WriteString(" " + d.oid())
		}
	case 'A':
		d.take(4) // the process
		fmt.Fprintf(&out, " %q %q", d.text(), d.text())
	case 'K':
		fmt.Fprintf(&out, " key of %d bytes", len(d.rest)-4)
		d.rest = nil
	case 'R':
		out.WriteString(d.authentication())
	case 'v':
		fmt.Fprintf(&out, " %d.%d", d.number(2), d.number(2))
		for range d.number(4) {
			fmt.Fprintf(&out, " %q", d.text())
		}
	default:
		fmt.Fprintf(&out, " %q", d.rest)
		d.rest = nil
	}
	if d.wrong || len(d.rest) > 0 {
		return fmt.Sprintf("%c malformed %q", r.typ, r.body)
	}
	return strings.TrimSuffix(out.String(), ` ""`)
}

// decoder reads a body. wrong says that it ended too early.
type decoder struct {
	rest  []byte
	wrong bool
}

func (d *decoder) more() bool { return len(d.rest) > 0 }

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.wrong = true
		d.rest = nil
		return make([]byte, 8)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) number(size int) int {
	b := d.take(size)
	if size == 2 {
		return int(binary.BigEndian.Uint16(b))
	}
	return int(int32(binary.BigEndian.Uint32(b)))
}

func (d *decoder) text() string {
	value, after, ok := bytes.Cut(d.rest, []byte{0})
	if !ok {
		d.wrong = true
	}
	d.rest = after
	return string(value)
}

// value is a field of a row.
func (d *decoder) value() string {
	n := d.number(4)
	if n < 0 {
		return "NULL"
	}
	v := d.take(n)
	if len(v) > 200 {
		return fmt.Sprintf("%q... of %d bytes, %x", v[:20], len(v), sum(v))
	}
	return strconv.Quote(string(v))
}

func sum(b []byte) (h uint32) { // FNV-1a: long values are compared, too
	h = 2166136261
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// column is one of a row's description.
func (d *decoder) column() string {
	name, table, at := d.text(), d.oid(), d.number(2)
	typ, size, mod, format := d.oid(), d.number(2), d.number(4), d.number(2)
	return fmt.Sprintf("%q(table %s.%d, type %s, size %d, mod %d, format %d)", name, table, at, typ, size, mod, format)
}

func (d *decoder) oid() string {
	n := d.number(4)
	if n >= firstUserOID {
		return "user's"
	}
	return strconv.Itoa(n)
}

func (d *decoder) authentication() string {
	switch request := d.number(4); request {
	case 0:
		return " OK"
	case 10:
		var mechanisms []string
		for d.more() && d.rest[0] != 0 {
			mechanisms = append(mechanisms, d.text())
		}
		d.take(1)
		return " SASL " + strings.Join(mechanisms, ",")
	default:
		d.rest = nil // salts and proofs
		return fmt.Sprintf(" request %d", request)
	}
}
