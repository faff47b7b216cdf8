package postgres_test

import (
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

func join(messages ...[]byte) (all []byte) {
	for _, m := range messages {
		all = append(all, m...)
	}
	return all
}

// repeat is n times the same messages.
func repeat(n int, messages ...[]byte) (all []byte) {
	for range n {
		all = append(all, join(messages...)...)
	}
	return all
}

func TestTheProtocolInTransactionMode(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	db.ExecIn("app", "CREATE TABLE numbers (n int)", "GRANT ALL ON numbers TO PUBLIC",
		"CREATE TABLE checked (n int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)", "GRANT ALL ON checked TO PUBLIC")
	one := join(parse("", "SELECT 1"), bind(""), describe('P', ""), execute())

	for _, c := range []struct {
		name string
		send []byte
		want string // up to the last ReadyForQuery
	}{
		{"a simple query", query("SELECT 1"), "T D C Z:I"},
		{"an empty query", query(";"), "I Z:I"},
		{"several statements in one query", query("BEGIN; SELECT 1; COMMIT; SELECT 2"), "C T D C C T D C Z:I"},
		{"an error in the middle of several statements", query("SELECT 1; SELECT 1/0; SELECT 2"), "T D C E:22012 Z:I"},
		{"two queries at once", join(query("SELECT 1"), query("SELECT 2")), "T D C Z:I T D C Z:I"},
		{"one extended query", join(one, sync()), "1 2 T D C Z:I"},
		{"a pipeline", repeat(3, one, sync()), "1 2 T D C Z:I 1 2 T D C Z:I 1 2 T D C Z:I"},
		{"a batch under one Sync", join(one, one, sync()), "1 2 T D C 1 2 T D C Z:I"},
		{"an error takes the rest up to Sync with it", join(parse("", "SELECT nonsense"), bind(""), execute(), sync(), one, sync()),
			"E:42703 Z:I 1 2 T D C Z:I"},
		{"a Sync alone", sync(), "Z:I"},
		{"several Syncs alone", repeat(3, sync()), "Z:I Z:I Z:I"},
		{"a query in the middle of a batch", join(parse("", "SELECT 1"), bind(""), query("SELECT 2"), sync()), "1 2 T D C Z:I Z:I"},
		{"a transaction", join(query("BEGIN"), query("SELECT 1"), query("ROLLBACK")), "C Z:T T D C Z:T C Z:I"},
		{"a failed transaction", join(query("BEGIN"), query("SELECT 1/0"), query("SELECT 1"), query("COMMIT")),
			"C Z:T E:22012 Z:E E:25P02 Z:E C Z:I"},
		{"a portal that does not exist", join(describe('P', "none"), sync()), "E:34000 Z:I"},
		{"an Execute without a portal", join(execute(), sync()), "E:34000 Z:I"},
		{"closing what does not exist", join(frame('C', []byte("Snone\x00")), sync()), "3 Z:I"},
		{"a named statement", join(parse("mine", "SELECT 1"), bind("mine"), execute(), sync()), "1 2 D C Z:I"},
		{"a named statement inside a transaction", join(query("BEGIN"), parse("mine", "SELECT 1"), sync(), query("ROLLBACK")),
			"C Z:T 1 Z:T C Z:I"},
		{"a named statement behind another statement of the batch", join(one, parse("mine", "SELECT 1"), bind("mine"), sync(), one, sync()),
			"1 2 T D C 1 2 Z:I 1 2 T D C Z:I"},
		{"a batch behind a name that is not known", join(describe('S', "mine"), sync(), one, sync()), "E:26000 Z:I 1 2 T D C Z:I"},
		{"an unnamed statement used twice in a transaction",
			join(query("BEGIN"), parse("", "SELECT 1"), sync(), bind(""), execute(), sync(), query("COMMIT")),
			"C Z:T 1 Z:T 2 D C Z:T C Z:I"},
		{"an unnamed statement after a simple query", join(query("BEGIN"), parse("", "SELECT 1"), sync(), query("SELECT 2"),
			bind(""), sync(), query("ROLLBACK")), "C Z:T 1 Z:T T D C Z:T E:26000 Z:E C Z:I"},
		{"COPY in", join(query("COPY numbers FROM stdin"), copyData("1\n"), copyDone()), "G C Z:I"},
		{"COPY in, failed by the client", join(query("COPY numbers FROM stdin"), frame('f', []byte("no\x00"))), "G E:57014 Z:I"},
		{"COPY in, with late data after an error", join(query("COPY nowhere FROM stdin"), repeat(20, copyData("1\n")), copyDone(), query("SELECT 1")),
			"E:42P01 Z:I T D C Z:I"},
		{"COPY in, with bad data", join(query("COPY numbers FROM stdin"), copyData("x\n"), repeat(20, copyData("1\n")), copyDone(), query("SELECT 1")),
			"G E:22P02 Z:I T D C Z:I"},
		{"COPY in, extended, as libpq does it", join(parse("", "COPY numbers FROM stdin"), bind(""), execute(), sync(),
			copyData("1\n"), copyDone(), sync()), "1 2 G C Z:I"},
		{"COPY in, extended, in one batch", join(parse("", "COPY numbers FROM stdin"), bind(""), execute(),
			copyData("1\n"), copyDone(), sync(), one, sync()), "1 2 G C Z:I 1 2 T D C Z:I"},
		{"COPY out", query("COPY (SELECT 1) TO stdout"), "H d c C Z:I"},
		{"COPY data without COPY", join(copyData("x"), copyDone(), query("SELECT 1")), "T D C Z:I"},
		{"a function call", frame('F', []byte{0, 0, 5, 0xc2, 0, 0, 0, 0, 0, 0}), "?"},
		{"a deferred constraint that fails in Sync", join(query("BEGIN"), query("INSERT INTO checked VALUES (1),(1)"), query("COMMIT")),
			"C Z:T C Z:T E:23505 Z:I"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := f.with(t)
			r := f.raw()
			r.send(c.send)
			got := r.until(strings.Count(c.want, "Z"))
			if c.want == "?" {
				got = "?"
				r.until(1)
			}
			if got != c.want {
				t.Errorf("the answer is %s\nwant          %s", got, c.want)
			}
			eventually(t, "the server connection is idle again", func() bool { s := f.Stats(); return s.Lent == 0 && s.Open <= 1 })
			r.send(query("SELECT 1"))
			if got := r.until(1); got != "T D C Z:I" {
				t.Errorf("afterwards a query is answered with %s", got)
			}
		})
	}
	if s := f.Stats(); s.Pinned > 0 || s.Pins != [session.Reasons]uint64{} {
		t.Errorf("sessions were pinned: %v", s.Pins)
	}
	if s := f.Stats(); s.Dialed != 1 {
		t.Errorf("%d server connections were opened, want 1 for everything", s.Dialed)
	}
}

func TestFlushBringsRepliesWithoutSync(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	r := f.raw()
	r.send(parse("", "SELECT 1"), frame('H', nil))
	if got := r.types(1); got != "1" {
		t.Fatalf("Parse and Flush are answered with %s", got)
	}
	if s := f.Stats(); s.Lent != 1 {
		t.Errorf("%d connections are lent without a Sync, want 1", s.Lent)
	}
	r.send(bind(""), execute(), frame('H', nil))
	if got := r.types(3); got != "2 D C" {
		t.Fatalf("Bind, Execute and Flush are answered with %s", got)
	}
	r.send(sync())
	if got := r.until(1); got != "Z:I" {
		t.Fatalf("Sync is answered with %s", got)
	}
}

func TestTheUnnamedStatementOfAnEarlierTransactionIsNotSomebodyElses(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	a, b := f.raw(), f.raw()
	a.send(parse("", "SELECT 'a'"), sync())
	if got := a.until(1); got != "1 Z:I" {
		t.Fatalf("Parse is answered with %s", got)
	}
	for _, use := range [][]byte{join(bind(""), execute(), sync()), join(describe('S', ""), sync())} {
		b.send(use)
		if got := b.until(1); got != "E:26000 Z:I" {
			t.Errorf("another client's use of the statement is answered with %s", got)
		}
		b.send(query("BEGIN"), parse("", "SELECT nonsense"), sync(), query("ROLLBACK"), query("BEGIN"), use, query("ROLLBACK"))
		if got := b.until(6); got != "C Z:T E:42703 Z:E C Z:I C Z:T E:26000 Z:E C Z:I" {
			t.Errorf("its use after a Parse that failed is answered with %s", got)
		}
	}
}

func TestARefusedStatementRollsTheBatchBack(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.MaxPreparedStatements = 0
	f := serve(t, db, cfg)
	db.ExecIn("app", "CREATE TABLE numbers (n int)", "GRANT ALL ON numbers TO PUBLIC")
	r := f.raw()
	r.send(parse("", "INSERT INTO numbers VALUES (1)"), bind(""), execute(), parse("named", "SELECT 1"), sync())
	if got := r.until(1); got != "1 2 C E:0A000 Z:I" {
		t.Fatalf("the answer is %s", got)
	}
	if n := one[int](t, f.connect(), "SELECT count(*) FROM numbers"); n != 0 {
		t.Errorf("%d rows are there although the batch has failed", n)
	}
}

func TestWhatOutlivesATransactionPinsTheSession(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 2
	f := serve(t, db, cfg)
	db.ExecIn("app", "CREATE TABLE numbers (n int)", "GRANT ALL ON numbers TO PUBLIC",
		`CREATE FUNCTION hidden() RETURNS text LANGUAGE sql AS $$ SELECT set_config('DateStyle', 'SQL, DMY', false) $$`)
	for _, c := range []struct {
		sql    string
		reason session.Reason
	}{
		{"LISTEN news", session.Listen},
		{"create temp table mine (n int)", session.TempTable},
		{"SELECT 1 AS n INTO TEMPORARY mine", session.TempTable},
		{"BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", session.HoldCursor},
		{"PREPARE mine AS SELECT 1", session.SQLPrepare},
		{"LOAD 'plpgsql'", session.Load}, // which is refused, but a false alarm is none
		{"SELECT set_config('work_mem', '1MB', false)", session.SetConfig},
		{"SELECT pg_advisory_lock(1)", session.AdvisoryLock},
		{"SELECT pg_try_advisory_lock_shared(1)", session.AdvisoryLock},
		{"SET work_mem = '1MB'", session.Set},
		{"DO $$ BEGIN SET work_mem = '1MB'; END $$", session.Set},
		{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", session.Set},
		{"SELECT 1; SET /* LOCAL */ work_mem = '1MB'", session.Set},
		{"BEGIN; SET LOCAL work_mem = '1MB'; COMMIT", session.NotPinned},
		{"BEGIN; SET LOCAL datestyle = 'SQL, DMY'; COMMIT", session.NotPinned},
		{"BEGIN; SET TRANSACTION READ ONLY; COMMIT", session.NotPinned},
		{"BEGIN; SET CONSTRAINTS ALL DEFERRED; COMMIT", session.NotPinned},
		{"SELECT pg_advisory_xact_lock(1)", session.NotPinned},
		{"UPDATE numbers SET n = 1", session.NotPinned},
		{"SELECT hidden()", session.NotPinned},
		{"SET datestyle = 'SQL, DMY'", session.NotPinned},
		{"SELECT set_config('work_mem', '1MB', true)", session.NotPinned},
		{"SET search_path TO public, pg_catalog", session.NotPinned},
	} {
		t.Run(c.sql, func(t *testing.T) {
			before := f.Stats()
			f := f.with(t)
			r := f.raw()
			r.send(query(c.sql))
			if got := r.until(1); !strings.Contains(got, "Z:I") {
				t.Fatalf("the answer is %s", got)
			}
			want := 1
			if c.reason == session.NotPinned {
				want = 0
			}
			eventually(t, "the connection is pinned, or free", func() bool { s := f.Stats(); return s.Pinned == want && s.Lent == want })
			if got := f.Stats().Pins[c.reason] - before.Pins[c.reason]; want == 1 && got != 1 {
				t.Errorf("the reason %v was counted %d times: %v", c.reason, got, f.Stats().Pins)
			}
			r.conn.Close()
			eventually(t, "the connection is free", func() bool { s := f.Stats(); return s.Pinned == 0 && s.Lent == 0 })
			c := f.connect()
			if got := one[string](t, c, "SHOW work_mem"); got != "4MB" {
				t.Errorf("the next client finds work_mem %s", got)
			}
			if got := one[string](t, c, "SHOW datestyle"); got != "ISO, MDY" {
				t.Errorf("the next client finds datestyle %s", got)
			}
			if n := one[int](t, c, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"); n != 0 {
				t.Errorf("%d advisory locks are left behind", n)
			}
		})
	}
}

func TestAPinnedClientThatGoesWhileItsStatementRunsIsNotCountedAnyMore(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	r := f.raw()
	r.send(query("LISTEN news"))
	r.until(1)
	r.send(query("SELECT pg_sleep(100)"))
	eventually(t, "the statement runs", func() bool { return db.Connections("wait_event = 'PgSleep'") == 1 })
	if n := f.Stats().Pinned; n != 1 {
		t.Fatalf("%d clients are pinned, want 1", n)
	}
	r.conn.Close()
	eventually(t, "nobody is pinned", func() bool { s := f.Stats(); return s.Pinned == 0 && s.Lent == 0 })
}
