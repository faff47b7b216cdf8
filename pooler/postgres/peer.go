package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"slices"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/login"
)

// A Service sends a cancel request to any pod. So a key says which pod holds the session, in the first bytes of its secret,
// and a pod that is asked for another's passes the request on, as it came but marked: it is passed on once.
const (
	maxForwards = 32  // requests on their way to other pods at once; more are not sent
	forwardRate = 100 // requests to other pods in a second
)

// Peer is another pod, and where it serves the clients of this destination.
type Peer struct {
	Pod string // UID
	At  Endpoint
}

// podID is what a cancel key says of a pod. Two pods may have the same.
type podID [2]byte

func idOf(pod string) podID {
	sum := sha256.Sum256([]byte(pod))
	return podID(sum[:])
}

// peersOf are the other pods by ID.
func (e *Engine) peersOf(cfg Config) map[podID][]Endpoint {
	peers := make(map[podID][]Endpoint, len(cfg.Peers))
	for _, p := range cfg.Peers {
		if p.Pod != e.pod {
			peers[idOf(p.Pod)] = append(peers[idOf(p.Pod)], p.At)
		}
	}
	return peers
}

var (
	forwardMark = []byte("to weir:") // in front of a secret; with it, no key has a length that is given to clients

	// peerTLS hides keys from who only listens. It proves nothing of the other pod: what is sent to a wrong one is of no use
	// but to cancel, and the Service itself would have sent it there.
	peerTLS = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{login.ALPN}, MinVersion: tls.VersionTLS12}
)

// forward passes a cancel request on to the pod that its key names, and returns when that has served it. It reports false if
// there is no such pod.
func (e *Engine) forward(key login.CancelKey) bool {
	if len(key.Secret) < len(podID{}) {
		return false
	}
	s := e.settings.Load()
	hosts := s.peers[podID(key.Secret)]
	if len(hosts) == 0 {
		return false
	}
	e.counters.cancelsForwarded.Add(1)
	select {
	case e.forwards <- struct{}{}:
		defer func() { <-e.forwards }()
	default:
		e.counters.cancelsFailed.Add(1)
		return true
	}
	if !e.forwarding.allow(time.Now()) {
		e.counters.cancelsFailed.Add(1)
		return true
	}
	ctx, cancel := context.WithTimeout(e.ctx, cancelTimeout)
	defer cancel()
	request := cancelRequest{pid: key.PID, secret: slices.Concat(forwardMark, key.Secret)}
	if s.ClientTLS.Policy == TLSOptional || s.ClientTLS.Policy == TLSRequired {
		request.tls = peerTLS
	}
	var all sync.WaitGroup
	for _, at := range hosts {
		all.Go(func() {
			if _, err := request.send(ctx, at); err != nil {
				e.counters.cancelsFailed.Add(1)
				e.log.Warn("cannot pass a cancel request on to the pod that holds the session", "pod", at.Host, "error", err)
			}
		})
	}
	all.Wait()
	return true
}

// forwarded takes the mark off a key that another pod has passed on.
func forwarded(key login.CancelKey) (login.CancelKey, bool) {
	secret, marked := bytes.CutPrefix(key.Secret, forwardMark)
	return login.CancelKey{PID: key.PID, Secret: secret}, marked
}

// bucket lets rate pass in a second. The zero bucket is full.
type bucket struct {
	mu    sync.Mutex
	since time.Time // when it was last full, or would have been
}

func (b *bucket) allow(now time.Time) bool {
	const each = time.Second / forwardRate
	b.mu.Lock()
	defer b.mu.Unlock()
	if full := now.Add(-time.Second); b.since.Before(full) {
		b.since = full
	}
	if b.since.Add(each).After(now) {
		return false
	}
	b.since = b.since.Add(each)
	return true
}
