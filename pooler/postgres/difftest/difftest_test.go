package difftest

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

var update = flag.Bool("update", false, "write what PostgreSQL answers behind < in the scripts")

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// ground is the PostgreSQL that all scripts are run on.
type ground struct {
	db        *pgtest.Server
	authority *pgtest.Authority
	other     bool // it is not of the version that the scripts were written with

	mu        sync.Mutex
	databases int
	blank     []database // that no script has written to
}

// database is one that a run of a script has for itself.
type database struct {
	name  string
	admin *pgx.Conn
}

const password = "app's secret"

// scripted is the version of PostgreSQL that the scripts were written with.
const scripted = 15

func newGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{db: pgtest.Start(t, pgtest.Options{TLS: true, Settings: map[string]string{"max_prepared_transactions": "5"}})}
	g.authority, g.other = pgtest.NewAuthority(t), g.db.Version() != scripted
	g.db.Exec(`CREATE ROLE app LOGIN REPLICATION PASSWORD 'app''s secret'`, `CREATE ROLE friend`, `GRANT friend TO app`,
		`CREATE DATABASE app OWNER app`)
	return g
}

// take gives a run of a script a database, set up as the script says, until the test ends.
func (g *ground) take(t *testing.T, s *Script) database {
	t.Helper()
	db := g.make(t)
	if len(s.Setup) > 0 {
		g.db.ExecIn(db.name, append([]string{"SET ROLE app"}, s.Setup...)...)
		t.Cleanup(func() { db.admin.Close(context.Background()) })
		return db
	}
	t.Cleanup(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.blank = append(g.blank, db)
	})
	return db
}

// make returns a blank database.
func (g *ground) make(t *testing.T) database {
	t.Helper()
	g.mu.Lock()
	if n := len(g.blank); n > 0 {
		db := g.blank[n-1]
		g.blank = g.blank[:n-1]
		g.mu.Unlock()
		return db
	}
	g.databases++
	name := fmt.Sprintf("run%d", g.databases)
	g.mu.Unlock()
	g.db.Exec("CREATE DATABASE " + name + " OWNER app")
	cfg, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s dbname=%s application_name=difftest sslmode=disable",
		g.db.Host, g.db.Port, pgtest.Superuser, name))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = pgtest.Password
	admin, err := pgx.ConnectConfig(context.Background(), cfg)
	if err != nil {
		t.Fatalf("connect as administrator: %v", err)
	}
	return database{name: name, admin: admin}
}

func (g *ground) close() {
	for _, db := range g.blank {
		db.admin.Close(context.Background())
	}
}

// direct is PostgreSQL itself, with a database for this script.
func (g *ground) direct(t *testing.T, s *Script) Target {
	t.Helper()
	db := g.take(t, s)
	return Target{
		Addr: fmt.Sprintf("%s:%d", g.db.Host, g.db.Port), User: "app", Password: password, Database: db.name,
		TLS: &tls.Config{RootCAs: g.db.CA, ServerName: "localhost"}, Admin: db.admin,
	}
}

// variant is one way to run a script through Weir.
type variant struct {
	mode     string
	servers  int
	bytewise bool
}

func (v variant) String() string {
	name := fmt.Sprintf("%s mode, servers %d", v.mode, v.servers)
	if v.bytewise {
		name += ", every byte apart"
	}
	return name
}

func (s *Script) variants() (all []variant) {
	for _, n := range []int{1, 2} {
		if s.Session && n >= s.clients() {
			all = append(all, variant{mode: session, servers: n})
		}
		if n >= s.Servers {
			all = append(all, variant{mode: transaction, servers: n})
		}
	}
	if s.Session && s.clients() > 2 {
		all = append(all, variant{mode: session, servers: s.clients()})
	}
	if s.Servers > 2 {
		all = append(all, variant{mode: transaction, servers: s.Servers})
	}
	if s.Split {
		all = append(all, variant{mode: transaction, servers: s.Servers, bytewise: true})
	}
	return all
}

// weir is an engine in front of PostgreSQL, with a database for this script.
func (g *ground) weir(t *testing.T, s *Script, v variant) (Target, *postgres.Engine) {
	t.Helper()
	db := g.take(t, s)
	endpoint := postgres.Endpoint{Host: g.db.Host, Port: g.db.Port}
	if v.bytewise {
		relay, err := NewRelay(fmt.Sprintf("%s:%d", g.db.Host, g.db.Port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(relay.Close)
		endpoint.Port = relay.Port()
	}
	cert := g.authority.Issue("localhost")
	cfg := postgres.Config{
		Name: "main", Endpoints: []postgres.Endpoint{endpoint},
		Users:                 map[string]postgres.Passwords{"app": {password}},
		ClientTLS:             postgres.ClientTLS{Policy: postgres.TLSOptional, Config: &tls.Config{Certificates: []tls.Certificate{cert}}},
		MaxPreparedStatements: 200,
		Limits: postgres.Limits{MaxOpen: v.servers, MaxIdle: v.servers, MaxWaiting: -1, MaxClients: 100,
			IdleTimeout: time.Hour, AcquireTimeout: 5 * time.Second},
	}
	if v.mode == session {
		cfg.PoolMode = postgres.Session
	}
	engine, err := postgres.New(postgres.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	target := Target{
		Addr: pgtest.Front(t, engine).String(), User: "app", Password: password, Database: db.name, Bytewise: v.bytewise,
		TLS: &tls.Config{RootCAs: g.authority.Pool, ServerName: "localhost"}, Admin: db.admin,
	}
	return target, engine
}

func TestAClientCannotTellWeirFromPostgreSQL(t *testing.T) {
	g := newGround(t)
	defer g.close()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no scripts: %v", err)
	}
	t.Run("scripts", func(t *testing.T) {
		for _, path := range paths {
			s, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				g.compare(t, s, path)
			})
		}
	})
}

func (g *ground) compare(t *testing.T, s *Script, path string) {
	want, err := Run(s, g.direct(t, s))
	if err != nil {
		t.Fatalf("PostgreSQL: %v", err)
	}
	if *update {
		if err := rewrite(path, want.Heard); err != nil {
			t.Fatal(err)
		}
		return
	}
	s.checkHeard(t, want, g.other)
	for _, v := range s.variants() {
		t.Run(v.String(), func(t *testing.T) {
			target, engine := g.weir(t, s, v)
			got, err := Run(s, target)
			if err != nil {
				t.Fatalf("Weir: %v", err)
			}
			diff := Diff(want.Lines, got.Lines)
			if allowed := s.allowed(v.mode); !g.allows(allowed, diff) {
				t.Errorf("the answers differ (- PostgreSQL, + Weir):\n%s\nallowed is:\n%s", indent(diff), indent(allowed))
			}
			g.nothingIsLeft(t, target, engine)
		})
	}
}

// allows says that what differs is what may. Another version may be nearer to Weir.
func (g *ground) allows(allowed, diff []string) bool {
	if g.other {
		return !slices.ContainsFunc(diff, func(line string) bool { return !slices.Contains(allowed, line) })
	}
	return slices.Equal(diff, allowed)
}

func indent(lines []string) string {
	if len(lines) == 0 {
		return "\tno difference"
	}
	return "\t! " + strings.Join(lines, "\n\t! ")
}

// checkHeard compares what PostgreSQL answers with what the script says. Another version may answer otherwise.
func (s *Script) checkHeard(t *testing.T, transcript *Transcript, other bool) {
	t.Helper()
	for _, step := range s.Steps {
		if step.Verb != "<" {
			continue
		}
		if slices.Contains(transcript.Heard[step.Line], "silence") {
			if other {
				t.Skipf("%s:%d: this version of PostgreSQL says less than the script waits for", s.Name, step.Line)
			}
			t.Fatalf("%s:%d: the script waits for more than PostgreSQL says", s.Name, step.Line)
		}
		if got, want := strings.Join(transcript.Heard[step.Line], " "), strings.Join(step.Args, " "); got != want && !other {
			t.Errorf("%s:%d: PostgreSQL answers %s, the script says %s (go test -update writes it)", s.Name, step.Line, got, want)
		}
	}
}

// rewrite writes what PostgreSQL answers into a script.
func rewrite(path string, heard map[int][]string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	for n, words := range heard {
		who, _, _ := strings.Cut(lines[n-1], " ")
		lines[n-1] = fmt.Sprintf("%-8s%s", who+" <", strings.Join(words, " "))
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644)
}

// remains is what a client could find of those before it.
const remains = `
SELECT 'setting ' || name || ' ' || setting FROM pg_settings
	WHERE name NOT LIKE 'tcp_%' AND name NOT LIKE 'plpgsql.%'
	AND name NOT IN ('client_connection_check_interval', 'application_name')
UNION ALL SELECT 'user ' || session_user || ' ' || current_user
UNION ALL SELECT 'listens to ' || pg_listening_channels()
UNION ALL SELECT 'statement ' || statement FROM pg_prepared_statements WHERE from_sql
UNION ALL SELECT 'cursor ' || name FROM pg_cursors WHERE name <> ''
UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
UNION ALL SELECT 'table ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
ORDER BY 1`

// nothingIsLeft checks that the server connections are free again, and that the next client is as on a new one.
func (g *ground) nothingIsLeft(t *testing.T, target Target, engine *postgres.Engine) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for s := engine.Stats(); s.Lent > 0 || s.Waiting > 0 || s.Pinned > 0; s = engine.Stats() {
		if time.Now().After(deadline) {
			t.Fatalf("afterwards %d server connections are lent, %d clients wait, %d are pinned", s.Lent, s.Waiting, s.Pinned)
		}
		time.Sleep(5 * time.Millisecond) // between two looks at what cannot be waited on
	}
	look := func(addr string) []string {
		lines, err := query(target, addr, remains)
		if err != nil {
			t.Fatalf("the next client at %s: %v", addr, err)
		}
		return lines
	}
	if diff := Diff(look(fmt.Sprintf("%s:%d", g.db.Host, g.db.Port)), look(target.Addr)); len(diff) > 0 {
		t.Errorf("the next client finds (- on a new connection, + here):\n%s", indent(diff))
	}
}

// query returns a column of text.
func query(target Target, addr, sql string) ([]string, error) {
	target.Addr, target.Bytewise = addr, false
	c, err := dial(target)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	if err := c.say("Query", []string{sql}); err != nil {
		return nil, err
	}
	c.lines = nil
	if err := c.flush(); err != nil {
		return nil, err
	}
	heard := c.hear([]string{"Z"})
	if last := heard[len(heard)-1]; last != "Z:I" || len(c.lines) < 10 {
		return nil, fmt.Errorf("the answer is %s", strings.Join(c.lines, "\n"))
	}
	return c.lines, nil
}
