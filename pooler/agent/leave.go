package agent

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// defaultDrain is how long clients get when no Config says it.
const defaultDrain = 60 * time.Second

// dismiss lets a destination leave that is no longer in the Config.
func (a *Agent) dismiss(d *destination, grace time.Duration) {
	a.hush(d)
	if d.engine == nil {
		return
	}
	d.stopProbing()
	d.gone = make(chan struct{})
	a.mu.Lock()
	a.leaving = append(a.leaving, d)
	a.mu.Unlock()
	a.log.Info("a destination leaves", "destination", d.name)
	a.running.Go(func() {
		ctx, cancel := context.WithTimeout(a.background, grace)
		defer cancel()
		err := errors.Join(d.engine.Drain(ctx), d.engine.Close())
		a.mu.Lock()
		a.leaving = slices.DeleteFunc(a.leaving, func(o *destination) bool { return o == d })
		a.mu.Unlock()
		close(d.gone)
		a.log.Info("a destination has left", "destination", d.name, "error", err)
	})
}

func (a *Agent) isLeaving(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.leaving, func(d *destination) bool { return d.name == name })
}

// DrainTime is how long clients get to leave.
func (a *Agent) DrainTime() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.core.Config(); c != nil {
		return time.Duration(c.DrainSeconds) * time.Second
	}
	return defaultDrain
}

// BeginLeaving makes the pod unready and its limits fall only. Clients are served as before.
func (a *Agent) BeginLeaving() {
	a.turn.Lock()
	defer a.turn.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.core = a.core.Drain()
}

// StopAccepting closes the listeners for good. Clients that are in stay.
func (a *Agent) StopAccepting() {
	a.turn.Lock()
	defer a.turn.Unlock()
	a.mu.Lock()
	a.quiet = true
	a.mu.Unlock()
	for _, d := range a.destinations {
		a.hush(d)
	}
}

// LetGo lets the clients of all destinations go, and returns when none is left. When ctx is done the rest is closed, and
// its error is returned.
func (a *Agent) LetGo(ctx context.Context) error {
	a.mu.Lock()
	staying, leaving := slices.Clone(a.destinations), slices.Clone(a.leaving)
	a.mu.Unlock()
	var (
		all  sync.WaitGroup
		errs = make([]error, len(staying))
	)
	for i, d := range staying {
		if d.engine != nil {
			d.stopProbing()
			all.Go(func() { errs[i] = d.engine.Drain(ctx) })
		}
	}
	all.Wait()
	for _, d := range leaving {
		select {
		case <-d.gone:
		case <-ctx.Done():
			return errors.Join(append(errs, ctx.Err())...)
		}
	}
	return errors.Join(errs...)
}

// Close closes all clients and server connections and ends the Agent's work. State still answers, with a limit of 0.
func (a *Agent) Close() error {
	a.turn.Lock()
	if a.closed {
		a.turn.Unlock()
		return nil
	}
	var (
		all  sync.WaitGroup
		errs = make([]error, len(a.destinations))
	)
	for i, d := range a.destinations {
		a.hush(d)
		if d.engine != nil {
			all.Go(func() { errs[i] = d.engine.Close() }) // each waits for its server
		}
	}
	all.Wait()
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.stop()
	a.turn.Unlock()
	a.running.Wait()
	return errors.Join(errs...)
}

// Told is closed when the operator was told, by State, that the pod leaves and has and may have nothing open any more.
func (a *Agent) Told() <-chan struct{} { return a.told }

// noteTold looks whether a State says that all is gone. It is called with mu held.
func (a *Agent) noteTold(s podapi.State) {
	bound := int32(0)
	for _, d := range s.Destinations {
		bound += d.Bound()
	}
	if !a.quiet || !s.Draining || bound > 0 {
		return
	}
	select {
	case <-a.told:
	default:
		close(a.told)
	}
}
