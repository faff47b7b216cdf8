package postgres

import (
	"testing"
)

// The lane that a connection comes to may be faster than the one that it leaves.
func TestAServerConnectionThatArrivesOnALaneBelongsToIt(t *testing.T) {
	e := &Engine{}
	e.clients.init(podID{})
	if err := e.openLanes(2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.closeLanes)
	_, ours := tcpPair(t)
	c := &conn{engine: e, ended: make(chan struct{})}
	fd, err := c.stream.take(ours)
	if err != nil {
		t.Fatal(err)
	}
	c.lane.Store(e.lanes[0])
	opened := make(chan struct{})
	e.lanes[0].Post(func() {
		c.open(fd)
		close(opened)
	})
	<-opened
	strays := 0
	for i := range 2000 {
		to, arrived := e.lanes[(i+1)%2], make(chan bool)
		c.move(to, func() { arrived <- c.lane.Load() == to })
		if !<-arrived {
			strays++
		}
	}
	c.post(c.socket.Close)
	if strays > 0 {
		t.Errorf("%d times of 2000 it belongs to the lane that it came from", strays)
	}
}
