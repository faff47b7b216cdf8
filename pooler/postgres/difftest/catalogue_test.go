package difftest

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const lastCase = 64

var (
	row      = regexp.MustCompile(`(?m)^\| (\d+) \| [^|]+ \| ([^|]+) \|$`)
	testName = regexp.MustCompile(`Test[A-Za-z0-9]+`)
)

func TestEveryCaseHasItsProof(t *testing.T) {
	text, err := os.ReadFile("testdata/README.md")
	if err != nil {
		t.Fatal(err)
	}
	scripts, tests := scriptsByCase(t), testsOfTheEngine(t)
	next := 1
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		number, _ := strconv.Atoi(m[1])
		if number != next {
			t.Fatalf("case %d follows where %d should", number, next)
		}
		next++
		if says := strings.Contains(m[2], "scripts"); says != (scripts[number] > 0) {
			t.Errorf("case %d has %d scripts, the catalogue says %q", number, scripts[number], m[2])
		}
		names := testName.FindAllString(m[2], -1)
		if len(names) == 0 && scripts[number] == 0 && !strings.Contains(m[2], "does not") {
			t.Errorf("case %d has no proof: %q", number, m[2])
		}
		for _, name := range names {
			if !bytes.Contains(tests, []byte("func "+name+"(")) {
				t.Errorf("case %d names %s, which does not exist", number, name)
			}
		}
	}
	if next != lastCase+1 {
		t.Errorf("the catalogue ends with case %d, want %d", next-1, lastCase)
	}
}

func scriptsByCase(t *testing.T) map[int]int {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := map[int]int{}
	for _, path := range paths {
		s, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if s.Title == "" || len(s.Cases) == 0 {
			t.Errorf("%s has no title or no case", path)
		}
		for _, number := range s.Cases {
			n[number]++
		}
	}
	return n
}

// testsOfTheEngine is the text of all tests of the data plane.
func testsOfTheEngine(t *testing.T) (all []byte) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all = append(all, text...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
