package pool

// Option says what a client wants beside a connection. It is a value: options cost no allocation.
type Option struct {
	kind  optionKind
	value uint64
}

type optionKind uint8

const (
	prefers optionKind = iota + 1
	classed
	patient
)

// Prefer asks for an idle connection last released with this tag (see Lease.ReleaseAs), if there is one among the 32
// warmest; else for the warmest. It never makes a client wait or be served before others. Tag 0 is no tag.
func Prefer(tag uint64) Option { return Option{prefers, tag} }

// Class puts the client in a class of the queue, 0 to 3 (what is beyond is taken as the nearest); without it, 0. Classes are
// served in turns by Config.Queue.Weights, in each the oldest client first, and none starves. Config.Reserve is for class 3.
func Class(c int) Option { return Option{classed, uint64(max(0, min(c, classes-1)))} }

// Patient keeps the client from being shed (see Queue.Adaptive): for one that holds another connection already, so that
// what it holds is not held in vain.
func Patient() Option { return Option{patient, 1} }

// want is the options of one client.
type want struct {
	tag     uint64
	class   uint8
	patient bool
}

func wanted(opts []Option) (w want) {
	for _, o := range opts {
		switch o.kind {
		case prefers:
			w.tag = o.value
		case classed:
			w.class = uint8(o.value)
		case patient:
			w.patient = true
		}
	}
	return w
}

// searched is how many idle connections are looked at for one with the tag preferred: it bounds the time the lock is held.
const searched = 32

// pick is the place in the idle stack, which is not empty, of the connection that suits best: the warmest of those with
// the tag, else the warmest.
func (p *Pool[C]) pick(tag uint64) int {
	last := len(p.idle) - 1
	if tag != 0 {
		for i := last; i >= max(0, last+1-searched); i-- {
			if p.idle[i].tag == tag {
				return i
			}
		}
	}
	return last
}
