package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

func TestTheConnectionOfAClientThatVanishesIsKeptIfItCanBeCleaned(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	db.ExecIn("app", "CREATE TABLE numbers (n int)", "GRANT ALL ON numbers TO PUBLIC")
	half := query("SELECT '" + strings.Repeat("x", 100_000) + "'")[:50_000]
	for _, c := range []struct {
		name   string
		mode   postgres.PoolMode
		say    [][]byte
		active bool // a statement runs
		dialed uint64
	}{
		{"a statement", postgres.Transaction, [][]byte{query("SELECT pg_sleep(60)")}, true, 1},
		{"a statement in session mode", postgres.Session, [][]byte{query("SET work_mem = '1MB'; SELECT pg_sleep(60)")}, true, 1},
		{"statements behind each other", postgres.Transaction, [][]byte{query("SELECT pg_sleep(60)"), query("SELECT 1"), query("SELECT 2")}, true, 1},
		{"a transaction", postgres.Transaction, [][]byte{query("BEGIN"), query("INSERT INTO numbers VALUES (1)"), query("SELECT pg_sleep(60)")}, true, 1},
		{"a pipeline", postgres.Transaction, [][]byte{parse("", "SELECT pg_sleep(60)"), bind(""), execute(), sync()}, true, 1},
		{"a pipeline without its Sync", postgres.Transaction, [][]byte{parse("", "SELECT pg_sleep(60)"), bind(""), execute(), frame(wire.TypeFlush, nil)}, true, 1},
		{"a pipeline that failed, without its Sync", postgres.Transaction, [][]byte{parse("", "SELECT nothing"), frame(wire.TypeFlush, nil)}, false, 1},
		{"half a message behind a statement", postgres.Transaction, [][]byte{query("SELECT pg_sleep(60)"), half}, true, 2},
		{"a COPY that has not ended", postgres.Transaction, [][]byte{query("COPY numbers FROM stdin"), copyData("1\n")}, true, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(db)
			cfg.Limits.MaxOpen, cfg.PoolMode = 1, c.mode
			f := serve(t, db, cfg)
			admin := db.Admin()
			active := func() int {
				n, err := pgtest.Count(admin, "usename = 'app' AND state = 'active'")
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			r := f.raw()
			r.send(c.say...)
			if c.active {
				eventually(t, "the statement runs", func() bool { return active() == 1 })
			} else {
				r.report()
			}
			r.conn.Close()
			eventually(t, "nothing runs, and nobody has the connection", func() bool { return f.Stats().Lent == 0 && active() == 0 })
			next := f.connect()
			if n := one[int](t, next, "SELECT count(*) FROM numbers"); n != 0 {
				t.Errorf("%d rows are left", n)
			}
			if got := one[string](t, next, "SHOW work_mem"); got != "4MB" {
				t.Errorf("work_mem is left at %s", got)
			}
			if n := f.Stats().Dialed; n != c.dialed {
				t.Errorf("%d server connections were opened, want %d", n, c.dialed)
			}
		})
	}
}

func TestTheNextClientIsNotHarmedByOneThatVanished(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	next := f.connect()
	for range 30 {
		r := f.raw()
		r.send(query("SELECT pg_sleep(60)"))
		eventually(t, "the statement has the connection", func() bool { return f.Stats().Lent == 1 })
		r.conn.Close()
		var got int
		if err := next.QueryRow(within(t), "SELECT 7 FROM pg_sleep(0.01)").Scan(&got); err != nil || got != 7 {
			t.Fatalf("the next client gets %d (%v)", got, err)
		}
	}
}

func TestAServerThatDoesNotEndWhatAVanishedClientLeftIsLetGo(t *testing.T) {
	t.Parallel()
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	db.ExecIn("app", `CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			LOOP
				BEGIN
					PERFORM pg_sleep(60);
				EXCEPTION WHEN query_canceled THEN
				END;
			END LOOP;
		END $$`)
	r := f.raw()
	r.send(query("SELECT stubborn()"))
	eventually(t, "the statement runs", func() bool { return db.Connections("state = 'active'") == 1 })
	r.conn.Close()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for f.Stats().Lent > 0 {
		select {
		case <-late.C:
			t.Fatal("the connection is held for a client that is gone")
		case <-time.After(grace):
		}
	}
	db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
}
