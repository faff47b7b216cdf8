package session

// keptUnnamed is the longest text, with its parameter types, of an unnamed statement that is kept for other server
// connections. One that is longer keeps its server connection until it was bound once.
const keptUnnamed = 16 << 10

// keptUnder is how many bytes of texts of Parses under way are kept. Of those above it only what fails or is skipped behind
// them makes a difference.
const keptUnder = 256 << 10

// unnamed is the statement without a name. It outlives the transaction, and must then be found on another server connection.
type unnamed struct {
	now     keepsake
	next    []keepsake // of the Parses under way, from done on
	done    int
	under   int    // bytes of texts in next
	coming  bool   // the last change under way is a Parse
	here    bool   // what the server has is this session's, or nothing
	segment uint32 // where it was changed last
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
	n := len(u.next)
	if n < cap(u.next) {
		u.next = u.next[:n+1] // with the memory of an earlier one
	} else {
		u.next = append(u.next, keepsake{})
	}
	u.next[n] = keepsake{body: u.next[n].body[:0], growing: u.under < keptUnder}
	u.coming, u.segment = true, segment
}

// last returns the Parse that has begun last.
func (u *unnamed) last() *keepsake { return &u.next[len(u.next)-1] }

// end takes what ends the statement, or will.
func (u *unnamed) end(segment uint32) { u.coming, u.segment = false, segment }

// bound returns the statement that a Bind means: the one under way, if there is one.
func (u *unnamed) bound() *keepsake {
	if u.coming {
		return u.last()
	}
	return &u.now
}

// changed takes the server's word that it has done what e stands for.
func (u *unnamed) changed(e entry) {
	u.here = true
	if e.fate == hidden {
		return
	}
	u.now.clear()
	if e.kind == parsing {
		u.now, u.next[u.done] = u.next[u.done], u.now
		u.under -= len(u.now.body)
		u.done++
		u.settle()
	}
}

// settle forgets the Parses that were under way once none is.
func (u *unnamed) settle() {
	if u.done < len(u.next) {
		return
	}
	u.coming, u.done, u.under = false, 0, 0
	if u.next = u.next[:0]; cap(u.next) > 4 {
		u.next = nil
	}
}

// lost takes the news that the server will not do what e stands for; last: nothing else is under way.
func (u *unnamed) lost(e entry, last bool) {
	if e.fate == hidden {
		return
	}
	if e.kind == parsing {
		u.under -= len(u.next[u.done].body)
		u.done++
		u.settle()
	}
	u.coming = u.coming && !last
}

// failed takes the news that a Parse has failed: there is no statement then.
func (u *unnamed) failed() {
	u.here = true
	u.now.clear()
}

// grow takes a piece of the Parse that has begun last, from behind the name on. It may be lost already.
func (u *unnamed) grow(piece []byte) {
	if len(u.next) == 0 {
		return
	}
	before := len(u.last().body)
	u.last().grow(piece)
	u.under += len(u.last().body) - before
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
	if len(u.next) > 0 {
		k := u.last()
		k.whole, k.growing, k.has = k.growing, false, has
	}
}

func (k *keepsake) clear() {
	k.whole, k.growing, k.large = false, false, false
	if cap(k.body) > keptScratch {
		k.body = nil
	}
}
