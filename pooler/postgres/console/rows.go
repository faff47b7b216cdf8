package console

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// table is the columns of a SHOW: a letter for the type of each, as PgBouncer has them, and their names.
type table struct {
	types string // s text, i int4, q int8, N numeric, T a time as text
	names []string
}

func columns(types, names string) table {
	t := table{types, strings.Fields(names)}
	if len(types) != len(t.names) {
		panic("console: as many types as names are needed: " + names)
	}
	return t
}

type oid struct {
	id   uint32
	size int16
}

var oids = map[byte]oid{'s': {25, -1}, 'T': {25, -1}, 'i': {23, 4}, 'q': {20, 8}, 'N': {1700, -1}}

// appendHead appends a RowDescription.
func (t table) appendHead(dst []byte) []byte {
	dst, at := wire.Begin(dst, wire.TypeRowDescription)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(t.names)))
	for i, name := range t.names {
		dst = append(append(dst, name...), 0)
		dst = append(dst, 0, 0, 0, 0, 0, 0) // of no table
		o := oids[t.types[i]]
		dst = binary.BigEndian.AppendUint32(dst, o.id)
		dst = binary.BigEndian.AppendUint16(dst, uint16(o.size))
		dst = append(dst, 0xff, 0xff, 0xff, 0xff, 0, 0) // no modifier; text
	}
	return wire.Finish(dst, at)
}

// row is the values of one row: string, bool, int, int32, uint32, uint64, time.Time; nil is null.
type row []any

// append appends a DataRow.
func (r row) append(dst []byte) []byte {
	dst, at := wire.Begin(dst, wire.TypeDataRow)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r)))
	for _, v := range r {
		length := len(dst)
		dst = appendValue(append(dst, 0xff, 0xff, 0xff, 0xff), v)
		if v != nil {
			binary.BigEndian.PutUint32(dst[length:], uint32(len(dst)-length-4))
		}
	}
	return wire.Finish(dst, at)
}

func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(dst, strings.ReplaceAll(v, "\x00", "")...)
	case bool:
		if v {
			return append(dst, '1')
		}
		return append(dst, '0')
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case uint32:
		return strconv.AppendUint(dst, uint64(v), 10)
	case uint64:
		return strconv.AppendUint(dst, v, 10)
	case time.Time:
		return v.AppendFormat(dst, "2006-01-02 15:04:05 MST")
	}
	return dst
}
