package postgres_test

import (
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

func TestAPanicInASessionCostsThatSessionOnly(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 2
	for name, provoke := range map[string]func(*raw){
		"at what the client sends": func(r *raw) { r.send(parse("a", "SELECT 1"), sync()) },
		"in a transaction": func(r *raw) {
			r.send(query("BEGIN"), query("CREATE TABLE lost ()"))
			r.until(2)
			r.send(parse("a", "SELECT 1"), sync())
		},
		"at what the server answers": func(r *raw) { r.send(query("CREATE TABLE kept ()")) },
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, db, cfg)
			inTransaction, other, ended := f.connect(), f.connect(), make(chan error, 1)
			exec(t, inTransaction, "BEGIN")
			stop := make(chan struct{})
			go func() { ended <- keepBusy(other, stop) }()
			eventually(t, "another is at work", func() bool { return f.Stats().Transactions > 10 })

			for n := range 3 {
				victim := f.raw()
				f.Confuse(victim.pid)
				provoke(victim)
				if got := victim.until(1); got != "E:XX000 EOF" {
					t.Errorf("it gets %q", got)
				}
				if s := f.Stats(); s.Panics != uint64(n+1) || s.ServersLost != 0 {
					t.Errorf("%d panics and %d lost servers are counted", s.Panics, s.ServersLost)
				}
				exec(t, f.connect(), "DROP TABLE IF EXISTS kept")
			}
			close(stop)
			if err := <-ended; err != nil {
				t.Errorf("another client is harmed: %v", err)
			}
			exec(t, inTransaction, "COMMIT")
			eventually(t, "nothing is left of the sessions that were closed", func() bool {
				s := f.Stats()
				return s.Clients == 5 && s.Lent == 0 && s.Closing == 0 && s.Open == db.Connections("usename = 'app'")
			})
			if n := db.Connections("datname = 'app' AND state LIKE 'idle in transaction%'"); n != 0 {
				t.Errorf("%d transactions are left on the server", n)
			}
		})
	}
	if n := one[int](t, serve(t, db, cfg).connect(), "SELECT count(*) FROM pg_class WHERE relname = 'lost'"); n != 0 {
		t.Error("the transaction of a session that was closed is not rolled back")
	}
}
