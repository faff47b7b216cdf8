package postgres

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

// When many clients come at once, the heap grows by what their logins use for a moment, and by as much again as is left of
// it for the next collection. Afterwards little is allocated, so that it would stay so large for minutes. So it is given back.
const (
	rushLogins = 1000        // are a rush: giving memory back costs less than a hundredth of what they did
	rushLook   = time.Second // between two looks whether it is over
	rushEnd    = 10          // logins between two looks, at most: it is over
)

// rush is how many have logged in since memory was given back. It is of the process, like its memory.
type rush struct {
	logins  atomic.Int64
	watched atomic.Bool
	release func() // gives memory back
}

var arrivals = rush{release: debug.FreeOSMemory}

// saw counts a login.
func (r *rush) saw() {
	if n := r.logins.Add(1); n >= rushLogins && !r.watched.Swap(true) {
		time.AfterFunc(rushLook, func() { r.look(n) })
	}
}

// look gives memory back if the rush is over; before is how many logins there were at the last look.
func (r *rush) look(before int64) {
	n := r.logins.Load()
	if n-before > rushEnd {
		time.AfterFunc(rushLook, func() { r.look(n) })
		return
	}
	r.logins.Add(-n)
	r.watched.Store(false)
	r.release()
}
