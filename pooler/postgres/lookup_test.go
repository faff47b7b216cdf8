package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// finder gives the server a user that may look others up, through a function, and returns how.
func finder(db *pgtest.Server) *postgres.Lookup {
	db.Exec(`CREATE ROLE finder LOGIN PASSWORD 'finder''s secret'`)
	db.ExecIn("app",
		`CREATE SCHEMA weir`,
		`CREATE FUNCTION weir.find(name text, OUT rolname name, OUT rolpassword text) RETURNS record LANGUAGE sql SECURITY DEFINER
		 SET search_path = pg_catalog, pg_temp
		 AS 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin'`, // NULLs for nobody, as PgBouncer's users have it
		`REVOKE ALL ON FUNCTION weir.find FROM PUBLIC`,
		`GRANT USAGE ON SCHEMA weir TO finder`, `GRANT EXECUTE ON FUNCTION weir.find TO finder`)
	return &postgres.Lookup{
		Login:    postgres.Login{User: "finder", Passwords: postgres.Passwords{"finder's secret"}},
		Database: "app", Query: "SELECT * FROM weir.find($1)", Age: time.Minute,
	}
}

func lookups(f *fixture) uint64 { return f.Stats().Lookups }

func TestUsersAreLookedUpOnTheServer(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Users, cfg.Auth.Lookup = nil, finder(db)
	cfg.Limits.MaxOpen = 3
	f := serve(t, db, cfg)
	if err := f.Probe(within(t)); err != nil {
		t.Errorf("the probe: %v", err)
	}
	for _, user := range []string{"app", "other", "app"} {
		conn := connect(t, f.urlOf(user, user+"'s secret", "app"))
		if got := one[string](t, conn, "SELECT current_user::text"); got != user {
			t.Errorf("the server knows %s as %s", user, got)
		}
	}
	wrong := refused(t, f.urlOf("app", "wrong", "app"), "28P01")
	unknown := refused(t, f.urlOf("nobody", "wrong", "app"), "28P01")
	if strings.ReplaceAll(unknown, "nobody", "app") != wrong {
		t.Errorf("an unknown user is told %q, one with a wrong password %q", unknown, wrong)
	}
	refused(t, f.urlOf("nobody", "wrong", "app"), "28P01")
	refused(t, f.urlOf(`x' OR rolname = 'app`, "app's secret", "app"), "28P01")
	if n := lookups(f); n < 4 || n > 6 { // app and nobody may be doubted once each
		t.Errorf("%d lookups for two users and two names of nobody", n)
	}
	if n := db.Connections(""); n > 3 {
		t.Errorf("the server sees %d connections, more than allowed", n)
	}
}

func TestTheQueryOfTheDocumentsAndTheOneThatNeedsNone(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	db.Exec(`CREATE ROLE finder LOGIN PASSWORD 'finder''s secret'`, `CREATE ROLE gone LOGIN PASSWORD 'secret' VALID UNTIL '2020-01-01'`,
		`CREATE ROLE nologin NOLOGIN PASSWORD 'secret'`)
	page, err := os.ReadFile("../../docs/configure.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(page), "```sql\nCREATE ROLE weir_lookup")
	code, _, ok := strings.Cut("CREATE ROLE weir_lookup"+code, "```")
	if !ok {
		t.Fatal("the page shows no function")
	}
	for statement := range strings.SplitSeq(strings.TrimSpace(code), ";\n") {
		db.ExecIn("app", strings.TrimSuffix(statement, ";"))
	}
	for name, l := range map[string]postgres.Lookup{
		"the page's": {
			Login: postgres.Login{User: "weir_lookup", Passwords: postgres.Passwords{"..."}}, Database: "app", Query: "SELECT * FROM weir.find($1)",
		},
		"the superuser's": {
			Login:    postgres.Login{User: pgtest.Superuser, Passwords: postgres.Passwords{pgtest.Password}},
			Database: podapi.DefaultLookupDatabase, Query: podapi.DefaultLookupQuery,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(db)
			l.Age = time.Minute
			cfg.Users, cfg.Auth.Lookup = nil, &l
			f := serve(t, db, cfg)
			f.connect()
			for _, user := range []string{"gone", "nologin", "nobody"} {
				refused(t, f.urlOf(user, "secret", "app"), "28P01")
			}
		})
	}
}

func TestALookupIsNotChangedByWhatClientsSet(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Users, cfg.Auth.Lookup = nil, finder(db)
	// The query names its table without a schema; a client's schema has one of that name in which the password is x.
	db.ExecIn("app", `GRANT SELECT ON pg_catalog.pg_authid TO finder`, `CREATE SCHEMA evil`, `GRANT USAGE ON SCHEMA evil TO PUBLIC`,
		`CREATE TABLE evil.pg_authid AS SELECT 'x'::text AS rolpassword`, `GRANT SELECT ON evil.pg_authid TO PUBLIC`)
	cfg.Auth.Lookup.Query = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1"
	f := serve(t, db, cfg)
	// The lookups' own user is a client, too, with the same settings and another path.
	for _, params := range [][]string{
		{"search_path", "evil, pg_catalog"}, {"search_path", "pg_catalog, pg_temp"}, {"options", `-csearch_path=evil,pg_catalog`},
	} {
		conn := connect(t, f.urlOf("finder", "finder's secret", "app", params...))
		exec(t, conn, "SELECT set_config('search_path', 'evil, pg_catalog', false)")
		if got := one[string](t, conn, "SELECT rolpassword FROM pg_authid"); got != "x" {
			t.Fatalf("the trap does not work: %s", got)
		}
		conn.Close(context.Background())
	}
	connect(t, f.urlOf("other", "other's secret", "app"))
	refused(t, f.urlOf("app", "x", "app"), "28P01")
}

func TestAPasswordThatIsSetAnewIsFoundSoon(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Users, cfg.Auth.Lookup = nil, finder(db)
	f := serve(t, db, cfg)
	f.connect()
	db.Exec(`ALTER ROLE app PASSWORD 'new secret'`)
	refusedOnce := lookups(f)
	eventually(t, "the new password lets in", func() bool {
		conn, err := tryConnect(f.urlOf("app", "new secret", "app"))
		if err == nil {
			conn.Close(context.Background())
		}
		return err == nil
	})
	if n := lookups(f) - refusedOnce; n == 0 || n > 3 {
		t.Errorf("%d lookups for one change", n)
	}
	db.Exec(`CREATE ROLE late LOGIN PASSWORD 'late secret'`)
	connect(t, f.urlOf("late", "late secret", "app"))
}

func TestALookupThatFailsIsNotTheClientsFault(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	good := finder(db)
	for name, change := range map[string]func(*postgres.Config, *postgres.Lookup){
		"a query that makes no sense": func(_ *postgres.Config, l *postgres.Lookup) { l.Query = "SELECT secret_thing($1)" },
		"a query with several rows": func(_ *postgres.Config, l *postgres.Lookup) {
			l.Query = "SELECT $1::text, 'x' FROM generate_series(1, 3)"
		},
		"a query that writes": func(_ *postgres.Config, l *postgres.Lookup) { l.Query = "COPY app TO STDOUT" },
		"a query that is not allowed": func(_ *postgres.Config, l *postgres.Lookup) {
			l.Query = "SELECT rolpassword FROM pg_authid WHERE rolname = $1"
		},
		"a wrong password of who asks":     func(_ *postgres.Config, l *postgres.Lookup) { l.Login.Passwords = postgres.Passwords{"wrong"} },
		"a database that is not there":     func(_ *postgres.Config, l *postgres.Lookup) { l.Database = "nowhere" },
		"a server that is not there":       func(c *postgres.Config, _ *postgres.Lookup) { c.Endpoints[0].Port = 1 },
		"no connection that may be opened": func(c *postgres.Config, _ *postgres.Lookup) { c.Limits.MaxOpen = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg, l := config(db), *good
			cfg.Auth.Lookup = &l
			cfg.Limits.AcquireTimeout = 300 * time.Millisecond
			delete(cfg.Users, "other")
			change(&cfg, &l)
			f := serve(t, db, cfg)
			for _, user := range []string{"other", "nobody"} {
				if got := refused(t, f.urlOf(user, "other's secret", "app"), "08001"); got != "the pooler cannot look up users at the moment" {
					t.Errorf("%s is told %q", user, got)
				}
			}
			if s := f.Stats(); s.LookupsFailed == 0 || s.LookupFault == "" {
				t.Errorf("it is counted %d times and said to be %q", s.LookupsFailed, s.LookupFault)
			}
			eventually(t, "the clients are gone", func() bool { return f.Stats().Clients == 0 })
		})
	}
}

func TestALookupThatWorksAgainIsNoticedWithoutAClient(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Auth.Lookup = finder(db)
	delete(cfg.Users, "other")
	db.ExecIn("app", `REVOKE EXECUTE ON FUNCTION weir.find FROM finder`)
	f := serve(t, db, cfg)
	refused(t, f.urlOf("other", "other's secret", "app"), "08001")
	if got := f.Stats().LookupFault; !strings.Contains(got, "permission denied") {
		t.Errorf("the fault is %q", got)
	}
	if err := f.Probe(within(t)); err != nil || f.Stats().LookupFault == "" {
		t.Errorf("the probe says %v and the fault is over", err)
	}
	db.ExecIn("app", `GRANT EXECUTE ON FUNCTION weir.find TO finder`)
	if err := f.Probe(within(t)); err != nil || f.Stats().LookupFault != "" {
		t.Errorf("the probe says %v and the fault is %q", err, f.Stats().LookupFault)
	}
}

func TestALookupWaitsOutARestart(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Users, cfg.Auth.Lookup = nil, finder(db)
	f := serve(t, db, cfg)
	f.connect()
	db.Stop()
	came := make(chan error, 1)
	go func() {
		conn, err := tryConnect(f.urlOf("other", "other's secret", "app"))
		if err == nil {
			conn.Close(context.Background())
		}
		came <- err
	}()
	eventually(t, "somebody is looked up", func() bool { return lookups(f) == 2 })
	db.Run()
	if err := <-came; err != nil {
		t.Error(err)
	}
}

func TestManyUsersThatComeAtOnceAreLookedUpOverTwoConnections(t *testing.T) {
	db := startDB(t, pgtest.Options{Settings: map[string]string{"log_connections": "off"}})
	cfg := config(db)
	cfg.Users, cfg.Auth.Lookup = nil, finder(db)
	cfg.ServerUser = &postgres.Login{User: "other", Passwords: postgres.Passwords{"other's secret"}}
	for i := range 40 {
		db.Exec(fmt.Sprintf("CREATE ROLE u%d LOGIN PASSWORD 'u'", i))
	}
	f := serve(t, db, cfg)
	came := make(chan error)
	for i := range 80 {
		go func() {
			conn, err := tryConnect(f.urlOf(fmt.Sprint("u", i%40), "u", "app"))
			if err == nil {
				conn.Close(context.Background())
			}
			came <- err
		}()
	}
	for range 80 {
		if err := <-came; err != nil {
			t.Error(err)
		}
	}
	if n := lookups(f); n != 40 {
		t.Errorf("%d lookups of 40 users", n)
	}
	if n := db.Connections("usename = 'finder'"); n > 2 {
		t.Errorf("%d connections for lookups", n)
	}
}

func TestWhoIsConnectedKeepsWhatLogsIn(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Users, cfg.Auth.Lookup = nil, finder(db)
	cfg.Auth.Lookup.Age = time.Millisecond
	f := serve(t, db, cfg)
	conn := f.connect()
	pid := backend(t, conn)
	db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('app', 'finder')")
	eventually(t, "the server connection is gone", func() bool { return db.Connections("usename = 'app'") == 0 })
	if again := backend(t, conn); again == pid {
		t.Error("it is the same server connection")
	}
	f.connect() // although the lookups' connection has died while it was idle
}

func TestAUserOfTheSecretIsNotLookedUp(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Auth.Lookup = finder(db)
	f := serve(t, db, cfg)
	f.connect()
	if n := lookups(f); n != 0 {
		t.Errorf("%d lookups", n)
	}
	connect(t, f.urlOf("finder", "finder's secret", "app"))
	if n := lookups(f); n != 1 {
		t.Errorf("%d lookups", n)
	}
	cfg.Auth.Lookup = nil
	f.apply(cfg)
	refused(t, f.urlOf("finder", "finder's secret", "app"), "28P01")
}

func TestMD5HashesCanBeLookedUp(t *testing.T) {
	db := startDB(t, pgtest.Options{Auth: "md5"})
	cfg := config(db)
	cfg.Users, cfg.Auth.Lookup = nil, finder(db)
	f := serve(t, db, cfg)
	refused(t, f.url(), "28P01")
	cfg.Auth.Method = postgres.AuthMD5
	f.apply(cfg)
	if got := one[string](t, f.connect(), "SELECT current_user::text"); got != "app" {
		t.Errorf("the server knows the client as %s", got)
	}
}
