package pgtest_test

import (
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

func TestAServerSurvivesRestartAndKill(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	s.Exec("CREATE TABLE kept (n int)", "CHECKPOINT")
	s.Restart()
	s.Exec("INSERT INTO kept VALUES (1)")
	s.Kill()
	s.Run()
	s.Exec("SELECT n FROM kept")
	if n := s.Connections(""); n != 0 {
		t.Errorf("%d connections are counted, want none but the administrator's own", n)
	}
}
