package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// serveOne has one server connection, on which clients take turns.
func serveOne(t *testing.T) (*pgtest.Server, *fixture) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	return db, serve(t, db, cfg)
}

func TestPgxAsItComesWorksInTransactionMode(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	for name, change := range map[string]func(*postgres.Config){
		"with room for its statements":      func(*postgres.Config) {},
		"with room for one statement":       func(c *postgres.Config) { c.MaxPreparedStatements = 1 },
		"with several connections":          func(c *postgres.Config) { c.Limits.MaxOpen = 3 },
		"in session mode":                   func(c *postgres.Config) { c.PoolMode, c.Limits.MaxOpen = postgres.Session, 4 },
		"several connections and evictions": func(c *postgres.Config) { c.MaxPreparedStatements, c.Limits.MaxOpen = 2, 2 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(db)
			cfg.Limits.MaxOpen = 1
			change(&cfg)
			f := serve(t, db, cfg)
			clients := make([]*pgx.Conn, 4)
			for i, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec"} {
				clients[i] = f.connect("default_query_exec_mode", mode)
			}
			ended := make(chan error)
			for i, c := range clients {
				go func() { ended <- work(within(t), c, fmt.Sprintf("client %d", i)) }()
			}
			for range clients {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// work uses a connection as programs do, and looks at whose the answers are.
func work(ctx context.Context, c *pgx.Conn, who string) error {
	for i := range 20 {
		var got string
		var n int
		if err := c.QueryRow(ctx, "SELECT $1::text, $2::int", who, i).Scan(&got, &n); err != nil || got != who || n != i {
			return fmt.Errorf("%s: %d is answered with %q %d: %w", who, i, got, n, err)
		}
		text := fmt.Sprintf("SELECT $1::text || ' %d'", i%5)
		if err := c.QueryRow(ctx, text, who).Scan(&got); err != nil || got != fmt.Sprint(who, " ", i%5) {
			return fmt.Errorf("%s: %s is answered with %q: %w", who, text, got, err)
		}
		if err := transaction(ctx, c, who, i); err != nil {
			return err
		}
	}
	return nil
}

var errRollback = errors.New("roll it back")

func transaction(ctx context.Context, c *pgx.Conn, who string, i int) error {
	var got string
	err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue("SELECT $1::text", who).QueryRow(func(row pgx.Row) error { return row.Scan(&got) })
		batch.Queue("SELECT 1/$1::int", i%2) // fails every other time
		if err := tx.SendBatch(ctx, batch).Close(); err != nil && i%2 == 1 {
			return err
		}
		return errRollback
	})
	if got != who || !errors.Is(err, errRollback) {
		return fmt.Errorf("%s: a batch is answered with %q: %w", who, got, err)
	}
	return nil
}

func TestAStatementIsParsedOncePerServerConnection(t *testing.T) {
	_, f := serveOne(t)
	for range 5 {
		c := f.connect("default_query_exec_mode", "cache_statement")
		for range 3 {
			if got := one[int](t, c, "SELECT 40 + $1::int", 2); got != 42 {
				t.Fatalf("the answer is %d", got)
			}
		}
	}
	if n := f.Stats().ServerParses; n != 1 {
		t.Errorf("the text was parsed %d times, want 1", n)
	}
}

func TestAClientThatHasLeftLeavesNoStatementToOthers(t *testing.T) {
	_, f := serveOne(t)
	a := f.raw()
	a.send(parse("mine", "SELECT 'a'"), sync())
	if got := a.until(1); got != "1 Z:I" {
		t.Fatalf("Parse is answered with %s", got)
	}
	b := f.raw()
	b.send(bind("mine"), execute(), sync())
	if got := b.until(1); got != "E:26000 Z:I" {
		t.Errorf("another client's Bind is answered with %s", got)
	}
	b.send(bind("weir_1"), execute(), sync(), query("EXECUTE mine"))
	if got := b.until(2); got != "E:26000 Z:I E:26000 Z:I" {
		t.Errorf("a Bind of the server's name is answered with %s", got)
	}
	a.send(bind("mine"), execute(), sync())
	if got := a.until(1); got != "2 D C Z:I" {
		t.Errorf("its own Bind is answered with %s", got)
	}
}

func TestALongUnnamedStatementIsBoundInTheNextTransaction(t *testing.T) {
	_, f := serveOne(t)
	a, b := f.raw(), f.raw()
	a.send(parse("", "SELECT 1 /* "+strings.Repeat("x", 100_000)+" */"), sync())
	if got := a.until(1); got != "1 Z:I" {
		t.Fatalf("Parse is answered with %s", got)
	}
	b.send(query("SELECT 2"))
	a.send(bind(""), execute(), sync())
	if got := a.until(1); got != "2 D C Z:I" {
		t.Errorf("Bind is answered with %s", got)
	}
	if got := b.until(1); got != "T D C Z:I" {
		t.Errorf("the client behind it gets %s", got)
	}
	if s := f.Stats(); s.Pinned != 0 {
		t.Errorf("%d clients are pinned", s.Pinned)
	}
}

func TestAVeryLongNamedStatementPins(t *testing.T) {
	_, f := serveOne(t)
	a := f.raw()
	a.send(parse("long", "SELECT 1 /* "+strings.Repeat("x", 2<<20)+" */"), sync(), bind("long"), execute(), sync())
	if got := a.until(2); got != "1 Z:I 2 D C Z:I" {
		t.Fatalf("the answer is %s", got)
	}
	if s := f.Stats(); s.Pinned != 1 {
		t.Errorf("%d clients are pinned", s.Pinned)
	}
	a.send(query("DISCARD ALL"))
	a.until(1)
	eventually(t, "it is not pinned any more", func() bool { s := f.Stats(); return s.Pinned == 0 && s.Lent == 0 })
}

func TestATableThatHasChangedIsNoticedOnce(t *testing.T) {
	db, f := serveOne(t)
	db.ExecIn("app", "CREATE TABLE t (a int)", "GRANT ALL ON t TO PUBLIC", "INSERT INTO t VALUES (1)")
	a, b := f.raw(), f.raw()
	for _, c := range []*raw{a, b} {
		c.send(parse("s", "SELECT * FROM t"), sync(), bind("s"), execute(), sync())
		if got := c.until(2); got != "1 Z:I 2 D C Z:I" {
			t.Fatalf("the answer is %s", got)
		}
	}
	db.ExecIn("app", "ALTER TABLE t ADD b text")
	use := join(bind("s"), execute(), sync())
	a.send(use)
	if got := a.until(1); got != "E:0A000 Z:I" {
		t.Errorf("the first who uses it gets %s", got)
	}
	for _, c := range []*raw{a, b} {
		c.send(use)
		if got := c.until(1); got != "2 D C Z:I" {
			t.Errorf("the next gets %s", got)
		}
	}
}

func TestSettingsFollowTheClient(t *testing.T) {
	_, f := serveOne(t)
	a := f.connect("application_name", "anna", "TimeZone", "europe/berlin")
	b := f.connect("DateStyle", "german", "application_name", strings.Repeat("b", 70))
	if got := a.PgConn().ParameterStatus("TimeZone"); got != "Europe/Berlin" {
		t.Errorf("the client is told TimeZone %q", got)
	}
	if got := b.PgConn().ParameterStatus("DateStyle"); got != "German, DMY" {
		t.Errorf("the client is told DateStyle %q", got)
	}
	exec(t, a, "SET search_path TO \"Odd, name\", public")
	exec(t, b, "SET standard_conforming_strings = off")
	for range 3 {
		for _, c := range []struct {
			conn      *pgx.Conn
			sql, want string
		}{
			{a, "SHOW TimeZone", "Europe/Berlin"}, {b, "SHOW TimeZone", "Etc/UTC"},
			{a, "SHOW application_name", "anna"}, {b, "SHOW application_name", strings.Repeat("b", 63)},
			{a, "SHOW search_path", `"Odd, name", public`}, {b, "SHOW search_path", `"$user", public`},
			{a, `SELECT 'a\\b'`, `a\\b`}, {b, `SELECT 'a\\b'`, `a\b`},
		} {
			got := one[string](t, c.conn, c.sql)
			if got != c.want && c.want != "Etc/UTC" {
				t.Errorf("%s is %q, want %q", c.sql, got, c.want)
			}
		}
	}
	if s := f.Stats(); s.Pinned != 0 || s.Dialed != 1 {
		t.Errorf("%d clients are pinned, %d connections were opened", s.Pinned, s.Dialed)
	}
	refused(t, f.url("TimeZone", "Nowhere/Else"), "22023")
}

func TestResetGivesBackWhatTheLoginHasChosen(t *testing.T) {
	_, f := serveOne(t)
	for _, reset := range []string{"RESET ALL", "DISCARD ALL", "SET TimeZone TO DEFAULT", "SET TIME ZONE LOCAL", "RESET timezone"} {
		c := f.connect("TimeZone", "Asia/Tokyo")
		exec(t, c, "SET TimeZone TO 'Asia/Seoul'")
		exec(t, c, reset)
		if got := c.PgConn().ParameterStatus("TimeZone"); got != "Asia/Tokyo" {
			t.Errorf("after %s the client is told TimeZone %q", reset, got)
		}
		if got := one[string](t, c, "SHOW TimeZone"); got != "Asia/Tokyo" {
			t.Errorf("after %s TimeZone is %q", reset, got)
		}
		c.Close(within(t))
	}
}

func TestSearchPathFollowsTheTransaction(t *testing.T) {
	_, f := serveOne(t)
	for _, c := range []struct{ name, sql, want string }{
		{"one SET", "SET search_path TO a, b", "a, b"},
		{"SET in a transaction", "BEGIN | SET search_path = a | COMMIT", "a"},
		{"SET in a transaction that is rolled back", "BEGIN | SET search_path = a | ROLLBACK", `"$user", public`},
		{"SET in a transaction that has failed", "BEGIN | SET search_path = a | SELECT 1/0 | COMMIT", `"$user", public`},
		{"two of them", "SET search_path = a | SET search_path = b", "b"},
		{"rolled back after one that was not", "SET search_path = a | BEGIN | SET search_path = b | ROLLBACK", "a"},
		{"RESET", "SET search_path = a | RESET search_path", `"$user", public`},
		{"DEFAULT", "SET search_path = a | SET search_path TO DEFAULT", `"$user", public`},
		{"RESET ALL", "SET search_path = a | RESET ALL", `"$user", public`},
		{"DISCARD ALL", "SET search_path = a | DISCARD ALL", `"$user", public`},
		{"quotes", `SET search_path = "$user", "A ""b""", pg_catalog`, `"$user", "A ""b""", pg_catalog`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := f.with(t)
			a, b := f.connect(), f.connect()
			for sql := range strings.SplitSeq(c.sql, " | ") {
				_, _ = a.Exec(within(t), sql, pgx.QueryExecModeSimpleProtocol)
			}
			if got := one[string](t, b, "SHOW search_path"); got != `"$user", public` {
				t.Errorf("the other client finds %s", got)
			}
			if got := one[string](t, a, "SHOW search_path"); got != c.want {
				t.Errorf("search_path is %s, want %s", got, c.want)
			}
			if s := f.Stats(); s.Pinned != 0 {
				t.Errorf("%d clients are pinned", s.Pinned)
			}
		})
	}
}

func TestSearchPathThatCannotBeFollowedPins(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	if db.Version() >= 18 {
		t.Skip("PostgreSQL 18 reports search_path: it can be followed whatever is said")
	}
	f := serve(t, db, config(db))
	for i, sql := range []string{
		"BEGIN | SAVEPOINT s | SET search_path = a | ROLLBACK TO s | COMMIT",
		"SET search_path = a; SELECT 1",
		"SET search_path = 'a'",
		"SELECT set_config('search_path', 'a', false)",
	} {
		c := f.connect()
		for one := range strings.SplitSeq(sql, " | ") {
			exec(t, c, one, pgx.QueryExecModeSimpleProtocol)
		}
		eventually(t, sql+" pins", func() bool { return f.Stats().Pinned == i+1 })
	}
}

func TestATextIsForgottenWithTheLastThatHasIt(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	f := serve(t, db, cfg)
	r := f.raw()
	r.send(parse("s", "SELECT 1"), sync())
	if got := r.until(1); got != "1 Z:I" {
		t.Fatalf("the answer is %s", got)
	}
	r.send(wire.AppendTerminate(nil))
	eventually(t, "the client has left", func() bool { return f.Stats().Clients == 0 })
	if n := f.Statements(); n != 1 {
		t.Errorf("%d texts are kept, want that of the server connection", n)
	}
	cfg.Limits.MaxOpen = 0
	f.apply(cfg)
	eventually(t, "the server connection is closed", func() bool { return f.Stats().Open == 0 })
	if n := f.Statements(); n != 0 {
		t.Errorf("%d texts are kept for nobody", n)
	}
}

func TestATextIsForgottenIfTheServerDiesBehindTheClientThatHasIt(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	r := f.raw()
	r.send(parse("s", "SELECT 1"), sync())
	r.until(1)
	r.send(query("SELECT pg_sleep(600)"))
	sleeps := "query LIKE 'SELECT pg_sleep%' AND state = 'active'"
	eventually(t, "the server runs what it was sent", func() bool { return db.Connections(sleeps) == 1 })
	r.send(wire.AppendTerminate(nil))
	eventually(t, "the client has left", func() bool { return f.Stats().Clients == 0 })
	if n := f.Statements(); n != 1 {
		t.Fatalf("%d texts are kept of a client whose statement goes on, want 1", n)
	}
	db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE " + sleeps)
	eventually(t, "the server connection is closed", func() bool { return f.Stats().Open == 0 })
	if n := f.Statements(); n != 0 {
		t.Errorf("%d texts are kept for nobody", n)
	}
}
