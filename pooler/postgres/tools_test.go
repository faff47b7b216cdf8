package postgres_test

import (
	"bytes"
	"fmt"
	osexec "os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

// run runs one of PostgreSQL's programs as user app.
func (f *fixture) run(program string, args ...string) string {
	f.t.Helper()
	cmd := osexec.CommandContext(within(f.t), pgtest.Binary(f.t, program), args...)
	cmd.Env = []string{"PGHOST=127.0.0.1", fmt.Sprint("PGPORT=", f.addr.Port), "PGUSER=app", "PGPASSWORD=app's secret", "PGDATABASE=app"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

func TestPsqlAndPgbenchWork(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	for _, mode := range []postgres.PoolMode{postgres.Transaction, postgres.Session} {
		cfg := config(db)
		cfg.PoolMode = mode
		f := serve(t, db, cfg)
		if got := f.run("psql", "-XAtc", "SELECT current_user", "-c", `\d`); !strings.HasPrefix(got, "app\n") {
			t.Errorf("psql says %q", got)
		}
		f.run("pgbench", "-i", "-q", "-s", "1")
		protocols := []string{"simple", "extended"}
		clients := "10"
		if mode == postgres.Session {
			protocols, clients = append(protocols, "prepared"), "4"
		}
		for _, protocol := range protocols {
			got := f.run("pgbench", "-n", "-M", protocol, "-c", clients, "-t", "20")
			if !strings.Contains(got, "number of failed transactions: 0 ") {
				t.Errorf("pgbench -M %s says %s", protocol, got)
			}
		}
		for reason, n := range f.Stats().Pins {
			if mode == postgres.Transaction && n > 0 {
				t.Errorf("%d sessions were pinned for %v", n, session.Reason(reason))
			}
		}
	}
}

func TestLargeRowsAndTextsPassInPieces(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	c := f.connect()
	const size = 20 << 20
	if got := one[string](t, c, "SELECT repeat('x', $1)", size); len(got) != size {
		t.Errorf("%d bytes come out as %d", size, len(got))
	}
	text := strings.Repeat("y", size)
	if got := one[int](t, c, "SELECT length($1)", text); got != size {
		t.Errorf("%d bytes go in as %d", size, got)
	}
	exec(t, c, "CREATE TABLE lines (line text)")
	in := bytes.Repeat([]byte(strings.Repeat("z", 99)+"\n"), 50_000)
	if _, err := c.PgConn().CopyFrom(within(t), bytes.NewReader(in), "COPY lines FROM stdin"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := c.PgConn().CopyTo(within(t), &out, "COPY lines TO stdout"); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(in, out.Bytes()) {
		t.Errorf("%d bytes are copied in and %d out", len(in), out.Len())
	}
	if s := f.Stats(); s.BytesSent < size || s.BytesReceived < size {
		t.Errorf("%d bytes are counted out and %d in", s.BytesSent, s.BytesReceived)
	}
}

func TestAClientMayPauseForLongerThanAServerWaitsForAPoolerThatVanished(t *testing.T) {
	t.Parallel()
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	slow := f.raw()
	slow.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))
	eventually(t, "the server waits for the client to read", func() bool {
		return db.Connections("wait_event = 'ClientWrite'") == 1
	})
	paused := time.NewTimer(45 * time.Second) // tcp_user_timeout is 20 s
	<-paused.C
	if n := f.Stats().StalledBytes; n == 0 {
		t.Error("nothing was taken from the server")
	}
	got := slow.until(1)
	if rows := strings.Count(got, "D"); rows != 100000 || !strings.HasSuffix(got, "C Z:I") {
		t.Errorf("%d rows have come, and at the end %.60s", rows, got[max(0, len(got)-60):])
	}
}

func TestAClientThatDoesNotReadHoldsItsOwnConnectionOnly(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 2
	f := serve(t, db, cfg)
	slow, quick := f.raw(), f.connect()
	slow.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 50000)"))
	eventually(t, "the server waits for the client to read", func() bool {
		return db.Connections("wait_event = 'ClientWrite'") == 1
	})
	for range 20 {
		exec(t, quick, "SELECT 1")
	}
	got := slow.until(1)
	if rows := strings.Count(got, "D"); rows != 50000 || !strings.HasSuffix(got, "C Z:I") {
		t.Errorf("%d rows have come", rows)
	}
}
