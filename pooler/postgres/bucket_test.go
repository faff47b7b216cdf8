package postgres

import (
	"testing"
	"time"
)

func TestABucketLetsItsRatePass(t *testing.T) {
	var b bucket
	now := time.Now()
	count := func(at time.Time, asked int) (passed int) {
		for range asked {
			if b.allow(at) {
				passed++
			}
		}
		return passed
	}
	for _, c := range []struct {
		name        string
		after       time.Duration
		asked, want int
	}{
		{"at first all at one time", 0, 1000, forwardRate},
		{"none for a moment", time.Millisecond, 10, 0},
		{"half of them after half a second", time.Second / 2, 1000, forwardRate / 2},
		{"no more after an hour than at first", time.Hour, 1000, forwardRate},
	} {
		if got := count(now.Add(c.after), c.asked); got != c.want {
			t.Errorf("%s: %d pass, want %d", c.name, got, c.want)
		}
	}
}
