package podtest

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Network connects addresses that need not exist to listeners on this machine.
type Network struct {
	mu     sync.Mutex
	routes map[string]string // host:port -> host:port
	dials  int
}

// NewNetwork makes a Network that reaches nobody.
func NewNetwork() *Network { return &Network{routes: map[string]string{}} }

// Route leads who dials address to the listener at target. An empty target makes the address unreachable.
func (n *Network) Route(address, target string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if target == "" {
		delete(n.routes, address)
		return
	}
	n.routes[address] = target
}

// Dial is a dial function for clients of this Network.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	target, ok := n.routes[address]
	n.dials++
	n.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("dial %s: no route to host", address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, target)
}

// Dials is how many connections were asked for.
func (n *Network) Dials() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}
