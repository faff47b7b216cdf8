package postgres_test

import (
	"testing"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

func TestInStatementModeATransactionIsOneMessage(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	db.ExecIn("app", "CREATE TABLE numbers (n int)", "GRANT ALL ON numbers TO PUBLIC")
	cfg := config(db)
	cfg.PoolMode, cfg.Limits.MaxOpen = postgres.Statement, 1
	f := serve(t, db, cfg)
	const refused = "E:0A000 Z:I"
	for _, c := range []struct {
		name string
		say  [][]byte
		n    int // ReadyForQuery
		want string
	}{
		{"a statement", [][]byte{query("SELECT 1")}, 1, "T D C Z:I"},
		{"BEGIN", [][]byte{query("BEGIN")}, 1, refused},
		{"BEGIN in other words", [][]byte{query(" /* a comment */ begin isolation level serializable ;")}, 1, refused},
		{"START TRANSACTION", [][]byte{query("-- a comment\nStart  Transaction read only")}, 1, refused},
		{"BEGIN by the extended protocol", [][]byte{parse("", "BEGIN"), bind(""), execute(), sync()}, 1, refused},
		{"BEGIN in the middle of a pipeline", [][]byte{
			parse("", "SELECT 1"), bind(""), execute(), parse("", "BEGIN"), bind(""), execute(), sync(),
		}, 1, "1 2 D C E:0A000 Z:I"},
		{"a transaction in one message", [][]byte{query("BEGIN; INSERT INTO numbers VALUES (1); COMMIT")}, 1, "C C C Z:I"},
		{"statements in one message", [][]byte{query("SELECT 1; SELECT 2")}, 1, "T D C T D C Z:I"},
		{"a pipeline", [][]byte{
			parse("", "SELECT 1"), bind(""), execute(), parse("", "SELECT 2"), bind(""), execute(), sync(),
		}, 1, "1 2 D C 1 2 D C Z:I"},
		{"a word that only begins like it", [][]byte{query("beginning")}, 1, "E:42601 Z:I"},
		{"a block that stays open", [][]byte{query("SELECT 1; BEGIN; INSERT INTO numbers VALUES (2)")}, 2, "T D C C C Z:T E:0A000 EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := f.with(t)
			r := f.raw()
			r.send(c.say...)
			if got := r.until(c.n); got != c.want {
				t.Errorf("it gets %s, want %s", got, c.want)
			}
		})
	}
	eventually(t, "the open block is rolled back", func() bool { return f.Stats().Lent == 0 })
	if n := one[int](t, f.connect(), "SELECT count(*) FROM numbers"); n != 1 {
		t.Errorf("%d rows are there, want that of the whole transaction", n)
	}
	if s := f.Stats(); s.Dialed != 1 {
		t.Errorf("%d server connections were opened, want 1", s.Dialed)
	}
	r := f.raw()
	r.send(query("BEGIN"))
	if report := r.report(); report.Severity != "ERROR" || report.Message != "transaction blocks are not allowed in statement mode" {
		t.Errorf("the client is told %s %q", report.Severity, report.Message)
	}
}

func TestListenAndNotifyAndFunctionCallsWorkInSessionMode(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.PoolMode = postgres.Session
	f := serve(t, db, cfg)
	listener, sender := f.connect(), f.connect()
	exec(t, listener, "LISTEN news")
	exec(t, sender, "NOTIFY news, 'hello'")
	note, err := listener.WaitForNotification(within(t)) // it says nothing meanwhile
	if err != nil || note.Channel != "news" || note.Payload != "hello" {
		t.Errorf("the notification is %+v (%v)", note, err)
	}

	oid := one[uint32](t, sender, "SELECT 'int4pl'::regproc::oid")
	r := f.raw()
	call := []byte{byte(oid >> 24), byte(oid >> 16), byte(oid >> 8), byte(oid)}
	call = append(call, 0, 1, 0, 1, 0, 2, 0, 0, 0, 4, 0, 0, 0, 40, 0, 0, 0, 4, 0, 0, 0, 2, 0, 1) // 40 + 2, all in binary
	r.send(frame(wire.TypeFunctionCall, call))
	m, _ := r.receive()
	if m.typ != wire.TypeFunctionCallResponse || string(m.body) != "\x00\x00\x00\x04\x00\x00\x00\x2a" {
		t.Errorf("the function's answer is %q %v", m.typ, m.body)
	}
	if got := r.until(1); got != "Z:I" {
		t.Errorf("then comes %s", got)
	}
}
