package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// alone is a pooler that obeys docs/standalone.yaml, changed to the ports of a test.
type alone struct {
	t      *testing.T
	dir    string
	server *pgtest.Server
	port   int // where clients come
	health int

	command *exec.Cmd
	exited  chan struct{}
	mu      sync.Mutex
	logs    bytes.Buffer
}

func newAlone(t *testing.T) *alone {
	t.Helper()
	a := &alone{t: t, dir: t.TempDir(), server: pgtest.Start(t, pgtest.Options{}), port: int(freePort(t)), health: int(freePort(t))}
	a.server.Exec("CREATE ROLE app LOGIN PASSWORD 'app''s secret'", "CREATE DATABASE shop OWNER app")
	a.write(a.here(read(t, "../../docs/standalone.yaml")))
	return a
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// here replaces the ports of the documents by those of the test.
func (a *alone) here(text string) string {
	return strings.NewReplacer("5432", strconv.Itoa(a.server.Port), "6432", strconv.Itoa(a.port), "9901", strconv.Itoa(a.health)).Replace(text)
}

func (a *alone) write(content string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, "standalone.yaml"), []byte(content), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *alone) start() {
	a.t.Helper()
	a.command = exec.Command(binary, "--config="+filepath.Join(a.dir, "standalone.yaml"))
	a.command.Env = []string{}
	stderr, err := a.command.StderrPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.command.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.exited = make(chan struct{})
	runs := make(chan struct{})
	go func() {
		defer close(a.exited)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			a.mu.Lock()
			a.logs.WriteString(lines.Text() + "\n")
			a.mu.Unlock()
			if strings.Contains(lines.Text(), `msg="pooler runs"`) {
				close(runs)
			}
		}
		_ = a.command.Wait() // the exit code is looked at where it matters
	}()
	a.t.Cleanup(func() {
		_ = a.command.Process.Kill() // it may have ended already
		<-a.exited
	})
	select {
	case <-runs:
	case <-a.exited:
		a.t.Fatalf("the pooler ended at once:\n%s", a.said())
	}
}

func (a *alone) said() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.logs.String()
}

func (a *alone) connect(database string) *pgx.Conn {
	a.t.Helper()
	conn, err := pgx.Connect(context.Background(), fmt.Sprintf(
		"host=127.0.0.1 port=%d user=app password='app\\'s secret' dbname=%s default_query_exec_mode=simple_protocol", a.port, database))
	if err != nil {
		a.t.Fatalf("%v\n%s", err, a.said())
	}
	a.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// limit is what the console says may be open.
func (a *alone) limit(console *pgx.Conn) string {
	a.t.Helper()
	results, err := console.PgConn().Exec(context.Background(), "SHOW CONFIG").ReadAll()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, row := range results[0].Rows {
		if string(row[0]) == "max_db_connections" {
			return string(row[1])
		}
	}
	return ""
}

func (a *alone) ended() {
	a.t.Helper()
	select {
	case <-a.exited:
	case <-time.After(patience):
		a.t.Fatal("the pooler does not leave")
	}
	if code := a.command.ProcessState.ExitCode(); code != 0 {
		a.t.Fatalf("exit code %d:\n%s", code, a.said())
	}
}

func TestWithoutAnOperatorAFileIsObeyed(t *testing.T) {
	a := newAlone(t)
	a.start()
	client, console := a.connect("shop"), a.connect("weir")
	query(t, client)
	file := a.here(read(t, "../../docs/standalone.yaml"))

	a.write(strings.Replace(file, "maxOpen: 20", "maxOpen: 7", 1))
	eventually(t, "a change of the file is noticed", func() bool { return a.limit(console) == "7" })
	a.write(strings.Replace(file, "maxOpen: 20", "maxOpen: 8", 1))
	if err := a.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a change is taken up at SIGHUP", func() bool { return a.limit(console) == "8" })
	a.write(strings.Replace(file, "maxOpen: 20", "maxOpen: 9", 1))
	if _, err := console.Exec(context.Background(), "RELOAD"); err != nil || a.limit(console) != "9" {
		t.Fatalf("after RELOAD the limit is %s: %v", a.limit(console), err)
	}
	a.write("nonsense: 1\n")
	if _, err := console.Exec(context.Background(), "RELOAD"); err == nil || !strings.Contains(err.Error(), "standalone.yaml:1: nonsense: is not known") {
		t.Fatalf("RELOAD of nonsense: %v", err)
	}
	query(t, client)
	if response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", a.health)); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	} else {
		response.Body.Close()
	}

	if _, err := console.Exec(context.Background(), "SHUTDOWN WAIT_FOR_CLIENTS"); err != nil {
		t.Fatal(err)
	}
	a.ended()
	if !letGo(client) {
		t.Error("the client was not let go")
	}
}

func TestShutdownEndsTheProcessAtOnce(t *testing.T) {
	a := newAlone(t)
	a.start()
	busy := a.connect("shop")
	if _, err := busy.Exec(context.Background(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	_, _ = a.connect("weir").Exec(context.Background(), "SHUTDOWN") // it may be cut off before it is answered
	a.ended()
}

func TestAProcessDoesNotBeginWithAFileThatMakesNoSense(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(path, []byte("destinations: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--config", path}, exitFailed, path + ":1: destinations: must be 1 to 32, are 0"},
		{[]string{"--config", path + "x"}, exitFailed, "no such file or directory"},
		{nil, exitUsage, "set --config to a file"},
		{[]string{"config", "check", path}, exitFailed, path + ":1: destinations: must be 1 to 32, are 0"},
		{[]string{"config", "check"}, exitUsage, "usage:"},
		{[]string{"config", "from-pgbouncer", path + "x"}, exitFailed, "no such file or directory"},
		{[]string{"config", "from-pgbouncer", "--nonsense", path}, exitUsage, "usage:"},
		{[]string{"config"}, exitUsage, "usage:"},
	} {
		t.Setenv("POD_UID", "")
		var stdout, stderr bytes.Buffer
		if code := run(c.args, &stdout, &stderr); code != c.code || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: exit code %d: %s", c.args, code, stderr.String())
		}
	}
}

// The commands of docs/standalone.md, run as they stand there, with the ports of the test.
func TestTheCommandsOfTheDocument(t *testing.T) {
	a := newAlone(t)
	for _, name := range []string{"pgbouncer.ini", "userlist.txt", "conf.d/settings.ini"} {
		to := filepath.Join(a.dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(read(t, "../../pooler/pgbouncer/testdata/"+name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(read(t, "../../docs/standalone.md"), -1)
	if len(blocks) < 5 {
		t.Fatalf("the document has %d blocks of commands", len(blocks))
	}
	script := "set -euo pipefail\ntrap 'kill $! 2>/dev/null; wait' EXIT\n" +
		"ready() { for _ in $(seq 300); do curl -sf http://127.0.0.1:9901/readyz >/dev/null && return; sleep 0.1; done; return 1; }\n"
	for _, block := range blocks {
		script += block[1]
		if strings.Contains(block[1], "&\n") {
			script += "ready\n"
		}
	}
	command := exec.Command("bash", "-c", a.here(script))
	command.Dir = a.dir
	command.Env = []string{"PATH=" + filepath.Dir(binary) + ":" + filepath.Dir(pgtest.Binary(t, "psql")) + ":" + os.Getenv("PATH")}
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	contains(t, string(out), "standalone.yaml: ok", "(1 row)", `weir_pool_connections{destination="shop"`, "RELOAD", "connect_query: no match")
	contains(t, read(t, filepath.Join(a.dir, "orders.yaml")), "kind: ConnectionPool")
}
