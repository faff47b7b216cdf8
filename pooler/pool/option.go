package pool

// Option says what a client wants beside a connection. It is a value: options cost no allocation.
type Option struct {
	kind  optionKind
	value uint64
}

type optionKind uint8

const (
	prefers optionKind = iota + 1
)

// Prefer asks for an idle connection last released with this tag (see Lease.ReleaseAs), if there is one among the 32
// warmest; else for the warmest. It never makes a client wait or be served before others. Tag 0 is no tag.
func Prefer(tag uint64) Option { return Option{prefers, tag} }

// want is the options of one client.
type want struct {
	tag uint64
}

func wanted(opts []Option) (w want) {
	for _, o := range opts {
		switch o.kind {
		case prefers:
			w.tag = o.value
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
