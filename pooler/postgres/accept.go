package postgres

import (
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/weir-dev/weir/pooler/listen"
	"github.com/weir-dev/weir/pooler/loop"
	"github.com/weir-dev/weir/pooler/postgres/login"
)

const (
	spareLogins = 100                    // connections above MaxClients: to cancel, or to be told that there are too many
	acceptPause = 100 * time.Millisecond // after accept failed, for lack of file descriptors for example
)

// Serve lets in the clients that ln accepts, until ln is closed, which is no error. It may run for several listeners. Logins
// cost least with one of package listen, which is served on a lane.
func (e *Engine) Serve(ln net.Listener) error {
	if own, ok := ln.(*listen.Listener); ok {
		return e.serveOnLane(own)
	}
	for {
		nc, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			e.log.Warn("cannot accept a client", "error", err)
			select {
			case <-time.After(acceptPause):
			case <-e.ctx.Done():
				return nil
			}
			continue
		}
		if en := e.arrive(); en != nil {
			en.in = new(input)
			go en.block(nc, login.Read, nil)
		} else {
			nc.Close()
		}
	}
}

// arrive makes the entry of a client that has come; nil: there are too many.
func (e *Engine) arrive() *entry {
	s := e.settings.Load()
	cl := &client{engine: e, stream: stream{lane: e.laneFor()}, came: now(), traffic: &e.traffic.other}
	en := newEntry(cl, s)
	cl.entry.Store(en)
	n := e.clients.add(cl)
	en.tooMany = n > s.Limits.MaxClients
	if n > s.Limits.MaxClients+spareLogins || e.ctx.Err() != nil {
		e.counters.clientsRefused.Add(1)
		e.gone(cl)
		return nil
	}
	return en
}

// gone forgets a client.
func (e *Engine) gone(cl *client) {
	if cl.forget != nil {
		cl.forget()
	}
	e.clients.remove(cl)
	if e.draining.Load() {
		go func() { // a lane must not wait for an Apply
			e.apply.Lock()
			defer e.apply.Unlock()
			e.holdBudget()
		}()
	}
}

// door is a listening socket on a lane.
type door struct {
	engine *Engine
	lane   *lane
	socket loop.Socket
	shut   chan struct{} // closed when nobody comes in any more
}

func (e *Engine) serveOnLane(ln *listen.Listener) error {
	fd, err := ln.Take()
	switch {
	case errors.Is(err, net.ErrClosed):
		return nil
	case err != nil:
		return err
	}
	d := &door{engine: e, lane: e.laneFor(), shut: make(chan struct{})}
	opened := false
	d.lane.Post(func() {
		opened = true
		if err = d.socket.Open(d.lane.Loop, fd, d); err != nil {
			d.close()
		}
	})
	select {
	case <-d.shut:
		return err
	case <-d.lane.Ended():
	}
	if opened {
		d.socket.Close()
	} else {
		_ = syscall.Close(fd)
	}
	return nil
}

// Ready is called by the loop when a client has come, and when the listener was closed. One is let in at a time, so that those
// who came before have their turns; and who looks whether there is another finds none as a rule.
func (d *door) Ready(loop.Interest) {
	fd, err := d.socket.Accept()
	switch {
	case err == nil:
		d.letIn(fd)
	case err == loop.ErrAgain: //nolint:errorlint // it is never wrapped
	case errors.Is(err, syscall.EINVAL):
		d.close()
	default:
		d.engine.log.Warn("cannot accept a client", "error", err)
		d.socket.Watch(0)
		d.lane.after(acceptPause, func() { d.socket.Watch(loop.Read) })
	}
}

func (d *door) letIn(fd int) {
	en := d.engine.arrive()
	switch {
	case en == nil:
		_ = syscall.Close(fd)
	case en.lane == d.lane:
		en.begin(fd)
	default:
		en.lane.Post(func() { en.begin(fd) })
	}
}

func (d *door) close() {
	d.socket.Close()
	close(d.shut)
}
