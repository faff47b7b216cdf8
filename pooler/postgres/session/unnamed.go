package session

// keptUnnamed is the longest text, with its parameter types, of an unnamed statement that is kept for other server
// connections. One that is longer keeps its server connection until it was bound once.
const keptUnnamed = 16 << 10

// keptUnder is how many bytes of texts of Parses under way are kept. Of those above it only what fails or is skipped behind
// them makes a difference.
const keptUnder = 256 << 10

// unnamed is the statement without a name. It outlives the transaction, and must then be found on another server connection.
type unnamed struct {
	kept    *kept  // nil: there never was one
	coming  bool   // the last change under way is a Parse
	here    bool   // what the server has is this session's, or nothing
	segment uint32 // where it was changed last
}

// kept is what is known of the unnamed statements that a session has had.
type kept struct {
	now   keepsake
	next  []keepsake // of the Parses under way, from done on
	done  int
	under int // bytes of texts in next
}

// keepsake is what is known of an unnamed statement.
type keepsake struct {
	body    []byte // of its Parse, from behind the name on
	has     traits
	whole   bool // there is one, and body is it
	growing bool // body is being read
	large   bool // there is one that is too long to keep, and was not bound yet
}

// begin takes the beginning of a Parse.
func (u *unnamed) begin(segment uint32) {
	if u.kept == nil {
		u.kept = new(kept)
	}
	k := u.kept
	n := len(k.next)
	if n < cap(k.next) {
		k.next = k.next[:n+1] // with the memory of an earlier one
	} else {
		k.next = append(k.next, keepsake{})
	}
	k.next[n] = keepsake{body: k.next[n].body[:0], growing: k.under < keptUnder}
	u.coming, u.segment = true, segment
}

// last returns the Parse that has begun last; nil: none is under way.
func (u *unnamed) last() *keepsake {
	if u.kept == nil || len(u.kept.next) == 0 {
		return nil
	}
	return &u.kept.next[len(u.kept.next)-1]
}

// whole returns the body of the statement that there is; nil: there is none.
func (u *unnamed) whole() []byte {
	if u.kept == nil || !u.kept.now.whole {
		return nil
	}
	return u.kept.now.body
}

// large says that there is one that is too long to keep, and was not bound yet.
func (u *unnamed) large() bool { return u.kept != nil && u.kept.now.large }

// end takes what ends the statement, or will.
func (u *unnamed) end(segment uint32) { u.coming, u.segment = false, segment }

// bound returns the statement that a Bind means: the one under way, if there is one.
func (u *unnamed) bound() *keepsake {
	switch {
	case u.coming:
		return u.last()
	case u.kept == nil:
		return new(keepsake)
	}
	return &u.kept.now
}

// changed takes the server's word that it has done what e stands for.
func (u *unnamed) changed(e *entry) {
	u.here = true
	k := u.kept
	if e.fate == hidden || k == nil {
		return
	}
	k.now.clear()
	if e.kind == parsing {
		k.now, k.next[k.done] = k.next[k.done], k.now
		k.under -= len(k.now.body)
		k.done++
		u.settle()
	}
}

// settle forgets the Parses that were under way once none is.
func (u *unnamed) settle() {
	k := u.kept
	if k.done < len(k.next) {
		return
	}
	u.coming, k.done, k.under = false, 0, 0
	if k.next = k.next[:0]; cap(k.next) > 4 {
		k.next = nil
	}
}

// lost takes the news that the server will not do what e stands for; last: nothing else is under way.
func (u *unnamed) lost(e *entry, last bool) {
	if e.fate == hidden {
		return
	}
	if k := u.kept; e.kind == parsing {
		k.under -= len(k.next[k.done].body)
		k.done++
		u.settle()
	}
	u.coming = u.coming && !last
}

// failed takes the news that a Parse has failed: there is no statement then.
func (u *unnamed) failed() {
	u.here = true
	if u.kept != nil {
		u.kept.now.clear()
	}
}

// grow takes a piece of the Parse that has begun last, from behind the name on. It may be lost already.
func (u *unnamed) grow(piece []byte) {
	k := u.last()
	if k == nil {
		return
	}
	before := len(k.body)
	k.grow(piece)
	u.kept.under += len(k.body) - before
}

func (k *keepsake) grow(piece []byte) {
	switch {
	case !k.growing:
	case len(k.body)+len(piece) > keptUnnamed:
		k.body, k.growing, k.large = nil, false, true
	default:
		k.body = append(k.body, piece...)
	}
}

// seal takes the end of that Parse, and the traits of its text.
func (u *unnamed) seal(has traits) {
	if k := u.last(); k != nil {
		k.whole, k.growing, k.has = k.growing, false, has
	}
}

func (k *keepsake) clear() {
	k.whole, k.growing, k.large = false, false, false
	if cap(k.body) > keptScratch {
		k.body = nil
	}
}
