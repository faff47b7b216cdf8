package session

// words looks in the text of a statement, which comes in pieces, for what makes state that outlives a transaction. It
// knows nothing of strings and comments: what it finds there is a false alarm.
type words struct {
	word  [28]byte // the longest that matters is pg_try_advisory_lock_shared
	n     uint8
	skip  bool // the word at hand does not matter
	set   bool // the last word was SET, and only space came behind it
	plain bool // a SET without LOCAL, TRANSACTION or CONSTRAINTS behind it has been seen
	pin   Reason
}

// class is the lower-case form of a byte that belongs to words, 0 for others, and space for white space.
var class = func() (t [256]byte) {
	for c := range t {
		switch {
		case c >= 'A' && c <= 'Z':
			t[c] = byte(c) + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c >= 0x80:
			t[c] = byte(c)
		case c == ' ', c >= '\t' && c <= '\r':
			t[c] = ' '
		}
	}
	return t
}()

// matters holds the first letters of words that are looked for.
var matters = [256]bool{'l': true, 't': true, 'h': true, 'p': true, 's': true}

// begin starts a new text.
func (w *words) begin() { w.n, w.skip, w.set, w.pin = 0, false, false, NotPinned }

// feed takes the next piece of the text.
func (w *words) feed(text []byte) {
	for _, b := range text {
		c := class[b]
		if c != 0 && c != ' ' {
			w.letter(c)
			continue
		}
		if w.n > 0 {
			w.end()
		}
		if c == 0 && w.set {
			w.set, w.plain = false, true
		}
	}
}

func (w *words) letter(c byte) {
	switch {
	case w.skip:
	case w.n == 0 && !matters[c] && !w.set:
		w.n, w.skip = 1, true
	case int(w.n) == len(w.word):
		w.skip = true
	default:
		w.word[w.n] = c
		w.n++
	}
}

// end judges the word at hand.
func (w *words) end() {
	word := w.word[:w.n]
	if w.skip {
		word = nil
	}
	w.n, w.skip = 0, false
	if w.set {
		w.set = false
		switch string(word) {
		case "local", "transaction", "constraints":
		default:
			w.plain = true
		}
	}
	if r := judge(word); r != NotPinned {
		w.pin = r
	} else if string(word) == "set" {
		w.set = true
	}
}

func judge(word []byte) Reason {
	switch string(word) {
	case "listen":
		return Listen
	case "temp", "temporary":
		return TempTable
	case "hold":
		return HoldCursor
	case "prepare":
		return SQLPrepare
	case "load":
		return Load
	case "set_config":
		return SetConfig
	case "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared":
		return AdvisoryLock
	}
	if len(word) >= 7 && string(word[:7]) == "pg_temp" {
		return TempTable
	}
	return NotPinned
}
