package agent

import (
	"slices"
	"testing"
	"time"
)

func TestARestartedContainerOpensNothingWhileServersMayKeepWhatItHad(t *testing.T) {
	p := newPod(t)
	c := served(t, 5, 10, "main")
	p.write("config.json", string(document(t, c)))
	p.settle = time.Hour
	p.start()
	p.push(c)
	if limits := p.engine("main").limits(); !slices.Equal(limits, []int{0, 10}) {
		t.Fatalf("at its first start nothing is left of one before: limits %v", limits)
	}
	p.stop()
	p.start()
	expect := func(what string, bound int32, limits ...int) {
		t.Helper()
		if s := p.agent.State(); s.Destinations[0].Limit != bound || !s.Ready {
			t.Errorf("%s: %+v, want ready with a limit of %d", what, s, bound)
		}
		if got := p.engine("main").limits(); !slices.Equal(got, limits) {
			t.Errorf("%s: the engine's limits are %v, want %v", what, got, limits)
		}
	}
	expect("restarted", 10, 0)
	p.push(again(c, 6, 3))
	expect("a share that falls meanwhile frees nothing", 10, 0)
	p.push(again(c, 7, 12))
	expect("nor does one that rises give anything", 12, 0)

	p.agent.mu.Lock()
	p.agent.legacy.until = time.Now()
	p.agent.mu.Unlock()
	p.agent.look()
	expect("when the time is over", 12, 0, 12)
}
