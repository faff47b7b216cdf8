package agent

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/window"
)

// State is what the pod does now, for the operator.
func (a *Agent) State() podapi.State {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	s := podapi.State{
		Version:       podapi.Version,
		PodUID:        a.opts.PodUID,
		Software:      a.opts.Software,
		Ledger:        a.core.Ledger(),
		Draining:      a.core.Draining(),
		Ready:         len(a.unready()) == 0,
		WindowSeconds: window.Seconds,
		Problems:      a.problems(),
		Destinations:  []podapi.DestinationState{},
	}
	if c := a.core.Config(); c != nil {
		s.Generation = c.Generation
	}
	for _, d := range a.reported() {
		state, stats := a.destinationState(d, now)
		s.Clients += stats.Clients
		s.Destinations = append(s.Destinations, state)
	}
	s.News = a.news(now)
	a.noteTold(s)
	return s
}

// Snapshot is what the engines do and have done, for metrics.
type Snapshot struct {
	Generation, Ledger int64
	Ready, Draining    bool
	Problems           []podapi.Problem
	Destinations       []DestinationStats
}

// DestinationStats is one destination of a Snapshot.
type DestinationStats struct {
	Name   string
	Stats  Stats
	Detail Detail
}

// Snapshot is what the pod does and has done.
func (a *Agent) Snapshot() Snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Snapshot{Ledger: a.core.Ledger(), Ready: len(a.unready()) == 0, Draining: a.core.Draining(), Problems: a.problems()}
	if c := a.core.Config(); c != nil {
		s.Generation = c.Generation
	}
	for _, d := range a.reported() {
		one := DestinationStats{Name: d.name, Stats: a.stats(d)}
		if d.engine != nil {
			one.Detail = d.engine.Detail()
		}
		s.Destinations = append(s.Destinations, one)
	}
	return s
}

// reported are the destinations with an engine or a share, each name once: one that leaves speaks for the one that is to
// succeed it. It is called with mu held.
func (a *Agent) reported() []*destination {
	all := make([]*destination, 0, len(a.destinations)+len(a.leaving))
	for _, d := range a.destinations {
		if !d.succeeds {
			all = append(all, d)
		}
	}
	return append(all, a.leaving...)
}

// stats are those of a destination's engine, and its share while it has none. It is called with mu held.
func (a *Agent) stats(d *destination) Stats {
	stats := Stats{Limit: d.share.MaxOpen, Reachable: "Unknown"}
	if d.engine != nil {
		stats = d.engine.Stats()
	}
	if a.closed {
		stats.Limit = 0
	}
	return stats
}

func (a *Agent) destinationState(d *destination, now time.Time) (podapi.DestinationState, Stats) {
	stats := a.stats(d)
	d.window.Record(now, window.Sample{
		Lent: max(stats.Lent, stats.PeakLent), Waiting: max(stats.Waiting, stats.PeakWaiting),
		Timeouts: int64(stats.Counters.AcquireTimeouts), Wait: stats.Wait,
	})
	summary := d.window.Summary(now)
	limit := stats.Limit
	if i := slices.IndexFunc(a.destinations, func(o *destination) bool { return o.succeeds && o.name == d.name }); i >= 0 {
		limit = max(limit, a.destinations[i].share.MaxOpen)
	}
	if left, ok := a.legacy.bound(d.name); ok {
		limit = max(limit, d.share.MaxOpen, left)
	}
	return podapi.DestinationState{
		Name: d.name, Limit: limit, StopPolicy: stats.StopPolicy,
		Open: stats.Open, Idle: stats.Idle, Lent: stats.Lent, Dialing: stats.Dialing,
		Resetting: stats.Resetting, Closing: stats.Closing, Waiting: stats.Waiting,
		PeakLent: summary.PeakLent, PeakWaiting: summary.PeakWaiting,
		AcquireTimeouts: summary.Timeouts, Wait: summary.Wait,
		Wanted:    d.wants(stats),
		Reachable: stats.Reachable, Fault: stats.Fault, LookupFault: stats.LookupFault,
	}, stats
}

// sample records what the engines do, and begins a new span for their peaks.
func (a *Agent) sample() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for _, d := range a.reported() {
		if d.engine != nil {
			_, stats := a.destinationState(d, now)
			d.sampled(stats)
			d.engine.ResetPeaks()
		}
	}
}

// shareless is how long a pod goes on getting clients after its limit was taken away: while a smaller budget is still held by
// pods that leave, say. Clients that wait for a moment are better off than those that find no pod at all.
const shareless = time.Minute

// Unready tells why the pod should not get clients; nothing: it should. A database that is down is no reason.
func (a *Agent) Unready() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unready()
}

func (a *Agent) unready() (reasons []string) {
	if a.core.Draining() {
		reasons = append(reasons, "the pod leaves")
	}
	if a.core.Config() == nil {
		return append(reasons, a.mountedFault)
	}
	for _, d := range a.destinations {
		if d.engine == nil && !d.succeeds {
			for _, p := range d.problems {
				reasons = append(reasons, fmt.Sprintf("destination %q is not served: %s", d.name, p.Message))
			}
			continue
		}
		switch {
		case d.succeeds:
			reasons = append(reasons, fmt.Sprintf("destination %q waits until what it was before has left", d.name))
		case d.listener == nil && d.listenFault != nil:
			reasons = append(reasons, fmt.Sprintf("destination %q: %s", d.name, d.listenFault.Message))
		case d.listener == nil:
			reasons = append(reasons, fmt.Sprintf("destination %q does not listen", d.name))
		}
		if d.share.MaxOpen == 0 && time.Since(d.parted) > shareless {
			reasons = append(reasons, fmt.Sprintf("destination %q has no limit yet: the operator has not granted one to this pod", d.name))
		}
	}
	return reasons
}

// problems are those of all destinations, each once.
func (a *Agent) problems() (all []podapi.Problem) {
	add := func(p podapi.Problem) {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	for _, d := range a.destinations {
		for _, p := range d.problems {
			add(p)
		}
		if d.listenFault != nil {
			add(*d.listenFault)
		}
	}
	return all
}

// logProblems logs which problems are new and which are over.
func (a *Agent) logProblems(before []podapi.Problem) {
	now := a.problems()
	for _, p := range now {
		if !slices.Contains(before, p) {
			a.log.Warn("problem", "destination", p.Destination, "reason", p.Reason, "message", p.Message)
		}
	}
	for _, p := range before {
		if !slices.Contains(now, p) {
			a.log.Info("problem is over", "destination", p.Destination, "reason", p.Reason, "message", p.Message)
		}
	}
}

// trust is whose certificates are let in at the control port.
type trust struct {
	pem  string
	pool *x509.CertPool
}

// Trusted is the CAs of which the operator's certificate must be: that of the Config that runs and that of the mounted
// one. Without one it is empty: nobody is let in.
func (a *Agent) Trusted() *x509.CertPool {
	a.mu.Lock()
	defer a.mu.Unlock()
	pem := a.mountedCA
	if c := a.core.Config(); c != nil && c.ClientCA != pem {
		pem += "\n" + c.ClientCA
	}
	if a.trust.pool == nil || a.trust.pem != pem {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(pem))
		a.trust = trust{pem, pool}
	}
	return a.trust.pool
}
