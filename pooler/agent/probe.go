package agent

import (
	"context"
	"log/slog"
	"time"
)

// Probing: how often, how rarely when it fails the same way again, and how long one attempt may take.
const (
	probeEvery   = 10 * time.Second
	probeSlowest = 60 * time.Second
	probeTimeout = 10 * time.Second
)

// startProbing probes a destination until it leaves.
func (a *Agent) startProbing(d *destination) {
	ctx, stop := context.WithCancel(a.background)
	d.stopProbing = stop
	if a.quiet {
		stop()
		return
	}
	engine := d.engine
	a.running.Go(func() { a.probe(ctx, d, engine) })
}

// probe finds out whether the server of a destination takes connections, before a client does.
func (a *Agent) probe(ctx context.Context, d *destination, engine Engine) {
	wait, before := probeEvery, ""
	for {
		now := probeOnce(ctx, engine)
		if ctx.Err() != nil {
			return
		}
		logReach(a.log.With("destination", d.name), before, now)
		wait = nextProbe(wait, before, now)
		before = now
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-d.again:
			timer.Stop()
			wait = probeEvery
		case <-timer.C:
		}
	}
}

// probeOnce returns what is wrong with the server; empty: nothing, as far as is known.
func probeOnce(ctx context.Context, engine Engine) string {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if engine.Probe(ctx) == nil {
		return ""
	}
	if fault := engine.Stats().Fault; fault != nil {
		return fault.Reason + ": " + fault.Message
	}
	return ""
}

// nextProbe is how long to wait for the next attempt.
func nextProbe(wait time.Duration, before, now string) time.Duration {
	if now == "" || now != before {
		return probeEvery
	}
	return min(2*wait, probeSlowest)
}

func logReach(log *slog.Logger, before, now string) {
	switch now {
	case before:
	case "":
		log.Info("the server takes connections again")
	default:
		log.Warn("the server does not take connections", "fault", now)
	}
}
