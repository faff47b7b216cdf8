package postgres_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// raw is a client that says exactly what a test wants.
type raw struct {
	t    testing.TB
	conn net.Conn
	pid  uint32
	in   wire.Scanner
	buf  []byte
}

var rawRules = wire.BackendRules(nil)

// raw connects as user app, the login done by pgx.
func (f *fixture) raw() *raw {
	f.t.Helper()
	cfg, err := pgx.ParseConfig(f.url())
	if err != nil {
		f.t.Fatal(err)
	}
	conn, err := pgconn.ConnectConfig(within(f.t), &cfg.Config)
	if err != nil {
		f.t.Fatalf("connect: %v", err)
	}
	if err := conn.SyncConn(within(f.t)); err != nil { // a reader in its background would take our answers
		f.t.Fatalf("quieten the connection: %v", err)
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		f.t.Fatalf("take over the connection: %v", err)
	}
	r := &raw{t: f.t, conn: hijacked.Conn, pid: hijacked.PID, in: wire.Scanner{Rules: rawRules}}
	f.t.Cleanup(func() { r.conn.Close() })
	return r
}

func (r *raw) send(messages ...[]byte) {
	r.t.Helper()
	if _, err := r.conn.Write(bytes.Join(messages, nil)); err != nil {
		r.t.Fatalf("send: %v", err)
	}
}

// message is one message of the server.
type message struct {
	typ  byte
	body []byte
}

// receive returns the next message; ok is false at the end of the connection.
func (r *raw) receive() (m message, ok bool) {
	r.t.Helper()
	for {
		p, err := r.in.Next(r.buf)
		if err != nil {
			r.t.Fatalf("the pooler breaks the protocol: %v", err)
		}
		if p.Raw != nil {
			if p.First {
				m.typ = p.Type
			}
			m.body = append(m.body, p.Body()...)
			r.buf = r.buf[len(p.Raw):]
			if p.Last {
				return m, true
			}
			continue
		}
		r.conn.SetReadDeadline(time.Now().Add(patience))
		chunk := make([]byte, 64<<10)
		n, err := r.conn.Read(chunk)
		r.buf = append(r.buf, chunk[:n]...)
		if n > 0 {
			continue
		}
		if err != io.EOF && !strings.Contains(err.Error(), "reset") {
			r.t.Fatalf("receive: %v", err)
		}
		return m, false
	}
}

// until returns the types of the messages up to the n-th ReadyForQuery, errors with their code and ReadyForQuery with its
// status: "1 2 T D C Z:I", "E:26000 Z:I".
func (r *raw) until(n int) string {
	r.t.Helper()
	var seen []string
	for n > 0 {
		m, ok := r.receive()
		if !ok {
			return strings.Join(append(seen, "EOF"), " ")
		}
		word := string(m.typ)
		switch m.typ {
		case wire.TypeReadyForQuery:
			word += ":" + string(m.body)
			n--
		case wire.TypeErrorResponse:
			report, err := wire.ParseReport(m.body)
			if err != nil {
				r.t.Fatalf("read an error: %v", err)
			}
			word += ":" + report.Code
		}
		seen = append(seen, word)
	}
	return strings.Join(seen, " ")
}

// types returns the types of the next n messages.
func (r *raw) types(n int) string {
	r.t.Helper()
	var seen []string
	for range n {
		m, ok := r.receive()
		if !ok {
			return strings.Join(append(seen, "EOF"), " ")
		}
		seen = append(seen, string(m.typ))
	}
	return strings.Join(seen, " ")
}

func query(sql string) []byte { return wire.AppendQuery(nil, sql) }

func parse(name, sql string) []byte { return wire.AppendParse(nil, name, sql, nil) }

// bind binds a statement without parameters to the unnamed portal.
func bind(statement string) []byte {
	body := append(append([]byte{0}, statement...), 0, 0, 0, 0, 0, 0, 0)
	return frame(wire.TypeBind, body)
}

func execute() []byte { return frame(wire.TypeExecute, []byte{0, 0, 0, 0, 0}) }

func describe(target byte, name string) []byte { return wire.AppendDescribe(nil, target, name) }

func sync() []byte { return wire.AppendSync(nil) }

func frame(typ byte, body []byte) []byte {
	n := len(body) + 4
	return append([]byte{typ, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

func copyData(text string) []byte { return frame(wire.TypeCopyData, []byte(text)) }

func copyDone() []byte { return frame(wire.TypeCopyDone, nil) }
