//go:build drivers

package drivers_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// ofThisRun is what the names of some tests hold that is new each time.
var ofThisRun = regexp.MustCompile(`servicefile='[^']*'`)

// notRun is not run anywhere: it ends its own server process by the number that it was given, which is the pooler's, and
// otherwise waits for two minutes.
const notRun = "^TestConnCopyFromConnectionTerminated$"

// sometimes begins the reason of what differs in some runs only.
const sometimes = "Sometimes: "

// outcome of each test of pgx, by its package and name: pass, fail or skip.
type outcome map[string]string

func TestPgxsOwnSuite(t *testing.T) {
	source := pgxSource(t)
	db := start(t)
	direct := runPgx(t, source, db, way{"PostgreSQL", db.Port})
	if len(direct) < 1000 {
		t.Fatalf("pgx's suite has %d tests only", len(direct))
	}
	for _, w := range modes(t, db, 10) {
		t.Run(w.name, func(t *testing.T) {
			got := runPgx(t, source, db, w)
			want := differences(t, w.name)
			for _, name := range union(direct, got) {
				was, is := direct[name], got[name]
				reason, written := want[name]
				switch {
				case was == is && written && !strings.HasPrefix(reason, sometimes):
					t.Errorf("%s is no different: take it off the list (%s)", name, reason)
				case was != is && !written:
					t.Errorf("%s: %s with PostgreSQL, %s through Weir", name, word(was), word(is))
				}
			}
		})
	}
}

func word(outcome string) string {
	if outcome == "" {
		return "not run"
	}
	return outcome
}

// pgxSource is a copy of the module that can be written to.
func pgxSource(t *testing.T) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/jackc/pgx/v5").Output()
	if err != nil {
		t.Fatalf("find pgx: %v", err)
	}
	copied := filepath.Join(t.TempDir(), "pgx")
	if err := os.CopyFS(copied, os.DirFS(strings.TrimSpace(string(dir)))); err != nil {
		t.Fatalf("copy pgx: %v", err)
	}
	return copied
}

// runPgx runs the suite in a database of its own.
func runPgx(t *testing.T, source string, db *pgtest.Server, w way) outcome {
	t.Helper()
	db.Exec("DROP DATABASE IF EXISTS pgx_test WITH (FORCE)", "CREATE DATABASE pgx_test OWNER app")
	db.ExecIn("pgx_test", "CREATE EXTENSION hstore", "CREATE EXTENSION ltree", "CREATE DOMAIN uint64 AS numeric(20,0)")
	cmd := exec.Command("go", "test", "-json", "-vet=off", "-count=1", "-timeout", "4m", "-skip", notRun, "./...")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), fmt.Sprintf("PGX_TEST_DATABASE=host=127.0.0.1 port=%d user=app password='%s' dbname=pgx_test sslmode=disable",
		w.port, strings.ReplaceAll(password, "'", `\'`)))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output() // tests that fail are an outcome
	got := outcome{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var event struct{ Action, Package, Test string }
		if json.Unmarshal(lines.Bytes(), &event) != nil || event.Test == "" {
			continue
		}
		switch event.Action {
		case "pass", "fail", "skip":
			name := strings.TrimPrefix(event.Package, "github.com/jackc/") + " " + event.Test
			got[ofThisRun.ReplaceAllString(name, "servicefile")] = event.Action
		}
	}
	if len(got) == 0 {
		t.Fatalf("go test: %v\n%s", err, complaints.Bytes())
	}
	save(t, w, out)
	return got
}

// save keeps the output where the other results are, for who has to find out.
func save(t *testing.T, w way, out []byte) {
	dir := os.Getenv("WEIR_RESULTS")
	if dir == "" {
		return
	}
	path := filepath.Join(dir, "pgx-"+strings.ReplaceAll(w.name, " ", "-")+".json")
	if err := os.WriteFile(path, out, 0o644); err != nil {
		t.Errorf("keep the output: %v", err)
	}
}

// differences reads the written list for a way: tests whose outcome may differ, and why.
func differences(t *testing.T, name string) map[string]string {
	t.Helper()
	list := map[string]string{}
	text, err := os.ReadFile("testdata/pgx, " + name + ".txt")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	reason := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if words, ok := strings.CutPrefix(line, "#"); ok {
			reason = strings.TrimSpace(words)
		} else if line != "" {
			list[line] = reason
		}
	}
	return list
}

func union(a, b outcome) (names []string) {
	for name := range a {
		names = append(names, name)
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
