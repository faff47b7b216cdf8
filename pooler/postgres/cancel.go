package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

const (
	maxCancels    = 64               // cancel requests on their way to the server at once; more are not sent
	cancelTimeout = 10 * time.Second // for one
)

// cancelFor carries out a cancel request of a client, and returns when that is done: then the client may send its next
// statement, which a request that is late must not reach.
func (e *Engine) cancelFor(key login.CancelKey) {
	key, byPeer := forwarded(key)
	cl := e.clients.find(key)
	if cl == nil {
		if byPeer || !e.forward(key) {
			e.counters.cancelsUnknown.Add(1)
		}
		return
	}
	e.counters.cancels.Add(1)
	done := make(chan struct{})
	if en := cl.entry.Load(); en != nil {
		en.canceled()
		return
	}
	cl.lane.Post(func() { cl.canceled(func() { close(done) }) })
	select {
	case <-done:
	case <-e.ctx.Done():
	}
}

// canceled ends the console's statements at hand.
func (en *entry) canceled() {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.waits != nil {
		en.waits(errCanceled)
	}
}

// canceled carries out a cancel request, and then calls done.
func (cl *client) canceled(done func()) {
	switch {
	case cl.waiter != nil && cl.waiter.leave():
		cl.refuse(errCanceled)
	case cl.waiter != nil || cl.moving:
		cl.revoked = true
	default:
		cl.cancelStatement(done)
		return
	}
	done()
}

// cancelStatement has the server cancel what it runs for the client, if anything. The request never reaches the next
// transaction of the server connection, which is not lent again before done is called.
func (cl *client) cancelStatement(done func()) {
	c := cl.conn
	if c == nil || !cl.machine.Busy() {
		done()
		return
	}
	c.hold()
	cl.engine.background(func() {
		defer done()
		if !c.sendCancel() {
			c.retired.Store(true) // the request may come any time: nobody else must be there
		}
		c.post(c.free)
	})
}

// abort cancels what the server runs for a client that is gone, and closes the connection.
func (c *conn) abort() {
	c.engine.background(func() {
		c.sendCancel()
		c.post(func() { c.endLease(session.Discard) })
	})
}

// sendCancel asks the server to cancel what the connection runs, and returns when it has done so. It reports false if the
// request may still be on its way.
func (c *conn) sendCancel() bool {
	select {
	case c.engine.cancels <- struct{}{}:
		defer func() { <-c.engine.cancels }()
	default:
		c.engine.counters.cancelsFailed.Add(1)
		c.engine.log.Warn("too many cancel requests at once: one is not sent", "most", maxCancels)
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), cancelTimeout)
	defer cancel()
	sent, err := c.requestCancel(ctx)
	if err != nil {
		c.engine.counters.cancelsFailed.Add(1)
		c.engine.log.Warn("cannot cancel a statement", "error", err)
	}
	return !sent || err == nil
}

// requestCancel returns without an error when the server has served the request. sent says that it may have got it.
func (c *conn) requestCancel(ctx context.Context) (sent bool, err error) {
	if c.cancel.Secret == nil {
		return false, errors.New("the server gave no cancel key")
	}
	request := cancelRequest{pid: c.cancel.PID, secret: c.cancel.Secret}
	if c.encrypted {
		request.tls = serverTLS(c.serverTLS, c.at.Host)
	}
	return request.send(ctx, c.peer)
}

// cancelRequest is a cancel request on its way.
type cancelRequest struct {
	pid    uint32
	secret []byte
	tls    *tls.Config // to send it with TLS; nil: without
}

// send returns without an error when the other side has served the request. sent says that it may have got it.
func (r cancelRequest) send(ctx context.Context, at Endpoint) (sent bool, err error) {
	nc, err := connect(ctx, at)
	if err != nil {
		return false, err
	}
	defer func() { nc.Close() }()
	deadline, _ := ctx.Deadline()
	nc.SetDeadline(deadline)
	if r.tls != nil {
		if _, err := nc.Write(wire.AppendSSLRequest(nil)); err != nil {
			return false, err
		}
		var answer [1]byte
		if _, err := io.ReadFull(nc, answer[:]); err != nil {
			return false, err
		}
		if answer[0] != 'S' {
			return false, errors.New("the other side does not offer TLS any more")
		}
		secure := tls.Client(nc, r.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return false, err
		}
		nc = secure
	}
	if _, err := nc.Write(wire.AppendCancelRequest(nil, r.pid, r.secret)); err != nil {
		return true, err
	}
	_, err = io.Copy(io.Discard, nc) // it is closed when it has been served
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // without TLS's goodbye, but closed
	}
	return true, err
}
