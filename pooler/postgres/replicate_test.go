package postgres_test

import (
	"bytes"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// replicated runs a server that can be replicated, by user app.
func replicated(t *testing.T) (*pgtest.Server, *fixture) {
	t.Helper()
	db := startDB(t, pgtest.Options{Settings: map[string]string{"wal_level": "logical"}})
	db.Exec("ALTER ROLE app REPLICATION")
	cfg := config(db)
	cfg.Timeouts = postgres.Timeouts{Query: time.Second, Transaction: time.Second, ClientIdle: time.Second} // not for replication
	return db, serve(t, db, cfg)
}

func TestABackupIsTakenThroughThePooler(t *testing.T) {
	db, f := replicated(t)
	db.Tool("pg_basebackup")
	dir := t.TempDir()
	f.run("pg_basebackup", "-D", filepath.Join(dir, "backup"), "-X", "stream", "-c", "fast")
	if _, err := os.Stat(filepath.Join(dir, "backup", "backup_manifest")); err != nil {
		t.Errorf("the backup is not whole: %v", err)
	}
	eventually(t, "walsenders are not kept", func() bool { return f.Stats().Open == 0 })
}

func TestChangesAreStreamedBothWays(t *testing.T) {
	db, f := replicated(t)
	db.ExecIn("app", "CREATE TABLE numbers (n int)", "GRANT ALL ON numbers TO PUBLIC")
	f.run("pg_recvlogical", "-d", "app", "--slot", "s", "--create-slot", "-P", "test_decoding")
	file := filepath.Join(t.TempDir(), "changes")
	cmd := osexec.CommandContext(within(t), pgtest.Binary(t, "pg_recvlogical"), "-d", "app", "--slot", "s", "--start", "-f", file, "-F", "1", "-s", "1")
	cmd.Env = []string{"PGHOST=127.0.0.1", fmt.Sprint("PGPORT=", f.addr.Port), "PGUSER=app", "PGPASSWORD=app's secret", "PGDATABASE=app"}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	admin := db.Admin()
	walsenders := func() (n int) {
		if err := admin.QueryRow(within(t), "SELECT count(*) FROM pg_stat_replication").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "the walsender streams", func() bool { return walsenders() == 1 })
	pause := time.NewTimer(1500 * time.Millisecond) // more than any timeout
	<-pause.C
	c := f.connect()
	for n := range 20 {
		exec(t, c, fmt.Sprintf("INSERT INTO numbers VALUES (%d)", n))
	}
	eventually(t, "all rows are streamed", func() bool {
		out, err := os.ReadFile(file)
		return err == nil && strings.Count(string(out), "table public.numbers: INSERT") == 20
	})
	eventually(t, "the walsender alone is lent", func() bool { return f.Stats().Lent == 1 })
	_ = cmd.Process.Signal(os.Interrupt) // it says CopyDone, and waits for the server's
	if err := cmd.Wait(); err != nil {
		t.Errorf("pg_recvlogical: %v\n%s", err, &errs)
	}
	eventually(t, "the walsender has ended", func() bool { return walsenders() == 0 && f.Stats().Lent == 0 })
}

func TestAWalsenderIsItsClientsOwnAndCountsLikeAnyConnection(t *testing.T) {
	db, f := replicated(t)
	cfg := config(db)
	cfg.Limits.MaxOpen, cfg.Limits.AcquireTimeout = 1, 2*time.Second // enough for a walsender to start
	f.apply(cfg)
	cfgOf := func(replication string) *pgconn.Config {
		c, err := pgconn.ParseConfig(f.url("replication", replication))
		if err != nil {
			t.Fatal(err)
		}
		delete(c.RuntimeParams, "default_query_exec_mode") // pgx's own
		return c
	}
	for _, kind := range []string{"true", "database"} {
		conn, err := pgconn.ConnectConfig(within(t), cfgOf(kind))
		if err != nil {
			t.Fatalf("replication=%s: %v", kind, err)
		}
		if _, err := conn.Exec(within(t), "IDENTIFY_SYSTEM").ReadAll(); err != nil {
			t.Errorf("replication=%s: %v", kind, err)
		}
		_, err = pgconn.ConnectConfig(within(t), cfgOf("false"))
		wantCode(t, err, "53300")
		conn.Close(within(t))
		eventually(t, "its connection is closed", func() bool { return f.Stats().Open == 0 })
	}
	db.Exec("ALTER ROLE app NOREPLICATION")
	_, err := pgconn.ConnectConfig(within(t), cfgOf("true"))
	if err == nil {
		t.Fatal("it replicates without the right to")
	}
}
