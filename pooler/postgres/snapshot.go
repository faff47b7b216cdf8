package postgres

import (
	"sync/atomic"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

// counters are the sums of all clients there have been, of what is not counted by Pair.
type counters struct {
	lookups, lookupsFailed          atomic.Uint64
	loginsFailed, clientsRefused    atomic.Uint64
	acquireTimeouts, serversLost    atomic.Uint64
	cancels, cancelsUnknown         atomic.Uint64
	cancelsFailed, cancelsForwarded atomic.Uint64
	stalledBytes, switches          atomic.Uint64
	serversVanished, panics         atomic.Uint64
	timeouts                        [timeouts]atomic.Uint64

	pins   [session.Reasons]atomic.Uint64
	pinned atomic.Int64
}

// Stats returns what the Engine does and has done.
func (e *Engine) Stats() Stats {
	p := e.servers.Stats()
	s := Stats{
		Limit: int(e.limit.Load()), StopPolicy: e.hold.get(),
		Open: p.Open, Idle: p.Idle, Lent: p.Lent, Dialing: p.Dialing, Resetting: p.Resetting, Closing: p.Closing,
		Waiting: p.Waiting, OldestWait: p.Oldest, PeakLent: p.PeakLent, PeakWaiting: p.PeakWaiting,
		UsersAtLimit: p.TenantsFull,
		Clients:      e.clients.len(), Pinned: int(e.counters.pinned.Load()),
		Counters: e.counters.load(&p),
		Wait:     Histogram{Bounds: pool.Bounds(), Counts: p.Wait.Counts[:], Sum: p.Wait.Sum},
	}
	for _, t := range e.traffic.list() {
		t.addTo(&s.Counters)
	}
	s.Reachability, s.Fault = e.fault.get()
	if f := e.lookupFault.Load(); f != nil {
		s.LookupFault = f.text
	}
	return s
}

// ResetPeaks begins a new span for the peaks in Stats.
func (e *Engine) ResetPeaks() { e.servers.ResetPeaks() }

func (c *counters) load(p *pool.Stats) Counters {
	out := Counters{
		LoginsFailed: c.loginsFailed.Load(), ClientsRefused: c.clientsRefused.Load(),
		Acquired: p.Acquired, AcquireTimeouts: c.acquireTimeouts.Load(), QueueFull: p.QueueFull,
		Dialed: p.Dialed, DialsFailed: p.DialFailed, ServersLost: c.serversLost.Load(),
		Cancels: c.cancels.Load(), CancelsUnknown: c.cancelsUnknown.Load(),
		Lookups: c.lookups.Load(), LookupsFailed: c.lookupsFailed.Load(),
		CancelsFailed: c.cancelsFailed.Load(), CancelsForwarded: c.cancelsForwarded.Load(),
		Switches: c.switches.Load(), ServersVanished: c.serversVanished.Load(), StalledBytes: c.stalledBytes.Load(),
		Panics: c.panics.Load(),
	}
	for i := range c.timeouts {
		out.Timeouts[i] = c.timeouts[i].Load()
	}
	for i := range c.pins {
		out.Pins[i] = c.pins[i].Load()
	}
	return out
}
