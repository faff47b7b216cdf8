package console_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/pooler/postgres/console"
)

// realConsole is a session at the console of the PgBouncer that is installed.
func realConsole(t *testing.T) *pgconn.PgConn {
	t.Helper()
	binary, err := exec.LookPath("pgbouncer")
	if err != nil {
		if binary, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			t.Fatal("PgBouncer is not installed: run hack/postgresql.sh")
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	dir, err := os.MkdirTemp("", "pgbouncer") // t.TempDir cannot be read by another user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	users, ini := filepath.Join(dir, "users.txt"), filepath.Join(dir, "pgbouncer.ini")
	for path, content := range map[string]string{
		users: "\"app\" \"\"\n",
		ini: fmt.Sprintf("[databases]\nshop = host=127.0.0.1\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=%d\nauth_type=trust\n"+
			"auth_file=%s\nadmin_users=app\nunix_socket_dir=\n", port, users),
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary, ini)
	if os.Getuid() == 0 { // it does not run as root
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	for {
		conn, err := pgconn.Connect(ctx, fmt.Sprintf("host=127.0.0.1 port=%d user=app dbname=pgbouncer sslmode=disable", port))
		if err == nil {
			t.Cleanup(func() { conn.Close(context.Background()) })
			return conn
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// What later versions of PgBouncer call otherwise.
var renamed = map[string]string{"reserve_pool": "reserve_pool_size"}

// What the PgBouncer that is installed shows, this console shows: all its columns, in their order and with their types. It may show
// more, as PgBouncer 1.25 does.
func TestColumnsAreThoseOfTheRealPgBouncer(t *testing.T) {
	real, ours := realConsole(t), console.New(&stage{}).Session(console.Admin)
	ctx := context.Background()
	compared := 0
	for _, what := range []string{
		"VERSION", "LISTS", "CONFIG", "STATE", "DATABASES", "POOLS", "STATS", "STATS_TOTALS", "STATS_AVERAGES", "TOTALS", "USERS", "CLIENTS",
		"SERVERS", "SOCKETS", "ACTIVE_SOCKETS", "MEM", "PEERS", "PEER_POOLS", "DNS_HOSTS", "DNS_ZONES", "CLIENT_ENCODING", "DATESTYLE", "TIMEZONE",
		"STANDARD_CONFORMING_STRINGS",
	} {
		results, err := real.Exec(ctx, "SHOW "+what).ReadAll()
		if err != nil {
			t.Logf("SHOW %s: %v", what, err) // it came later
			continue
		}
		compared++
		head, _ := show(t, ours, what)
		have := strings.Fields(head)
		for _, f := range results[0].FieldDescriptions {
			name := f.Name
			if later, is := renamed[name]; is && what == "DATABASES" {
				name = later
			}
			want := fmt.Sprintf("%s:%d:%d", name, f.DataTypeOID, f.DataTypeSize)
			at := slices.Index(have, want)
			if at < 0 {
				t.Errorf("SHOW %s has no column %s, or before another one: %s", what, want, head)
				break
			}
			have = have[at+1:]
		}
	}
	if compared < 18 {
		t.Errorf("only %d SHOWs could be compared", compared)
	}
	for _, p := range console.Welcome {
		if got := real.ParameterStatus(p.Name); got != p.Value && p.Name != "server_version" {
			t.Errorf("%s is %q at the login, PgBouncer says %q", p.Name, p.Value, got)
		}
	}
}

func TestTheConsoleIsInItsOwnTablesAsInTheRealPgBouncer(t *testing.T) {
	real, ours := realConsole(t), console.New(&stage{}).Session(console.Admin)
	for _, what := range []string{"DATABASES", "POOLS", "STATS", "STATS_TOTALS", "STATS_AVERAGES"} {
		results, err := real.Exec(context.Background(), "SHOW "+what).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		want := slices.ContainsFunc(results[0].Rows, func(r [][]byte) bool { return string(r[0]) == "pgbouncer" })
		_, rows := show(t, ours, what)
		if got := slices.ContainsFunc(rows, func(r string) bool { return strings.HasPrefix(r, "pgbouncer|") }); got != want {
			t.Errorf("SHOW %s has a row of the console: %v, PgBouncer's %v", what, got, want)
		}
	}
}

func TestListsAreThoseOfTheRealPgBouncer(t *testing.T) {
	real, ours := realConsole(t), console.New(&stage{}).Session(console.Admin)
	results, err := real.Exec(context.Background(), "SHOW LISTS").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	_, rows := show(t, ours, "LISTS")
	for _, row := range results[0].Rows {
		if !slices.ContainsFunc(rows, func(r string) bool { return strings.HasPrefix(r, string(row[0])+"|") }) {
			t.Errorf("%s is missing", row[0])
		}
	}
}
