package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"sync"

	"github.com/weir-dev/weir/pooler/postgres/login"
)

// registry holds the clients that are connected, logins included, and their cancel keys.
type registry struct {
	mu   sync.Mutex
	all  map[uint32]*client // by process ID
	last uint64             // id of the client that came last
	pod  podID
	seal hash.Hash     // what makes secrets, with a key of this process
	gone chan struct{} // closed when the last client has gone; nil: nobody waits for that
}

func (r *registry) init(pod podID) {
	r.pod = pod
	r.all = make(map[uint32]*client)
	var key [sha256.Size]byte
	rand.Read(key[:]) // never fails
	r.seal = hmac.New(sha256.New, key[:])
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
	for cl.pid == 0 || r.all[cl.pid] != nil {
		var pid [4]byte
		rand.Read(pid[:])
		cl.pid = binary.BigEndian.Uint32(pid[:]) >> 1 // drivers take it for a positive number
	}
	r.all[cl.pid] = cl
	return len(r.all)
}

func (r *registry) remove(cl *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, cl.pid)
	if len(r.all) == 0 && r.gone != nil {
		close(r.gone)
		r.gone = nil
	}
}

// name gives a client a cancel key, with a secret of so many bytes.
func (r *registry) name(cl *client, length int) login.CancelKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	cl.secret = uint8(length)
	return login.CancelKey{PID: cl.pid, Secret: r.secretOf(cl)}
}

// secretOf makes a client's secret: it begins with the pod's ID, and the rest nobody else can make of the client's number.
// Made anew when it is asked for, it takes no memory of the many clients that never cancel. mu is locked.
func (r *registry) secretOf(cl *client) []byte {
	r.seal.Reset()
	r.seal.Write(binary.BigEndian.AppendUint64(nil, cl.id))
	return r.seal.Sum(slices.Clone(r.pod[:]))[:cl.secret]
}

// find returns the client that a cancel request names; nil: none.
func (r *registry) find(key login.CancelKey) *client {
	r.mu.Lock()
	defer r.mu.Unlock()
	cl := r.all[key.PID]
	if cl == nil || cl.secret == 0 || !hmac.Equal(r.secretOf(cl), key.Secret) {
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
