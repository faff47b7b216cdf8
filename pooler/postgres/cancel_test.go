package postgres_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

func TestACancelEndsTheRunningStatementAndNothingElse(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	a, b := f.connect(), f.connect()
	failed := make(chan error, 1)
	go func() {
		_, err := a.Exec(within(t), "SELECT pg_sleep(60)")
		failed <- err
	}()
	eventually(t, "the statement runs", func() bool { return db.Connections("state = 'active'") == 1 })
	next := make(chan error, 1)
	go func() { next <- b.QueryRow(within(t), "SELECT pg_sleep(0.3)").Scan(nil) }()
	eventually(t, "another client waits", func() bool { return f.Stats().Waiting == 1 })
	if err := a.PgConn().CancelRequest(within(t)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, <-failed, "57014")
	if err := <-next; err != nil {
		t.Errorf("the next client's statement fails: %v", err)
	}
	if s := f.Stats(); s.Dialed != 1 || s.Cancels != 1 {
		t.Errorf("%d server connections were opened and %d cancels counted, want 1 and 1", s.Dialed, s.Cancels)
	}
}

func TestACancelTakesAWaitingClientOutOfTheQueue(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	a, b := f.connect(), f.connect()
	tx, err := a.Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := b.Exec(within(t), "SELECT 1")
		failed <- err
	}()
	eventually(t, "the client waits", func() bool { return f.Stats().Waiting == 1 })
	if err := b.PgConn().CancelRequest(within(t)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, <-failed, "57014")
	if n := f.Stats().Waiting; n != 0 {
		t.Errorf("%d clients wait", n)
	}
	if err := tx.Commit(within(t)); err != nil {
		t.Fatal(err)
	}
	exec(t, b, "SELECT 1")
}

func TestACancelWithAWrongKeyDoesNothing(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	a := f.connect()
	ended := make(chan error, 1)
	go func() {
		_, err := a.Exec(within(t), "SELECT pg_sleep(0.5)")
		ended <- err
	}()
	eventually(t, "the statement runs", func() bool { return db.Connections("state = 'active'") == 1 })
	for _, pid := range []uint32{a.PgConn().PID(), 1} {
		conn, err := net.Dial("tcp", f.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(wire.AppendCancelRequest(nil, pid, []byte{1, 2, 3, 4}))
		conn.SetReadDeadline(time.Now().Add(patience))
		if n, _ := conn.Read(make([]byte, 1)); n > 0 {
			t.Error("it is answered")
		}
		conn.Close()
	}
	if err := <-ended; err != nil {
		t.Errorf("the statement fails: %v", err)
	}
	if s := f.Stats(); s.CancelsUnknown != 2 || s.Cancels != 0 {
		t.Errorf("%d cancels were unknown and %d known, want 2 and 0", s.CancelsUnknown, s.Cancels)
	}
}

func TestAClientThatGoesAwayLeavesNothingRunning(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	r := f.raw()
	r.send(query("SELECT pg_sleep(60)"))
	eventually(t, "the statement runs", func() bool { return db.Connections("state = 'active'") == 1 })
	r.conn.Close()
	eventually(t, "the statement has ended", func() bool { return db.Connections("state = 'active'") == 0 })
	exec(t, f.connect(), "SELECT 1")
}

func TestAClientThatGoesAwayInATransactionIsRolledBack(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	db.ExecIn("app", "CREATE TABLE numbers (n int)", "GRANT ALL ON numbers TO PUBLIC")
	for name, goodbye := range map[string][]byte{"with a goodbye": wire.AppendTerminate(nil), "without": nil} {
		r := f.raw()
		r.send(query("BEGIN"), query("INSERT INTO numbers VALUES (1)"))
		if got := r.until(2); got != "C Z:T C Z:T" {
			t.Fatalf("the answer is %s", got)
		}
		r.send(goodbye)
		r.conn.Close()
		if n := one[int](t, f.connect(), "SELECT count(*) FROM numbers"); n != 0 {
			t.Errorf("%s: %d rows are left", name, n)
		}
	}
	if s := f.Stats(); s.Dialed != 1 {
		t.Errorf("%d server connections were opened, want 1", s.Dialed)
	}
}

func TestAGoodbyeBehindAStatementLetsItFinish(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	db.ExecIn("app", "CREATE TABLE numbers (n int)", "GRANT ALL ON numbers TO PUBLIC")
	r := f.raw()
	r.send(query("INSERT INTO numbers SELECT 1 FROM pg_sleep(0.3)"), wire.AppendTerminate(nil))
	r.conn.Close()
	c := f.connect()
	eventually(t, "the row is there", func() bool { return one[int](t, c, "SELECT count(*) FROM numbers") == 1 })
	eventually(t, "nothing is lent", func() bool { return f.Stats().Lent == 0 })
}

func TestAServerThatDiesWhileItFinishesBehindAGoodbyeIsReplaced(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	r := f.raw()
	r.send(query("SELECT pg_sleep(600)"), wire.AppendTerminate(nil))
	eventually(t, "the client has left", func() bool { return f.Stats().Clients == 0 && db.Connections("wait_event = 'PgSleep'") == 1 })
	db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
	exec(t, f.connect(), "SELECT 1")
}

func TestAWaitingClientThatGoesAwayIsForgotten(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	a, b := f.connect(), f.raw()
	tx, err := a.Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	b.send(query("SELECT 1"))
	eventually(t, "the client waits", func() bool { return f.Stats().Waiting == 1 })
	b.conn.Close()
	eventually(t, "it does not wait any more", func() bool { s := f.Stats(); return s.Waiting == 0 && s.Clients == 1 })
	if err := tx.Rollback(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestAWaitThatIsTooLongIsAnErrorOfTheStatementOnly(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen, cfg.Limits.AcquireTimeout = 1, 1500*time.Millisecond // longer than until the client is watched
	f := serve(t, db, cfg)
	a, b := f.connect(), f.connect()
	tx, err := a.Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Exec(within(t), "SELECT 1")
	wantCode(t, err, "53300")
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr); pgErr.Severity != "ERROR" {
		t.Errorf("the severity is %s", pgErr.Severity)
	}
	_, err = b.Exec(within(t), "SELECT $1::int", 1) // by the extended protocol
	wantCode(t, err, "53300")
	if err := tx.Commit(within(t)); err != nil {
		t.Fatal(err)
	}
	exec(t, b, "SELECT 1")
	if s := f.Stats(); s.AcquireTimeouts != 2 {
		t.Errorf("%d time-outs are counted, want 2", s.AcquireTimeouts)
	}
}

func TestAFullQueueRefusesAtOnce(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen, cfg.Limits.MaxWaiting = 1, 0
	f := serve(t, db, cfg)
	a, b := f.connect(), f.connect()
	tx, err := a.Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Exec(within(t), "SELECT 1")
	wantCode(t, err, "53300")
	tx.Rollback(context.Background())
	eventually(t, "the connection is free, a moment after its client has its answer", func() bool {
		_, err := b.Exec(within(t), "SELECT 1")
		return err == nil
	})
}
