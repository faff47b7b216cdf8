package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-dev/weir/pooler/durable"
)

func TestAFileIsReplacedWholeAndIsTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	for _, content := range []string{"something long", "short"} {
		if err := durable.Write(dir, "file", []byte(content)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "file"))
		if err != nil || string(got) != content {
			t.Errorf("it holds %q (%v), not %q", got, err, content)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "file"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v (%v)", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the directory holds %v (%v)", left, err)
	}
}

func TestAFileThatCannotBeWrittenStaysAsItWas(t *testing.T) {
	dir := t.TempDir()
	if err := durable.Write(dir, "file", []byte("before")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "file.new"), 0o700); err != nil { // where the new content would go
		t.Fatal(err)
	}
	if err := durable.Write(dir, "file", []byte("after")); err == nil {
		t.Error("no error")
	}
	if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(got) != "before" {
		t.Errorf("it holds %q (%v)", got, err)
	}
}
