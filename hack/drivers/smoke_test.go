//go:build drivers

package drivers_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// fewServers are so few that the clients of each program share them in transaction mode. Those that listen, or hold a cursor,
// have one for themselves.
const fewServers = 2

const longest = time.Minute // for one program

// program tries many things of one driver.
type program struct {
	name    string
	command []string
	least   int // how many things it tries
}

func programs(t *testing.T) []program {
	t.Helper()
	modules := os.Getenv("WEIR_NODE") // the folder that holds node_modules and our scripts
	if modules == "" {
		t.Fatal("WEIR_NODE is not set: run hack/drivers.sh")
	}
	return []program{
		{"node-postgres", []string{"node", modules + "/pg.mjs"}, 12},
		{"postgres.js", []string{"node", modules + "/postgres.mjs"}, 12},
		{"psycopg 3", []string{"/usr/bin/python3", "python/psycopg3.py"}, 14},
		{"psycopg 2", []string{"/usr/bin/python3", "python/psycopg2_.py"}, 9},
	}
}

func TestDriversOfOtherLanguages(t *testing.T) {
	db := start(t)
	ways := append([]way{{"PostgreSQL", db.Port}}, modes(t, db, fewServers)...)
	for _, p := range programs(t) {
		for _, w := range ways {
			t.Run(p.name+", "+w.name, func(t *testing.T) {
				db.Exec("DROP DATABASE app WITH (FORCE)", "CREATE DATABASE app OWNER app")
				out := run(t, w, p.command...)
				if n := report(t, out); n < p.least {
					t.Errorf("%d things were tried, want %d:\n%s", n, p.least, out)
				}
			})
		}
	}
}

// report makes a subtest of each line, and returns how many there were.
func report(t *testing.T, out string) (n int) {
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		bad := strings.HasPrefix(line, "not ok ")
		if !bad && !strings.HasPrefix(line, "ok ") {
			continue
		}
		n++
		name, why, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(line, "not "), "ok "), ": ")
		t.Run(name, func(t *testing.T) {
			if bad {
				t.Error(why)
			}
		})
	}
	return n
}

// run runs a program that must succeed.
func run(t *testing.T, w way, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), w.env("app")...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

func TestPsql(t *testing.T) {
	db := start(t)
	for _, w := range modes(t, db, 1) {
		t.Run(w.name, func(t *testing.T) {
			db.Exec("DROP DATABASE app WITH (FORCE)", "CREATE DATABASE app OWNER app")
			psql := func(args ...string) string {
				return run(t, w, append([]string{pgtest.Binary(t, "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1"}, args...)...)
			}
			if got := psql("-c", `CREATE TABLE t (n int)`, "-c", `\d t`, "-c", `\conninfo`, "-c", `\l app`); !strings.Contains(got, "n|integer") {
				t.Errorf(`\d says %s`, got)
			}
			if got := psql("-c", `\copy t FROM PROGRAM 'seq 1000'`, "-c", "SELECT sum(n) FROM t", "-c", `\copy (SELECT 7) TO stdout`); got != "500500\n7\n" {
				t.Errorf(`\copy says %s`, got)
			}
			if got := psql("-v", "FETCH_COUNT=10", "-c", "SELECT generate_series(1, 25)"); strings.Count(got, "\n") != 25 {
				t.Errorf("a cursor brings %s", got)
			}
		})
	}
}

// A thread of pgbench waits for the Parse of one client and does nothing meanwhile for its others, which may be in a transaction:
// so each client has a thread.
func TestPgbench(t *testing.T) {
	db := start(t)
	for _, w := range modes(t, db, fewServers) {
		run(t, w, pgtest.Binary(t, "pgbench"), "-i", "-q", "-s", "1")
		for _, protocol := range []string{"simple", "extended", "prepared"} {
			t.Run(w.name+", "+protocol, func(t *testing.T) {
				got := run(t, w, pgtest.Binary(t, "pgbench"), "-n", "-M", protocol, "-c", "20", "-j", "20", "-t", "50")
				if !strings.Contains(got, "number of failed transactions: 0 ") || !strings.Contains(got, "processed: 1000/1000") {
					t.Errorf("it says %s", got)
				}
			})
			if protocol == "simple" {
				continue // it has no pipelines
			}
			t.Run(w.name+", pipeline, "+protocol, func(t *testing.T) {
				script := t.TempDir() + "/script"
				text := "\\startpipeline\n" + strings.Repeat("SELECT :client_id;\n", 20) + "\\endpipeline\n"
				if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				got := run(t, w, pgtest.Binary(t, "pgbench"), "-n", "-M", protocol, "-c", "20", "-j", "20", "-t", "20", "-f", script)
				if !strings.Contains(got, "processed: 400/400") {
					t.Errorf("it says %s", got)
				}
			})
		}
	}
}
