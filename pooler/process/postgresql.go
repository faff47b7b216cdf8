package process

import (
	"fmt"

	"github.com/weir-dev/weir/pooler/agent"
	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

// newEngine makes the engine of a destination's protocol.
func newEngine(d config.Destination, opts postgres.Options) (agent.Engine, error) {
	if d.PostgreSQL == nil {
		return nil, fmt.Errorf("protocol %q is not spoken by this pooler", d.Protocol)
	}
	engine, err := postgres.New(opts)
	if err != nil {
		return nil, err
	}
	return postgreSQL{Engine: engine, name: d.Name}, nil
}

// postgreSQL is the engine of PostgreSQL as an agent.Engine.
type postgreSQL struct {
	*postgres.Engine
	name string
}

func (e postgreSQL) Apply(d config.Destination) error { return e.Engine.Apply(*d.PostgreSQL) }

func (e postgreSQL) Stats() agent.Stats {
	s := e.Engine.Stats()
	stats := agent.Stats{
		Limit: int32(s.Limit), StopPolicy: stopPolicies[s.StopPolicy],
		Open: int32(s.Open), Idle: int32(s.Idle), Lent: int32(s.Lent),
		Dialing: int32(s.Dialing), Resetting: int32(s.Resetting), Closing: int32(s.Closing),
		Waiting: int32(s.Waiting), PeakLent: int32(s.PeakLent), PeakWaiting: int32(s.PeakWaiting),
		Clients: int32(s.Clients), Pinned: int32(s.Pinned), UsersAtLimit: int32(s.UsersAtLimit),
		Reachable: s.Reachability.String(), LookupFault: s.LookupFault,
		Counters: counters(s.Counters),
		Wait:     histogram(s.Wait),
		WaitSum:  s.Wait.Sum.Seconds(),
	}
	if s.Fault != nil {
		stats.Fault = &podapi.Problem{Destination: e.name, Reason: s.Fault.Reason, Message: s.Fault.Message}
	}
	return stats
}

// stopPolicies are the names of stop policies; that of none is empty, as in a State of an older pod.
var stopPolicies = map[postgres.StopPolicy]string{
	postgres.StopHold:         podapi.StopPolicyHold,
	postgres.StopHoldAndDrain: podapi.StopPolicyHoldAndDrain,
}

func (e postgreSQL) Detail() agent.Detail {
	d := e.Engine.Detail()
	out := agent.Detail{Pins: make(map[string]agent.Pin, len(d.Pins)), Consoles: int32(d.Consoles)}
	measured := func(h postgres.Histogram) agent.Histogram {
		return agent.Histogram{Histogram: histogram(h), Sum: h.Sum.Seconds()}
	}
	for _, p := range d.Pairs {
		out.Pairs = append(out.Pairs, agent.Pair{
			Database: p.Database, User: p.User,
			Wait: measured(p.Wait), Dial: measured(p.Dial), Query: measured(p.Query), Transaction: measured(p.Transaction),
		})
	}
	for reason, p := range d.Pins {
		out.Pins[reason.String()] = agent.Pin{Clients: int32(p.Clients), Oldest: p.Oldest}
	}
	return out
}

func counters(c postgres.Counters) agent.Counters {
	timeouts := make(map[string]uint64, len(c.Timeouts))
	for which, n := range c.Timeouts {
		if t := postgres.Timeout(which); t != postgres.NoTimeout {
			timeouts[t.String()] = n
		}
	}
	pins := make(map[string]uint64, len(c.Pins))
	for reason, n := range c.Pins {
		if r := session.Reason(reason); r != session.NotPinned {
			pins[r.String()] = n
		}
	}
	return agent.Counters{
		Logins: c.Logins, LoginsFailed: c.LoginsFailed, ClientsRefused: c.ClientsRefused,
		Queries: c.Queries, Transactions: c.Transactions, BytesReceived: c.BytesReceived, BytesSent: c.BytesSent,
		Parses: c.Parses, ServerParses: c.ServerParses, Binds: c.Binds,
		Acquired: c.Acquired, AcquireTimeouts: c.AcquireTimeouts, QueueFull: c.QueueFull,
		Dialed: c.Dialed, DialsFailed: c.DialsFailed, ServersLost: c.ServersLost,
		Cancels: c.Cancels, CancelsUnknown: c.CancelsUnknown, CancelsFailed: c.CancelsFailed, CancelsForwarded: c.CancelsForwarded,
		Switches: c.Switches, ServersVanished: c.ServersVanished, StalledBytes: c.StalledBytes, Panics: c.Panics,
		Lookups: c.Lookups, LookupsFailed: c.LookupsFailed,
		Timeouts: timeouts, Pins: pins, StatementsRefused: c.Refused,
	}
}

func histogram(h postgres.Histogram) podapi.Histogram {
	out := podapi.Histogram{
		BoundsMicroseconds: make([]int64, len(h.Bounds)),
		Counts:             make([]int64, len(h.Counts)),
	}
	for i, bound := range h.Bounds {
		out.BoundsMicroseconds[i] = bound.Microseconds()
	}
	for i, n := range h.Counts {
		out.Counts[i] = int64(n)
	}
	return out
}
