package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/podapi"
)

func TestAPodBootsWithLimitZeroAndServesWhenItIsGivenOne(t *testing.T) {
	p := newPod(t)
	c := served(t, 3, 10, "main")
	p.write("config.json", string(document(t, c)))
	p.start()

	s := p.agent.State()
	if s.Ledger != 0 || s.Generation != 30 || s.Ready || s.Destinations[0].Limit != 0 || !answers(c.Destinations[0].ListenPort) {
		t.Fatalf("booted: %+v", s)
	}
	if why := strings.Join(p.agent.Unready(), ";"); why != `destination "main" has no limit yet: the operator has not granted one to this pod` {
		t.Fatalf("not ready because %s", why)
	}
	if applied := p.push(c); applied != (podapi.Applied{Generation: 30, Ledger: 3}) {
		t.Fatalf("%+v", applied)
	}
	s = p.agent.State()
	if s.Ledger != 3 || !s.Ready || s.Destinations[0].Limit != 10 || s.PodUID != "uid" || s.Software != "test" || len(s.Problems) > 0 {
		t.Fatalf("pushed: %+v", s)
	}
	if limits := p.engine("main").limits(); !slices.Equal(limits, []int{0, 10}) {
		t.Fatalf("limits %v", limits)
	}
}

func TestAPodWhoseLimitIsTakenAwayStaysReadyForAWhile(t *testing.T) {
	p := newPod(t)
	c := served(t, 3, 10, "main")
	p.write("config.json", string(document(t, c)))
	p.start()
	p.push(c)
	none := served(t, 4, 0, "main")
	none.Destinations = c.Destinations
	p.push(none)
	if s := p.agent.State(); s.Destinations[0].Limit != 0 || !s.Ready {
		t.Fatalf("its clients can wait for a moment, and might find no other pod: %+v", s)
	}
	p.agent.mu.Lock()
	for _, d := range p.agent.destinations {
		d.parted = time.Now().Add(-2 * shareless)
	}
	p.agent.mu.Unlock()
	if s := p.agent.State(); s.Ready {
		t.Fatalf("it has had no limit for long: %+v", s)
	}
	c.Ledger = 5
	p.push(c)
	if s := p.agent.State(); !s.Ready {
		t.Fatalf("it has a limit again: %+v", s)
	}
}

func TestAPodWithoutAConfigWaitsForOne(t *testing.T) {
	p := newPod(t)
	p.start()
	if s := p.agent.State(); s.Ready || s.Ledger != 0 || s.Generation != 0 || len(s.Destinations) > 0 {
		t.Fatalf("%+v", s)
	}
	if why := p.agent.Unready(); len(why) != 1 || !strings.HasPrefix(why[0], "there is no configuration at ") {
		t.Fatalf("%q", why)
	}
	p.write("config.json", `{"version":9}`)
	p.agent.look()
	if why := p.agent.Unready(); len(why) != 1 || !strings.Contains(why[0], "version: is 9") {
		t.Fatalf("%q", why)
	}
	p.write("config.json", string(document(t, served(t, 1, 10, "main"))))
	p.agent.look()
	if s := p.agent.State(); s.Generation != 10 {
		t.Fatalf("it appeared: %+v", s)
	}
}

func TestARestartedContainerKnowsWhatItAccepted(t *testing.T) {
	p := newPod(t)
	c := served(t, 5, 10, "main")
	p.write("config.json", string(document(t, again(c, 2, 50)))) // the mounted copy lags
	p.start()
	p.push(c)
	p.stop()
	p.start()
	if s := p.agent.State(); s.Ledger != 5 || s.Generation != 50 || s.Destinations[0].Limit != 10 || !s.Ready {
		t.Fatalf("restarted: %+v", s)
	}
	if _, err := p.agent.Push(document(t, again(c, 4, 99))); !errors.Is(err, ErrStale) {
		t.Fatalf("an older push after the restart: %v", err)
	}
	p.push(again(c, 5, 99)) // equal: nothing changes
	p.push(again(c, 6, 3))
	if limits := p.engine("main").limits(); !slices.Equal(limits, []int{10, 3}) {
		t.Fatalf("limits %v", limits)
	}
}

func TestWhatWasKeptAndCannotBeReadGivesNoLimit(t *testing.T) {
	p := newPod(t)
	p.write("config.json", string(document(t, served(t, 5, 10, "main"))))
	p.write("state/accepted.json", `{"version":1,`)
	p.start()
	if s := p.agent.State(); s.Ledger != 0 || s.Destinations[0].Limit != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestAPushThatCannotBeKeptIsNotApplied(t *testing.T) {
	p := newPod(t)
	c := served(t, 1, 10, "main")
	p.start()
	p.push(c)
	if err := os.RemoveAll(filepath.Join(p.dir, "state")); err != nil {
		t.Fatal(err)
	}
	_, err := p.agent.Push(document(t, again(c, 2, 20)))
	if err == nil || !strings.HasPrefix(err.Error(), "keep the configuration: ") {
		t.Fatalf("got %v", err)
	}
	if s := p.agent.State(); s.Ledger != 1 || s.Destinations[0].Limit != 10 {
		t.Fatalf("%+v", s)
	}
}

func TestARefusedPushChangesNothing(t *testing.T) {
	p := newPod(t)
	c := served(t, 5, 10, "main")
	p.start()
	p.push(c)
	foreign := again(c, 9, 20)
	foreign.Pool = "shop/invoices"
	invalid := again(c, 9, -1)
	for name, push := range map[string]podapi.Config{"stale": again(c, 4, 20), "foreign": foreign, "invalid": invalid} {
		if _, err := p.agent.Push(document(t, push)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	p.stop()
	p.start()
	if s := p.agent.State(); s.Ledger != 5 || s.Destinations[0].Limit != 10 {
		t.Fatalf("%+v", s)
	}
}

func TestConcurrentPushesEndWithTheNewest(t *testing.T) {
	p := newPod(t)
	c := served(t, 1, 1, "main")
	p.start()
	const newest = 40
	var all sync.WaitGroup
	for ledger := int64(1); ledger <= newest; ledger++ {
		push := document(t, again(c, ledger, int32(ledger)))
		all.Go(func() {
			applied, err := p.agent.Push(push)
			if err != nil && !errors.Is(err, ErrStale) {
				t.Error(err)
			}
			if err == nil && applied.Ledger < ledger {
				t.Errorf("ledger %d is answered with %d", ledger, applied.Ledger)
			}
		})
		all.Go(func() {
			s := p.agent.State()
			for _, d := range s.Destinations {
				if int64(d.Limit) < s.Ledger { // limits rise with the ledger here: an older one must not be shown
					t.Errorf("a state of ledger %d shows limit %d", s.Ledger, d.Limit)
				}
			}
		})
	}
	all.Wait()
	if s := p.agent.State(); s.Ledger != newest || s.Destinations[0].Limit != newest {
		t.Fatalf("%+v", s)
	}
	if limits := p.engine("main").limits(); !slices.IsSorted(limits) {
		t.Fatalf("limits were applied out of order: %v", limits)
	}
}

func TestAMissingSecretIsAProblemUntilItAppears(t *testing.T) {
	p := newPod(t)
	c := served(t, 1, 10, "main")
	c.Destinations[0].PostgreSQL.Auth.UsersSecret = "later"
	p.start()
	p.push(c)
	s := p.agent.State()
	want := podapi.Problem{Destination: "main", Reason: podapi.ReasonSecretMissing,
		Message: `Secret "later" is missing or empty: create it with a key per user (value: a password or SCRAM verifier per line)`}
	if s.Ready || !slices.Contains(s.Problems, want) || answers(c.Destinations[0].ListenPort) {
		t.Fatalf("%+v", s)
	}
	if s.Destinations[0].Limit != 10 || s.Destinations[0].Reachable != "Unknown" {
		t.Fatalf("what it may use as soon as the Secret is there: %+v", s.Destinations[0])
	}
	if err := os.MkdirAll(filepath.Join(p.dir, "secrets", "later"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("secrets/later/app", "one")
	p.agent.look()
	if s := p.agent.State(); !s.Ready || len(s.Problems) > 0 || !answers(c.Destinations[0].ListenPort) {
		t.Fatalf("it appeared: %+v", s)
	}
}

func TestASecretThatChangesIsAppliedWithoutAPush(t *testing.T) {
	p := newPod(t)
	p.start()
	p.push(served(t, 1, 10, "main"))
	p.agent.look() // nothing changed: nothing is applied
	p.write("secrets/users/app", "two")
	p.agent.look()
	e := p.engine("main")
	if len(e.applied) != 2 || e.applied[1].PostgreSQL.Users["app"][0] != "two" {
		t.Fatalf("applied %d times", len(e.applied))
	}
	p.write("secrets/users/other", "")
	p.agent.look()
	s := p.agent.State()
	if len(e.applied) != 2 || len(s.Problems) != 1 || s.Problems[0].Reason != podapi.ReasonSecretInvalid {
		t.Fatalf("a bad version is applied or not told: %+v", s)
	}
	if !s.Ready {
		t.Fatal("a bad renewal must not empty the Service: all pods see it at once")
	}
}

func TestLimitsAreObeyedEvenWhenTheRestCannotBe(t *testing.T) {
	p := newPod(t)
	c := served(t, 1, 10, "main")
	p.start()
	p.push(c)
	next := again(c, 2, 4)
	next.Destinations = slices.Clone(c.Destinations)
	renamed := *c.Destinations[0].PostgreSQL
	renamed.Auth.UsersSecret = "later"
	next.Destinations[0].PostgreSQL = &renamed
	next.Destinations[0].Endpoints = []podapi.Endpoint{{Host: "elsewhere", Port: 5432}}
	p.push(next)
	e := p.engine("main")
	last := e.applied[len(e.applied)-1].PostgreSQL
	if last.Limits.MaxOpen != 4 || last.Endpoints[0].Host != "db" || last.Users["app"][0] != "one" {
		t.Fatalf("applied %+v", last)
	}
	if s := p.agent.State(); s.Ledger != 2 || s.Destinations[0].Limit != 4 || len(s.Problems) != 1 || !s.Ready {
		t.Fatalf("%+v", s)
	}
}

func TestPortsChangeWithoutARestartEvenWhenTheyAreSwapped(t *testing.T) {
	p := newPod(t)
	c := served(t, 1, 10, "one", "two")
	p.start()
	p.push(c)
	swapped := again(c, 2, 10)
	swapped.Destinations = slices.Clone(c.Destinations)
	swapped.Destinations[0].ListenPort, swapped.Destinations[1].ListenPort = c.Destinations[1].ListenPort, c.Destinations[0].ListenPort
	p.push(swapped)
	if s := p.agent.State(); !s.Ready || len(s.Problems) > 0 {
		t.Fatalf("swapped: %+v", s)
	}
	moved := again(swapped, 3, 10)
	moved.Destinations = slices.Clone(swapped.Destinations)
	moved.Destinations[0].ListenPort = freePort(t)
	p.push(moved)
	if answers(swapped.Destinations[0].ListenPort) || !answers(moved.Destinations[0].ListenPort) || !answers(moved.Destinations[1].ListenPort) {
		t.Fatal("the listeners are not where they should be")
	}
}

func TestAPortThatIsTakenIsAProblemUntilItIsFree(t *testing.T) {
	p, other := newPod(t), newPod(t)
	c := served(t, 1, 10, "main")
	other.start()
	other.push(c)
	p.start()
	p.push(c)
	if s := p.agent.State(); s.Ready || len(s.Problems) != 1 || s.Problems[0].Reason != podapi.ReasonListenFailed {
		t.Fatalf("%+v", s)
	}
	other.stop()
	p.agent.look()
	if s := p.agent.State(); !s.Ready || len(s.Problems) > 0 {
		t.Fatalf("%+v", s)
	}
}

func TestAnEngineThatRefusesIsAProblemUntilItAccepts(t *testing.T) {
	p := newPod(t)
	p.refuse = errors.New("no such pool mode")
	c := served(t, 1, 10, "main")
	p.start()
	p.push(c)
	first := p.engine("main")
	if s := p.agent.State(); s.Ready || len(s.Problems) != 1 || s.Problems[0].Message != "no such pool mode" || !first.closed {
		t.Fatalf("%+v", s)
	}
	p.mu.Lock()
	p.refuse = nil
	p.mu.Unlock()
	p.agent.look()
	if s := p.agent.State(); !s.Ready || len(s.Problems) > 0 {
		t.Fatalf("%+v", s)
	}
}

func TestADestinationThatIsNoLongerNamedLeavesAndIsReportedUntilItIsGone(t *testing.T) {
	p := newPod(t)
	p.stay = make(chan struct{})
	both := served(t, 1, 10, "old", "main")
	p.start()
	p.push(both)
	old := p.engine("old")
	old.set(func(s *Stats) { s.Open, s.Lent = 3, 3 })
	without := again(both, 2, 10)
	without.Destinations = both.Destinations[1:]
	delete(without.Shares["uid"], "old")
	p.push(without)
	if answers(both.Destinations[0].ListenPort) {
		t.Fatal("it still listens")
	}
	if s := p.agent.State(); len(s.Destinations) != 2 || s.Destinations[1].Name != "old" || s.Destinations[1].Open != 3 || !s.Ready {
		t.Fatalf("while it leaves: %+v", s)
	}

	p.push(again(both, 3, 5)) // it is named again before it is gone
	p.mu.Lock()
	engines := len(p.engines["old"])
	p.mu.Unlock()
	s := p.agent.State()
	if engines != 1 || s.Ready || len(s.Destinations) != 2 {
		t.Fatalf("a second engine beside the one that leaves would open too many: %d engines, %+v", engines, s)
	}
	p.agent.mu.Lock()
	gone := p.agent.leaving[0].gone
	p.agent.mu.Unlock()
	close(p.stay)
	<-gone
	p.agent.look()
	if s := p.agent.State(); !s.Ready || p.engine("old") == old || !old.drained || !old.closed {
		t.Fatalf("after it was gone: %+v", s)
	}
}

func TestAPodLeavesInOrderAndTellsTheOperator(t *testing.T) {
	p := newPod(t)
	p.stay = make(chan struct{})
	c := served(t, 1, 10, "main")
	p.start()
	p.push(c)
	port := c.Destinations[0].ListenPort
	e := p.engine("main")
	e.set(func(s *Stats) { s.Open, s.Lent, s.Clients = 4, 4, 6 })

	p.agent.BeginLeaving()
	if s := p.agent.State(); s.Ready || !s.Draining || !answers(port) || s.Clients != 6 {
		t.Fatalf("announced: %+v", s)
	}
	p.push(again(c, 2, 20))
	if s := p.agent.State(); s.Ledger != 2 || s.Destinations[0].Limit != 10 {
		t.Fatalf("limits of a leaving pod only fall: %+v", s)
	}
	p.agent.StopAccepting()
	if answers(port) {
		t.Fatal("clients still come in")
	}
	p.push(again(c, 3, 7))
	p.agent.look()
	if answers(port) || e.Stats().Limit != 7 {
		t.Fatalf("a push must not open the port again, but lower the limit: %d", e.Stats().Limit)
	}
	go close(p.stay)
	if err := p.agent.LetGo(context.Background()); err != nil || !e.drained {
		t.Fatalf("drained %v: %v", e.drained, err)
	}
	select {
	case <-p.agent.Told():
		t.Fatal("the operator was told before it asked")
	default:
	}
	if err := p.agent.Close(); err != nil || !e.closed {
		t.Fatalf("closed %v: %v", e.closed, err)
	}
	if s := p.agent.State(); s.Destinations[0].Bound() != 0 || !s.Draining || s.Ledger != 3 {
		t.Fatalf("the last state: %+v", s)
	}
	<-p.agent.Told()
	if _, err := p.agent.Push(document(t, again(c, 4, 9))); err == nil {
		t.Fatal("a pod that has left takes a push")
	}
}

func TestClientsThatStayTooLongDoNotHoldUpLeaving(t *testing.T) {
	p := newPod(t)
	p.stay = make(chan struct{})
	p.start()
	p.push(served(t, 1, 10, "main"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.agent.BeginLeaving()
	p.agent.StopAccepting()
	if err := p.agent.LetGo(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestEnginesCloseAtTheSameTime(t *testing.T) {
	p := newPod(t)
	p.start()
	p.push(served(t, 1, 10, "main", "other"))
	begun, both := make(chan struct{}, 2), make(chan struct{})
	for _, name := range []string{"main", "other"} {
		p.engine(name).closing = func() {
			begun <- struct{}{}
			<-both
		}
	}
	closed := make(chan error, 1)
	go func() { closed <- p.agent.Close() }()
	late := time.After(10 * time.Second)
	for range 2 {
		select {
		case <-begun:
		case <-late:
			t.Error("one engine waits for the other to close")
		}
	}
	close(both)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestTheNumbersOfAStateAreTheEnginesAndTheWindows(t *testing.T) {
	p := newPod(t)
	p.start()
	p.push(served(t, 1, 10, "main"))
	e := p.engine("main")
	wait := podapi.Histogram{BoundsMicroseconds: []int64{1000}, Counts: []int64{1, 0}}
	e.mu.Lock()
	e.fault = &podapi.Problem{Reason: podapi.ReasonUnreachable} // a probe finds the same
	e.mu.Unlock()
	e.set(func(s *Stats) {
		*s = Stats{Limit: 10, Open: 7, Idle: 1, Lent: 2, Dialing: 1, Resetting: 2, Closing: 1, Waiting: 3, Clients: 9,
			PeakLent: 8, PeakWaiting: 5, Reachable: "False", Fault: &podapi.Problem{Reason: podapi.ReasonUnreachable}, Wait: wait}
	})
	p.agent.sample()
	wait.Counts = []int64{4, 2}
	e.set(func(s *Stats) { s.Wait = wait; s.Counters.AcquireTimeouts = 6 })
	d := p.agent.State().Destinations[0]
	if d.Open != 7 || d.Idle != 1 || d.Lent != 2 || d.Dialing != 1 || d.Resetting != 2 || d.Closing != 1 || d.Waiting != 3 {
		t.Errorf("now: %+v", d)
	}
	if d.PeakLent != 8 || d.PeakWaiting != 5 || d.AcquireTimeouts != 6 || !slices.Equal(d.Wait.Counts, []int64{3, 2}) {
		t.Errorf("the last minute: %+v", d)
	}
	if d.Reachable != "False" || d.Fault.Reason != podapi.ReasonUnreachable || d.Bound() != 10 {
		t.Errorf("the server: %+v", d)
	}
	if s := p.agent.Snapshot(); s.Ledger != 1 || !s.Ready || s.Destinations[0].Stats.Counters.AcquireTimeouts != 6 {
		t.Errorf("for metrics: %+v", s)
	}
}

func TestWhoseCertificatesAreTrusted(t *testing.T) {
	p := newPod(t)
	mounted, pushed, renewed := authorityPEM(t), authorityPEM(t), authorityPEM(t)
	c := served(t, 1, 10, "main")
	p.start()
	trusts := func(when string, want ...string) {
		t.Helper()
		if got := p.agent.Trusted(); !got.Equal(poolOf(want...)) {
			t.Errorf("%s: other CAs than expected", when)
		}
	}
	trusts("without a configuration nobody's")
	c.ClientCA = mounted
	p.write("config.json", string(document(t, c)))
	p.agent.look()
	trusts("the mounted one", mounted)
	c = again(c, 2, 10)
	c.ClientCA = pushed
	p.push(c)
	trusts("the pushed one beside it", mounted, pushed)
	c = again(c, 1, 10)
	c.ClientCA = renewed
	p.write("config.json", string(document(t, c)))
	p.agent.look()
	trusts("an operator that was installed anew, with an older ledger", renewed, pushed)
}

func TestInvalidPushesKeepTheirError(t *testing.T) {
	p := newPod(t)
	p.start()
	_, err := p.agent.Push([]byte(`{}`))
	if _, ok := errors.AsType[*config.Invalid](err); !ok {
		t.Fatal(fmt.Errorf("got %T: %w", err, err))
	}
}
