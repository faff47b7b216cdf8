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

// cancelFor carries out a cancel request of a client. It never reaches the next transaction of a server connection, which is
// not lent again before the request has been served.
func (e *Engine) cancelFor(key login.CancelKey) {
	cl := e.clients.find(key)
	if cl == nil {
		e.counters.cancelsUnknown.Add(1)
		return
	}
	e.counters.cancels.Add(1)
	cl.mu.Lock()
	if cl.wait != nil {
		cl.wait(errCanceled)
		cl.mu.Unlock()
		return
	}
	cl.cancelStatement()
	cl.mu.Unlock()
}

// cancelStatement has the server cancel what it runs for the client, if anything; mu is locked.
func (cl *client) cancelStatement() {
	c := cl.conn
	if c == nil || !cl.machine.Busy() {
		return
	}
	c.hold()
	cl.engine.background(func() {
		defer c.free()
		if !c.sendCancel() {
			c.broken.Store(true) // the request may come any time: nobody else must be there
		}
	})
}

// abort cancels what the server runs for a client that is gone, and closes the connection.
func (c *conn) abort() {
	c.engine.background(func() {
		c.sendCancel()
		c.end(session.Discard)
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
	nc, err := connect(ctx, c.at)
	if err != nil {
		return false, err
	}
	defer func() { nc.Close() }()
	deadline, _ := ctx.Deadline()
	nc.SetDeadline(deadline)
	if c.tls {
		if _, err := nc.Write(wire.AppendSSLRequest(nil)); err != nil {
			return false, err
		}
		var answer [1]byte
		if _, err := io.ReadFull(nc, answer[:]); err != nil {
			return false, err
		}
		if answer[0] != 'S' {
			return false, errors.New("the server does not offer TLS any more")
		}
		secure := tls.Client(nc, serverTLS(c.serverTLS, c.at.Host))
		if err := secure.HandshakeContext(ctx); err != nil {
			return false, err
		}
		nc = secure
	}
	if _, err := nc.Write(wire.AppendCancelRequest(nil, c.cancel.PID, c.cancel.Secret)); err != nil {
		return true, err
	}
	_, err = io.Copy(io.Discard, nc) // the server closes it when the signal is sent
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // without TLS's goodbye, but closed
	}
	return true, err
}
