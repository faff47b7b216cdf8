package lookup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// row is a DataRow; "-" is NULL.
func row(columns ...string) []byte {
	dst, at := wire.Begin(nil, wire.TypeDataRow)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(columns)))
	for _, c := range columns {
		if c == "-" {
			dst = binary.BigEndian.AppendUint32(dst, 1<<32-1)
			continue
		}
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(c))), c...)
	}
	return wire.Finish(dst, at)
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

var (
	begun = []byte("1\x00\x00\x00\x042\x00\x00\x00\x04")
	ended = wire.AppendReadyForQuery(wire.AppendCommandComplete(nil, "SELECT 1"), wire.StatusIdle)
)

func TestTheUsersNameIsAParameter(t *testing.T) {
	_, out := NewQuery("SELECT $1", "o'brien", nil)
	want := "P\x00\x00\x00\x11\x00SELECT $1\x00\x00\x00" + "B\x00\x00\x00\x17\x00\x00\x00\x00\x00\x01\x00\x00\x00\x07o'brien\x00\x00" +
		"E\x00\x00\x00\x09\x00\x00\x00\x00\x02" + "S\x00\x00\x00\x04"
	if string(out) != want {
		t.Errorf("sent %q\nwant %q", out, want)
	}
}

func TestWhatAQueryYields(t *testing.T) {
	fault := func(severity string) []byte {
		return wire.AppendErrorResponse(nil, wire.Report{Severity: severity, Code: "42501", Message: "permission denied"})
	}
	idle := wire.AppendReadyForQuery(nil, wire.StatusIdle)
	for name, c := range map[string]struct {
		in    []byte
		value string
		found bool
		err   string
		whole bool
	}{
		"name and password":                {in: concat(begun, row("u", "secret"), ended), value: "secret", found: true, whole: true},
		"the password alone":               {in: concat(begun, row("secret"), ended), value: "secret", found: true, whole: true},
		"no row":                           {in: concat(begun, ended), whole: true},
		"a user without a password":        {in: concat(begun, row("u", "-"), ended), whole: true},
		"a user with an empty password":    {in: concat(begun, row("u", ""), ended), whole: true},
		"a row of NULLs":                   {in: concat(begun, row("-", "-"), ended), whole: true},
		"a row of another user":            {in: concat(begun, row("v", "secret"), ended), err: "a row of another user", whole: true},
		"a row of nobody":                  {in: concat(begun, row("-", "secret"), ended), err: "a row of another user", whole: true},
		"two rows":                         {in: concat(begun, row("u", "a"), row("u", "b"), []byte("s\x00\x00\x00\x04"), idle), err: "more than one row", whole: true},
		"three columns":                    {in: concat(begun, row("u", "a", "b"), ended), err: "yields 3 columns", whole: true},
		"no columns":                       {in: concat(begun, row(), ended), err: "yields 0 columns", whole: true},
		"an error":                         {in: concat(fault("ERROR"), idle), err: "permission denied", whole: true},
		"an error that ends all":           {in: fault("FATAL"), err: "permission denied"},
		"a notice and a changed parameter": {in: concat(begun, wire.AppendNoticeResponse(nil, wire.Report{Severity: "NOTICE", Message: "hello"}), wire.AppendParameterStatus(nil, "a", "b"), row("u", "secret"), ended), value: "secret", found: true, whole: true},
		"a transaction that stays open":    {in: concat(begun, row("u", "secret"), wire.AppendReadyForQuery(nil, wire.StatusInTransaction)), value: "secret", found: true},
		"a COPY":                           {in: concat(begun, []byte("G\x00\x00\x00\x07\x00\x00\x00")), err: "is a COPY"},
		"a row of 70,001 bytes":            {in: []byte("D\x00\x01\x11\x75"), err: "invalid message length"},
		"a row of 2^31-1 bytes":            {in: []byte("D\x7f\xff\xff\xff"), err: "invalid message length"},
		"a message of no type":             {in: []byte("\x00\x00\x00\x00\x04"), err: "invalid backend message type"},
		"a column longer than its row":     {in: concat([]byte("D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x09x"), ended), err: "malformed DataRow", whole: true},
		"a row longer than its columns":    {in: concat([]byte("D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x00x"), ended), err: "malformed DataRow", whole: true},
		"a row without its columns":        {in: concat([]byte("D\x00\x00\x00\x06\x00\x01"), ended), err: "malformed DataRow", whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, step := range []int{1, 3, 1 << 20} {
				q, _ := NewQuery("SELECT $1", "u", nil)
				var held []byte
				done := false
				for rest := c.in; len(rest) > 0 && !done; {
					n := min(step, len(rest))
					held, rest = append(held, rest[:n]...), rest[n:]
					var used int
					used, done = q.Receive(held)
					held = held[used:]
				}
				value, found, err := q.Result()
				if !done || value != c.value || found != c.found || q.Whole() != c.whole {
					t.Errorf("%d at a time: done %v, %q, found %v, whole %v", step, done, value, found, q.Whole())
				}
				if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("%d at a time: error %v, want %q", step, err, c.err)
				}
			}
		})
	}
}

func TestAnErrorOfTheServerIsPassedOn(t *testing.T) {
	q, _ := NewQuery("SELECT $1", "u", nil)
	q.Receive(wire.AppendErrorResponse(nil, wire.Report{Severity: "ERROR", Code: "42501", Message: "permission denied"}))
	_, _, err := q.Result()
	if e, ok := errors.AsType[*wire.ServerError](err); !ok || e.Code != "42501" {
		t.Errorf("error %v", err)
	}
}

// FuzzQuery gives any bytes to a query, in two ways of cutting them, which must not matter.
func FuzzQuery(f *testing.F) {
	f.Add(concat(begun, row("u", "secret"), ended), byte(1))
	f.Add(concat(begun, row("secret"), ended, ended), byte(7))
	f.Add(wire.AppendErrorResponse(nil, wire.Fatal("57P01", "terminating")), byte(3))
	f.Fuzz(func(t *testing.T, in []byte, step byte) {
		run := func(step int) (value string, found, whole, done bool, used int) {
			q, _ := NewQuery("SELECT $1", "u", nil)
			var held []byte
			for rest := in; len(rest) > 0 && !done; {
				n := min(step, len(rest))
				held, rest = append(held, rest[:n]...), rest[n:]
				var took int
				took, done = q.Receive(held)
				used, held = used+took, held[took:]
				if !done && len(held) > MaxRow+wire.HeaderSize {
					t.Fatalf("holds %d bytes and reads on", len(held))
				}
			}
			value, found, _ = q.Result()
			return value, found, q.Whole(), done, used
		}
		value, found, whole, done, used := run(int(step) + 1)
		if v, f, w, d, u := run(len(in) + 1); v != value || f != found || w != whole || d != done || w && u != used {
			t.Fatalf("in steps %q %v %v %v %d, at once %q %v %v %v %d", value, found, whole, done, used, v, f, w, d, u)
		}
	})
}
