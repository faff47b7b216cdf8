package postgres

import (
	"testing"
	"time"
)

func TestWhatIsTakenForAVanishedMachine(t *testing.T) {
	for _, c := range []struct {
		name    string
		retries uint8
		silence time.Duration
		want    bool
	}{
		{"nothing was sent, and nothing has come for an hour", 0, time.Hour, false},
		{"something has come lately", 5, time.Second, false},
		{"it was asked once", 1, time.Minute, false},
		{"it was asked more than once, and has not answered for long", 2, vanishAfter, true},
	} {
		if got := (answerless{c.retries, c.silence}).vanished(); got != c.want {
			t.Errorf("%s: vanished is %v", c.name, got)
		}
	}
}
