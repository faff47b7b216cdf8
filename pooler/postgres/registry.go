package postgres

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"sync"

	"github.com/weir-dev/weir/pooler/postgres/login"
)

// registry holds the clients that are connected, logins included, and their cancel keys.
type registry struct {
	mu   sync.Mutex
	all  map[uint32]*client // by process ID
	last uint64             // id of the client that came last
	pod  podID
	gone chan struct{} // closed when the last client has gone; nil: nobody waits for that
}

func (r *registry) init(pod podID) {
	r.pod = pod
	r.all = make(map[uint32]*client)
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// add gives a client a process ID, which is random so that it tells nothing, and returns how many clients there are with
// this one.
func (r *registry) add(cl *client) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	cl.id = r.last
	for cl.cancel.PID == 0 || r.all[cl.cancel.PID] != nil {
		var pid [4]byte
		rand.Read(pid[:])                                    // never fails
		cl.cancel.PID = binary.BigEndian.Uint32(pid[:]) >> 1 // drivers take it for a positive number
	}
	r.all[cl.cancel.PID] = cl
	return len(r.all)
}

func (r *registry) remove(cl *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, cl.cancel.PID)
	if len(r.all) == 0 && r.gone != nil {
		close(r.gone)
		r.gone = nil
	}
}

// name gives a client the secret of its cancel key, of so many bytes: it begins with the pod's ID, the rest is random.
func (r *registry) name(cl *client, length int) {
	secret := make([]byte, length)
	rand.Read(secret[copy(secret, r.pod[:]):])
	r.mu.Lock()
	defer r.mu.Unlock()
	cl.cancel.Secret = secret
}

// find returns the client that a cancel request names; nil: none.
func (r *registry) find(key login.CancelKey) *client {
	r.mu.Lock()
	defer r.mu.Unlock()
	cl := r.all[key.PID]
	if cl == nil || cl.cancel.Secret == nil || subtle.ConstantTimeCompare(cl.cancel.Secret, key.Secret) != 1 {
		return nil
	}
	return cl
}

func (r *registry) list() []*client {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*client, 0, len(r.all))
	for _, cl := range r.all {
		list = append(list, cl)
	}
	return list
}

// wait returns when no client is left, or ctx is done.
func (r *registry) wait(ctx context.Context) error {
	r.mu.Lock()
	if len(r.all) == 0 {
		r.mu.Unlock()
		return nil
	}
	if r.gone == nil {
		r.gone = make(chan struct{})
	}
	gone := r.gone
	r.mu.Unlock()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closeAll tells all clients to go.
func (r *registry) closeAll(message []byte) {
	for _, cl := range r.list() {
		cl.shut(message)
	}
}

// shut tells the client to go, whatever is under way.
func (cl *client) shut(message []byte) {
	if en := cl.entry.Load(); en != nil && en.abort() {
		return
	}
	cl.lane.Post(func() { cl.hangUp(message) })
}
