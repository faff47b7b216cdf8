package oracle

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// journal knows which rows must be in the table of that name, and which may: those of whose COMMIT nothing was heard.
type journal struct {
	mu    sync.Mutex
	marks map[string]bool // true: it must be there
}

func (j *journal) perhaps(marks []string) { j.note(marks, false) }

func (j *journal) surely(marks []string) { j.note(marks, true) }

func (j *journal) note(marks []string, sure bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, m := range marks {
		j.marks[m] = sure
	}
}

// check compares with the table.
func (j *journal) check(t *testing.T, admin *pgx.Conn) {
	t.Helper()
	rows, err := admin.Query(context.Background(), "SELECT mark, count(*) FROM journal GROUP BY mark")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	var (
		m string
		n int
	)
	_, err = pgx.ForEachRow(rows, []any{&m, &n}, func() error {
		found[m] = true
		if _, known := j.marks[m]; !known || n != 1 {
			t.Errorf("%s was committed %d times; its client knows of it: %v", m, n, known)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for m, sure := range j.marks {
		if sure && !found[m] {
			t.Errorf("%s was committed, its client was told so, and it is not there", m)
		}
	}
}
