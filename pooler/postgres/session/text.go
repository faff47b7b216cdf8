package session

// traits are what matters here about a text that a session runs.
type traits struct {
	pin     Reason // why a session that runs it is pinned
	sets    bool   // it may set for the session what is not tracked: if so its command tag says SET, RESET, DO or CALL
	resets  bool   // it may give settings the values they had at the login
	changes bool   // it may change settings, if only for the transaction
	defines bool   // it is a DO that may change tables
	fluid   bool   // it is FETCH or EXECUTE: what its result is depends on what it names, each time
	drops   bool   // it may close prepared statements
	hasPath bool   // it is one SET search_path for the session and nothing else
	path    string // the names that SET names, as written; empty: as at the login
	closes  string // the names that its DEALLOCATEs name, in order; each ends with a zero byte
	uses    string // the same for PREPARE and EXECUTE
}

// position is where in a text a byte is.
type position uint8

const (
	inCode position = iota
	inLineComment
	inBlockComment
	inString // between single quotes
	inName   // between double quotes
	inTag    // between the dollars of a dollar quote
	inDollar // behind them
	ended
)

// text reads SQL, which comes in pieces, as far as traits need it. It knows strings, names, comments and dollar quotes.
// What is in a string is run by DO only: then every word of it counts.
type text struct {
	traits
	grammar
	server   *Server // knows which settings are reported
	position position
	before   byte   // the byte before, if in code; or what makes the next one mean something
	escapes  bool   // a backslash escapes in strings
	escaping bool   // it does in the string at hand
	depth    uint16 // of block comments
	tag      [maxName + 1]byte
	tagLen   uint8
	matched  uint8 // of the tag that may end the dollar quote
	word     [maxName + 1]byte
	wordLen  uint8
}

// class is the lower-case form of a byte that belongs to words, 0 for others.
var class = func() (t [256]byte) {
	for c := range t {
		switch {
		case c >= 'A' && c <= 'Z':
			t[c] = byte(c) + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c >= 0x80:
			t[c] = byte(c)
		}
	}
	return t
}()

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// begin starts a new text, which v is to run.
func (t *text) begin(v *Server) {
	t.traits, t.grammar = traits{}, grammar{fresh: true}
	t.server, t.position, t.before, t.wordLen = v, inCode, 0, 0
	t.escapes = v.escaping()
}

// feed takes the next piece of the text, which ends with a zero byte.
func (t *text) feed(piece []byte) {
	for i := 0; i < len(piece); i++ {
		if t.position == inCode {
			if i += t.letters(piece[i:]); i == len(piece) {
				return
			}
		}
		c := piece[i]
		switch t.position {
		case inCode:
			t.code(c)
		case inString:
			t.quoted(c)
		case inName:
			t.name(c)
		case inLineComment:
			if c == '\n' || c == '\r' {
				t.position = inCode
			}
		case inBlockComment:
			t.comment(c)
		case inTag:
			t.dollarTag(c)
		case inDollar:
			t.dollar(c)
		case ended:
			return
		}
		if c == 0 {
			t.end()
			return
		}
	}
}

// letters takes the letters and digits that a piece begins with, and returns how many there are. Most of a text is such,
// so the length is at hand, which letter looks up each time.
func (t *text) letters(piece []byte) (n int) {
	have := int(t.wordLen)
	for ; n < len(piece); n++ {
		l := class[piece[n]]
		if l == 0 {
			break
		}
		if have < len(t.word) {
			t.word[have] = l
			have++
		}
	}
	t.wordLen = uint8(have)
	return n
}

// code takes a byte outside of strings and comments.
func (t *text) code(c byte) {
	if l := class[c]; l != 0 || c == '$' && t.wordLen > 0 {
		if l == 0 {
			l = c
		}
		t.letter(l)
		return
	}
	before := t.before
	t.before = c
	if t.wordLen > 0 {
		if c == '\'' && t.wordLen == 1 && t.word[0] == 'e' { // E'...'
			t.wordLen = 0
			t.open(inString, true)
			return
		}
		t.endWord(false)
		before = 0
	}
	switch {
	case isSpace(c), c == 0:
	case c == '\'':
		t.open(inString, t.escapes)
	case c == '"':
		t.open(inName, false)
	case c == '$':
		t.open(inTag, false)
	case c == '-' && before == '-':
		t.open(inLineComment, false)
	case c == '*' && before == '/':
		t.open(inBlockComment, false)
		t.depth = 1
	case c == '-' || c == '/':
		t.other(c)
	default:
		t.sign(c)
	}
}

func (t *text) open(p position, escapes bool) {
	t.position, t.before, t.escaping, t.tagLen = p, 0, escapes, 0
	switch p {
	case inString:
		t.value()
		t.fresh = t.fresh || t.all // DO '...' and EXECUTE '...' begin a statement
	case inName:
		t.wordLen = 0
	}
}

func (t *text) letter(c byte) {
	if int(t.wordLen) < len(t.word) {
		t.word[t.wordLen] = c
		t.wordLen++
	}
}

// endWord hands the word at hand to the grammar; quoted: it is a name in double quotes.
func (t *text) endWord(quoted bool) {
	word := t.word[:t.wordLen]
	t.wordLen = 0
	t.take(word, quoted)
}

// quoted takes a byte of a string. A quote that is doubled ends the string and begins another, which comes to the same.
func (t *text) quoted(c byte) {
	switch {
	case t.before == '\\':
		t.before = 0
		return
	case c == '\\' && t.escaping:
		t.before = c
	case c == '\'':
		t.endHidden()
		t.position = inCode
		return
	}
	t.hidden(c)
}

// name takes a byte of a name in double quotes.
func (t *text) name(c byte) {
	if c != '"' {
		if c != 0 {
			t.letter(c)
		}
		return
	}
	t.position = inCode
	t.endWord(true)
}

func (t *text) comment(c byte) {
	switch {
	case c == '*' && t.before == '/':
		t.depth++
		c = 0
	case c == '/' && t.before == '*':
		t.depth--
		c = 0
		if t.depth == 0 {
			t.position = inCode
		}
	}
	t.before = c
}

// dollarTag takes a byte behind a dollar: a tag, or a parameter's number, or nothing.
func (t *text) dollarTag(c byte) {
	l := class[c]
	switch {
	case c == '$':
		t.position, t.matched = inDollar, 0
		t.value()
		t.fresh = t.fresh || t.all
	case l == 0 || t.tagLen == 0 && c >= '0' && c <= '9' || int(t.tagLen) == len(t.tag):
		t.position = inCode
		t.value()
		t.code(c)
	default:
		t.tag[t.tagLen] = c
		t.tagLen++
	}
}

// dollar takes a byte of a dollar quote.
func (t *text) dollar(c byte) {
	t.hidden(c)
	switch {
	case c == '$' && t.before == '$' && t.matched == t.tagLen:
		t.endHidden()
		t.position, t.before = inCode, 0
	case c == '$':
		t.before, t.matched = '$', 0
	case t.before == '$' && t.matched < t.tagLen && t.tag[t.matched] == c:
		t.matched++
	default:
		t.before = 0
	}
}

// hidden takes a byte within a string, which counts if all words do.
func (t *text) hidden(c byte) {
	switch {
	case !t.all:
	case class[c] != 0:
		t.letter(class[c])
	default:
		t.endHidden()
		if c == ';' || c == '\'' {
			t.fresh = true
		}
	}
}

func (t *text) endHidden() {
	if t.all && t.wordLen > 0 {
		t.endWord(false)
	}
	t.wordLen = 0
}

// end takes the end of the text.
func (t *text) end() {
	if t.position == ended {
		return
	}
	t.position = ended
	if t.wordLen > 0 {
		t.endWord(false)
	}
	t.endStatement()
	t.conclude()
}

// readText returns the traits of a whole text.
func readText(v *Server, body []byte) traits {
	var t text
	t.begin(v)
	t.feed(body)
	t.end()
	return t.traits
}
