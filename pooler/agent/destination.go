package agent

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strconv"
	"time"

	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/listen"
	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/window"
)

// ReasonConfigInvalid is the reason of a Problem when an engine refuses what passed validation.
const ReasonConfigInvalid = "ConfigInvalid"

// destination is one engine with its listener. Its fields change with the Agent's turn and mu held, so that either is
// enough to read them; but for those that need mu alone.
type destination struct {
	name string

	engine      Engine              // nil: never could be served
	applied     *config.Destination // what the engine serves with
	share       podapi.Share
	parted      time.Time // when its limit was taken away; zero: it has one, or never had
	problems    []podapi.Problem
	succeeds    bool // waits for the engine of an earlier destination of this name, which still leaves
	stopProbing context.CancelFunc
	again       chan struct{} // asks for a probe now

	listener    net.Listener // nil: not listening; needs mu alone
	port        int
	listenFault *podapi.Problem

	gone chan struct{} // closed when it has left

	window *window.Window   // needs mu alone
	wanted [wantedFor]int32 // in the latest samples; needs mu alone
	short  time.Time        // when clients last waited with the share used up; needs mu alone
}

// render makes d serve one destination of a Config, or tells in problems why it cannot.
func (a *Agent) render(d *destination, c podapi.Config, spec podapi.Destination, share podapi.Share) {
	usable := a.legacy.less(share)
	rendered, complete, problems := a.renderer.Render(c, spec, usable)
	if !complete && d.applied != nil {
		rendered, complete = d.applied.WithLimits(spec, usable), true
	}
	succeeds := d.engine == nil && a.isLeaving(d.name)
	engine, changed := d.engine, false
	if complete && !succeeds && (d.applied == nil || !reflect.DeepEqual(*d.applied, rendered)) {
		var err error
		if engine, err = a.engage(d, rendered); err != nil {
			problems = append(problems, podapi.Problem{Destination: d.name, Reason: ReasonConfigInvalid, Message: err.Error()})
		}
		changed = err == nil
	}
	a.mu.Lock()
	born := engine != nil && d.engine == nil
	switch {
	case share.MaxOpen > 0:
		d.parted = time.Time{}
	case d.share.MaxOpen > 0:
		d.parted = time.Now()
	}
	d.engine, d.share, d.problems, d.succeeds = engine, share, problems, succeeds
	if changed {
		d.applied = &rendered
	}
	a.mu.Unlock()
	if born {
		a.startProbing(d)
	} else if changed {
		select {
		case d.again <- struct{}{}:
		default: // asked already
		}
	}
}

// engage makes the engine of a destination serve with what was rendered. With an error it goes on with what it had.
func (a *Agent) engage(d *destination, rendered config.Destination) (Engine, error) {
	if d.engine != nil {
		return d.engine, d.engine.Apply(rendered)
	}
	engine, err := a.opts.NewEngine(rendered)
	if err != nil {
		return nil, err
	}
	if err := engine.Apply(rendered); err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return engine, nil
}

// mustListen tells whether a destination should listen and does not.
func (a *Agent) mustListen(d *destination) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return d.engine != nil && d.listener == nil && !a.quiet
}

// listen opens the port of a destination.
func (a *Agent) listen(d *destination, port int) {
	address := net.JoinHostPort(a.opts.ListenHost, strconv.Itoa(port))
	listener, err := listen.TCP(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		d.listenFault = &podapi.Problem{Destination: d.name, Reason: podapi.ReasonListenFailed, Message: "cannot listen: " + err.Error()}
		return
	}
	d.listener, d.port, d.listenFault = listener, port, nil
	engine := d.engine
	a.running.Go(func() { a.serve(d, engine, listener) })
}

// serve lets clients in until the listener is closed. When that was not our doing, the next look opens it again.
func (a *Agent) serve(d *destination, engine Engine, listener net.Listener) {
	err := engine.Serve(listener)
	listener.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.listener != listener {
		return
	}
	d.listener = nil
	a.log.Warn("a listener ended and is opened again", "destination", d.name, "port", d.port, "error", err)
}

// hush closes the listener of a destination. Clients that are in stay.
func (a *Agent) hush(d *destination) {
	a.mu.Lock()
	listener := d.listener
	d.listener = nil
	a.mu.Unlock()
	if listener != nil {
		listener.Close()
	}
}
