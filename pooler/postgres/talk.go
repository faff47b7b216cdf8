package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// talk is what the pooler itself says to a server connection that no client has, until the server has answered.
type talk struct {
	late *time.Timer
	done func(error) // is called once, on the lane
}

var errUnread = errors.New("the server does not read")

// say sends what a script of the machine's has told, and has done called when the server has answered. A *wire.ServerError
// leaves the connection as it was.
func (c *conn) say(script []byte, done func(error)) {
	t := &talk{done: done}
	t.late = c.stream.lane.after(talkTimeout, func() {
		if c.talk == t {
			c.endTalk(context.DeadlineExceeded)
		}
	})
	c.talk = t
	if c.socket.Closed() {
		c.endTalk(errBroken)
		return
	}
	if !c.write(script) {
		c.endTalk(errUnread)
		return
	}
	c.arm()
}

// endTalk ends what is under way.
func (c *conn) endTalk(err error) {
	t := c.talk
	if t == nil {
		return
	}
	t.late.Stop()
	c.talk = nil
	t.done(err)
}

// cleanUp makes the connection fit for the next client.
func (c *conn) cleanUp(lease pool.Lease[*conn]) {
	c.say(c.machine.Cleanup(), func(err error) {
		if err != nil || c.spent() {
			lease.Discard(err)
			return
		}
		c.giveBack(lease)
	})
}

// try sets settings on a connection that was lent to a login, which waits, and returns what they have become. A
// *wire.ServerError is the server's.
func (c *conn) try(settings []wire.Param) ([]wire.Param, error) {
	answer := slices.Clone(settings)
	done := make(chan error, 1)
	c.post(func() {
		c.say(c.machine.Try(settings), func(err error) {
			for i := range answer {
				answer[i].Value = c.machine.Setting(answer[i].Name)
			}
			done <- err
		})
	})
	select {
	case err := <-done:
		return answer, err
	case <-c.lane.Load().Ended():
		return nil, errClosing
	}
}
