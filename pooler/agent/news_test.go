package agent

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

func TestNewsSayWhatTheOperatorShouldLookAt(t *testing.T) {
	p := newPod(t)
	p.start()
	p.push(served(t, 5, 10, "main", "other"))
	main := p.engine("main")
	var now time.Time
	news := func() string {
		p.agent.mu.Lock()
		defer p.agent.mu.Unlock()
		return p.agent.news(now)
	}
	now = time.Now()
	steps := []struct {
		what  string
		stats Stats
		after time.Duration
		want  string
	}{
		{"all is calm", Stats{Limit: 10, Open: 5, Lent: 5}, 0, ""},
		{"clients wait for a dial", Stats{Limit: 10, Open: 5, Waiting: 3}, 0, ""},
		{"clients wait with the share used up", Stats{Limit: 10, Open: 10, Lent: 10, Waiting: 3}, 0, "short: main"},
		{"one that has just been served may be short again", Stats{Limit: 10, Open: 10, Lent: 10}, time.Second, "short: main"},
		{"it is not short any more", Stats{Limit: 10, Open: 10, Lent: 10}, 2 * time.Second, ""},
		{"clients that are held do not count", Stats{Limit: 10, Open: 10, Waiting: 3, StopPolicy: podapi.StopPolicyHold}, 0, ""},
		{"nothing is granted yet", Stats{Waiting: 1}, 0, "short: main"},
	}
	for _, step := range steps {
		main.set(func(s *Stats) { *s = step.stats })
		now = now.Add(step.after)
		if got := news(); got != step.want {
			t.Errorf("%s: %q, not %q", step.what, got, step.want)
		}
	}
	main.set(func(s *Stats) { *s = Stats{Limit: 10, Open: 1} })
	p.agent.BeginLeaving()
	if got := p.agent.News(); got != "leaving" || p.agent.State().News != got {
		t.Errorf("a pod that leaves: %q", got)
	}
	for _, name := range []string{"main", "other"} {
		p.engine(name).set(func(s *Stats) { *s = Stats{} })
	}
	if got := p.agent.News(); got != "gone" {
		t.Errorf("when it has let go of everything: %q", got)
	}
}

func TestWantedIsTheMostOfTheLatestSamples(t *testing.T) {
	d := &destination{}
	steps := []struct {
		stats Stats
		want  int32
	}{
		{Stats{Lent: 2, Waiting: 1}, 3},
		{Stats{Lent: 1, PeakLent: 6, PeakWaiting: 2}, 8},
		{Stats{Lent: 1, PeakLent: 1}, 8},
		{Stats{Lent: 1, PeakLent: 1}, 8},
		{Stats{Lent: 1, PeakLent: 1}, 1},
	}
	for i, step := range steps {
		if got := d.wants(step.stats); got != step.want {
			t.Errorf("step %d: %d, not %d", i, got, step.want)
		}
		d.sampled(step.stats)
	}
}
