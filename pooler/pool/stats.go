package pool

import (
	"math/bits"
	"time"
)

// Stats is one consistent snapshot of a Pool or a Set.
type Stats struct {
	Open, Idle, Lent, Dialing, Resetting, Closing int           // Open is the sum of the five after it
	Waiting                                       int           // clients
	Oldest                                        time.Duration // longest wait of a client waiting now
	Max                                           int           // the limit that holds now: of Config.Max, Set.Limit, Config.TenantMax and the budget the lowest
	Keep                                          int           // wanted open now, lent or not: Min, and with Config.Ready what recent peaks ask for
	Ceiling                                       int           // no more are opened as the server refused more, see Hooks.Refused; 0: none. A Set's pools have their own
	Pools                                         int           // 1, or those of the Set
	TenantsFull                                   int           // tenants that have Config.TenantMax connections open while clients of theirs wait
	PeakLent, PeakWaiting                         int           // the highest since ResetPeaks, or since the beginning

	// Counters only rise, but that a lease taken back because its client's context ended is not an Acquired.
	Acquired     uint64 // leases
	AcquiredIdle uint64 // of them, those without a wait
	TimedOut     uint64 // clients that got a *WaitError
	Cancelled    uint64 // clients of AcquireFunc that withdrew
	QueueFull    uint64 // clients that got ErrQueueFull
	Refused      uint64 // clients that were told a final error of Dial
	Shed         uint64 // clients that got ErrShed
	Misuses      uint64 // calls of Release, Discard and Hijack on a lease that had ended
	Leaked       uint64 // leases held for longer than Config.LeakAfter
	Warmed       uint64 // dials for the ready stock, see Config.Ready
	Replaced     uint64 // dials for a connection near the end of its Lifetime
	Dialed       uint64
	DialFailed   uint64

	// Closed connections by reason, see Reason. Those still closing are not in them, nor are hijacked ones.
	ClosedIdle, ClosedAge, ClosedBroken, ClosedSurplus, ClosedRetired, ClosedYielded, ClosedShutdown uint64

	Wait Histogram // waits of all clients that came in, served or not
	Hold Histogram // times that leases were held, of one in 64
	Dial Histogram // times of dials that succeeded

	// How dialing goes. Of a Set: Failing counts the pools whose last dial failed, and the others tell of the one
	// that has failed for longest.
	Failing      int
	DialFails    int       // in a row; 0: the last dial succeeded, or none was tried
	FailingSince time.Time // zero if DialFails is 0
	DialError    error     // the last, nil if DialFails is 0
	LastDialed   time.Time // the last dial that succeeded, zero if none
}

// closed is the counter of a reason.
func (s *Stats) closed(why Reason) *uint64 {
	return [reasons]*uint64{
		ByIdleTime: &s.ClosedIdle, ByLifetime: &s.ClosedAge, Broken: &s.ClosedBroken, Surplus: &s.ClosedSurplus,
		Retired: &s.ClosedRetired, Yielded: &s.ClosedYielded, Shutdown: &s.ClosedShutdown,
	}[why]
}

// count adds what only rises.
func (s *Stats) count(o *Stats) {
	s.Acquired += o.Acquired
	s.AcquiredIdle += o.AcquiredIdle
	s.TimedOut += o.TimedOut
	s.Cancelled += o.Cancelled
	s.QueueFull += o.QueueFull
	s.Refused += o.Refused
	s.Shed += o.Shed
	s.Misuses += o.Misuses
	s.Leaked += o.Leaked
	s.Warmed += o.Warmed
	s.Replaced += o.Replaced
	s.Dialed += o.Dialed
	s.DialFailed += o.DialFailed
	for why := kept + 1; why < reasons; why++ {
		*s.closed(why) += *o.closed(why)
	}
	s.Wait.Merge(&o.Wait)
	s.Dial.Merge(&o.Dial)
	s.Hold.Merge(&o.Hold)
	if o.LastDialed.After(s.LastDialed) {
		s.LastDialed = o.LastDialed
	}
}

// gauge fills in the counts of connections, and the peaks.
func (s *Stats) gauge(t *tally, k peaks) {
	s.Open, s.Idle, s.Lent, s.Dialing, s.Resetting, s.Closing =
		t.open(), t[idle], t[lent], t[dialing], t[resetting], t[closing]
	s.PeakLent, s.PeakWaiting = k.lent, k.waiting
}

// blame takes over how the dials of p go, if it has failed for longer.
func (s *Stats) blame(d *dials) {
	if d.fails == 0 {
		return
	}
	s.Failing++
	if s.FailingSince.IsZero() || d.failing.Before(s.FailingSince) {
		s.DialFails, s.FailingSince, s.DialError = d.fails, d.failing, d.err
	}
}

// Stats is one consistent snapshot.
func (p *Pool[C]) Stats() Stats {
	g := p.group
	defer g.lock().unlock()
	var s Stats
	p.report(&s)
	s.gauge(&p.tally, p.peaks)
	s.Waiting, s.Max, s.Pools, s.Ceiling = p.queue.len, p.allowed(), 1, p.size.ceiling
	s.TenantsFull = g.fullTenants()
	return s
}

// report adds what the pools of a Set add up to.
func (p *Pool[C]) report(s *Stats) {
	s.count(&p.stat)
	s.blame(&p.dials)
	s.Keep += p.keep()
	if w := p.queue.oldest(); w != nil {
		s.Oldest = max(s.Oldest, p.group.now-w.since)
	}
}

// ResetPeaks begins a new span for PeakLent and PeakWaiting: they restart from what is lent and waiting now.
func (p *Pool[C]) ResetPeaks() {
	defer p.group.lock().unlock()
	p.peaks = peaks{p.tally[lent], p.queue.len}
}

// allowed is the lowest of the limits.
func (p *Pool[C]) allowed() int {
	n := p.limit()
	for _, t := range p.parties {
		n = min(n, t.budget)
	}
	return n
}

// brief is what explains a wait: the counts of the tenant if it has all that it may, else those of the pool.
func (p *Pool[C]) brief() Brief {
	if t := p.tenant(); t != nil && t.spare() <= 0 {
		return Brief{Tenant: p.cfg.Tenant, Open: t.open(), Max: t.budget, Lent: t.tally[lent], Dialing: t.tally[dialing], Paused: p.paused}
	}
	b := Brief{Open: p.open(), Max: p.allowed(), Lent: p.tally[lent], Dialing: p.tally[dialing], Paused: p.paused}
	if p.cfg.Reserve > 0 {
		b.Reserved = p.limit() - p.commons()
	}
	return b
}

// peaks are the highest counts of a span.
type peaks struct{ lent, waiting int }

// lift raises a peak to n, and writes nothing if it is as high: the other CPUs keep what they have in their caches.
func lift(peak *int, n int) {
	if n > *peak {
		*peak = n
	}
}

// buckets of a Histogram: 16 µs and its doubles up to 67 s, and one for what is above.
const (
	buckets    = 24
	firstBound = 16 * time.Microsecond
)

// Histogram counts durations. Histograms are added up by Merge, across pools, processes and time.
type Histogram struct {
	Sum    time.Duration
	Counts [buckets]uint64 // by upper bound, see Bounds; the last counts what is above all
}

// Bounds are the upper bounds of Histogram.Counts, rising, one fewer than the counts. The caller may keep the slice.
func Bounds() []time.Duration {
	bounds := make([]time.Duration, buckets-1)
	for i := range bounds {
		bounds[i] = firstBound << i
	}
	return bounds
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	h.Counts[Bucket(d)]++
	h.Sum += max(0, d)
}

// Bucket is which of Histogram.Counts counts d.
func Bucket(d time.Duration) int {
	if d <= firstBound {
		return 0
	}
	return min(bits.Len64(uint64((d-1)/firstBound)), buckets-1)
}

// Merge adds the counts of o.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.Counts {
		h.Counts[i] += n
	}
	h.Sum += o.Sum
}

// Count is the number of durations.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}
