package postgres_test

import (
	"net"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// short is a timeout that is soon over.
const short = 200 * time.Millisecond

// report returns the next error, whatever comes before it.
func (r *raw) report() wire.Report {
	r.t.Helper()
	m, ok := r.receive()
	for ok && m.typ != wire.TypeErrorResponse {
		m, ok = r.receive()
	}
	if !ok {
		r.t.Fatal("the client gets no error")
	}
	report, err := wire.ParseReport(m.body)
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

func TestATimeoutIsToldInPostgreSQLsWords(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	never := time.Duration(0)
	for _, c := range []struct {
		name          string
		timeouts      postgres.Timeouts
		say           [][]byte
		answers       int // ReadyForQuery before the error
		severity      string
		code, message string
		which         postgres.Timeout
	}{
		{
			"a client that says nothing", postgres.Timeouts{ClientIdle: short}, [][]byte{query("SELECT 1")}, 1,
			"FATAL", "57P05", "terminating connection due to idle-session timeout", postgres.ClientIdleTimeout,
		},
		{
			"a transaction in which nothing is said", postgres.Timeouts{IdleInTransaction: short}, [][]byte{query("BEGIN")}, 1,
			"FATAL", "25P03", "terminating connection due to idle-in-transaction timeout", postgres.IdleInTransactionTimeout,
		},
		{
			"a failed transaction in which nothing is said", postgres.Timeouts{IdleInTransaction: short},
			[][]byte{query("BEGIN"), query("SELECT 1/0")}, 2,
			"FATAL", "25P03", "terminating connection due to idle-in-transaction timeout", postgres.IdleInTransactionTimeout,
		},
		{
			"a pipeline without its Sync", postgres.Timeouts{IdleInTransaction: short}, [][]byte{parse("", "SELECT 1"), frame(wire.TypeFlush, nil)}, 0,
			"FATAL", "25P03", "terminating connection due to idle-in-transaction timeout", postgres.IdleInTransactionTimeout,
		},
		{
			"a statement", postgres.Timeouts{Query: short}, [][]byte{query("SELECT pg_sleep(60)")}, 0,
			"ERROR", "57014", "canceling statement due to statement timeout", postgres.QueryTimeout,
		},
		{
			"a statement of a pipeline", postgres.Timeouts{Query: short},
			[][]byte{parse("", "SELECT pg_sleep(60)"), bind(""), execute(), sync()}, 0,
			"ERROR", "57014", "canceling statement due to statement timeout", postgres.QueryTimeout,
		},
		{
			"a transaction that runs", postgres.Timeouts{Transaction: short}, [][]byte{query("SELECT pg_sleep(60)")}, 0,
			"FATAL", "25P04", "terminating connection due to transaction timeout", postgres.TransactionTimeout,
		},
		{
			"a transaction that is open", postgres.Timeouts{Transaction: short, ClientIdle: never}, [][]byte{query("BEGIN")}, 1,
			"FATAL", "25P04", "terminating connection due to transaction timeout", postgres.TransactionTimeout,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(db)
			cfg.Limits.MaxOpen = 1
			f := serve(t, db, cfg)
			r := f.raw()
			cfg.Timeouts = c.timeouts
			f.apply(cfg)
			r.send(c.say...)
			r.until(c.answers)
			report := r.report()
			if report.Severity != c.severity || report.Code != c.code || report.Message != c.message {
				t.Errorf("it is told %s %s %q", report.Severity, report.Code, report.Message)
			}
			want := "EOF"
			if c.severity == "ERROR" {
				r.send(query("SELECT 1"))
				want = "Z:I T D C Z:I"
			}
			if got := r.until(2); got != want {
				t.Errorf("then it gets %s, want %s", got, want)
			}
			if n := f.Stats().Timeouts[c.which]; n != 1 {
				t.Errorf("%d are counted", n)
			}
			cfg.Timeouts = postgres.Timeouts{}
			f.apply(cfg)
			exec(t, f.connect(), "SELECT 1")
			if s := f.Stats(); c.severity == "ERROR" && s.Dialed != 1 {
				t.Errorf("%d server connections were opened for it", s.Dialed)
			}
		})
	}
}

func TestATransactionThatTimesOutIsRolledBackAndItsConnectionKept(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	db.ExecIn("app", "CREATE TABLE numbers (n int)", "GRANT ALL ON numbers TO PUBLIC")
	cfg := config(db)
	cfg.Limits.MaxOpen, cfg.Timeouts.IdleInTransaction = 1, short
	f := serve(t, db, cfg)
	r := f.raw()
	r.send(query("BEGIN"), query("INSERT INTO numbers VALUES (1)"))
	if got := r.until(3); got != "C Z:T C Z:T E:25P03 EOF" {
		t.Fatalf("it gets %s", got)
	}
	if n := one[int](t, f.connect(), "SELECT count(*) FROM numbers"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if n := f.Stats().Dialed; n != 1 {
		t.Errorf("%d server connections were opened, want 1", n)
	}
}

func TestManyShortStatementsAreNoLongOne(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Timeouts = postgres.Timeouts{Query: 2 * short, ClientIdle: 2 * short, IdleInTransaction: 2 * short}
	f := serve(t, db, cfg)
	c := f.connect()
	tx, err := c.Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := tx.Exec(within(t), "SELECT pg_sleep($1)", (short / 2).Seconds()); err != nil {
			t.Fatalf("a transaction: %v", err)
		}
	}
	if err := tx.Commit(within(t)); err != nil {
		t.Error(err)
	}
}

func TestAClientThatWaitsForAConnectionIsNotIdle(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	cfg.Timeouts = postgres.Timeouts{ClientIdle: short, Query: short}
	f := serve(t, db, cfg)
	a, b := f.connect(), f.raw()
	tx, err := a.Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	b.send(query("SELECT 1"))
	eventually(t, "the client waits", func() bool { return f.Stats().Waiting == 1 })
	waited := time.NewTimer(3 * short)
	<-waited.C
	if err := tx.Commit(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := b.until(1); got != "T D C Z:I" {
		t.Errorf("it gets %s", got)
	}
}

func TestALoginThatTakesTooLongIsClosedInSilence(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Timeouts.Login = short
	f := serve(t, db, cfg)
	conn, err := net.Dial("tcp", f.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("it is told something")
	} else if late, ok := err.(net.Error); ok && late.Timeout() {
		t.Error("it may stay")
	}
	eventually(t, "it is counted", func() bool { return f.Stats().Timeouts[postgres.LoginTimeout] == 1 })
}

func TestAServerThatDoesNotAnswerIsGivenUp(t *testing.T) {
	at := silent(t)
	cfg := config(&pgtest.Server{Host: at.Host, Port: at.Port})
	cfg.Timeouts.Connect, cfg.Limits.AcquireTimeout = short, 5*short
	f := serve(t, nil, cfg)
	refused(t, f.url(), "08001")
	if n := f.Stats().Timeouts[postgres.ConnectTimeout]; n == 0 {
		t.Error("it is not counted")
	}
}
