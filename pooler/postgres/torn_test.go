package postgres_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// A last message of the pooler in the middle of a row would be taken for what is missing of the row.
func TestAClientThatIsCutOffInTheMiddleOfARowIsNotGivenTheReasonAsData(t *testing.T) {
	const size = 64 << 20 // more than sockets hold
	for name, end := range map[string]func(*fixture, *raw){
		"the server ends its connection": func(f *fixture, _ *raw) {
			f.db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
		},
		"the client breaks the protocol": func(_ *fixture, r *raw) { r.send([]byte{0xff, 0, 0, 0, 4}) },
	} {
		t.Run(name, func(t *testing.T) {
			db := startDB(t, pgtest.Options{})
			f := serve(t, db, config(db))
			r := f.raw()
			r.send(query("SELECT repeat('x', 67108864)"))
			head := make([]byte, 64)
			r.conn.SetReadDeadline(time.Now().Add(patience))
			for {
				if _, err := io.ReadFull(r.conn, head[:wire.HeaderSize]); err != nil {
					t.Fatal(err)
				}
				if head[0] == wire.TypeDataRow {
					break
				}
				rest := int64(binary.BigEndian.Uint32(head[1:])) - 4
				if _, err := io.CopyN(io.Discard, r.conn, rest); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := io.ReadFull(r.conn, head[:6]); err != nil { // columns, and the length of the first
				t.Fatal(err)
			}
			eventually(t, "the server waits for its client", func() bool {
				return db.Connections("usename = 'app' AND wait_event = 'ClientWrite'") == 1
			})
			end(f, r)
			row, _ := io.ReadAll(r.conn) // the connection may be reset
			if len(row) >= size {
				t.Fatalf("the row is complete")
			}
			if left := bytes.Trim(row, "x"); len(left) > 0 {
				t.Errorf("the value of the row ends with %q", left)
			}
		})
	}
}
