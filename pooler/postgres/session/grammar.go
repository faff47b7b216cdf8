package session

// place is where in a statement the grammar is.
type place uint8

const (
	anywhere      place = iota
	behindSet           // SET [SESSION]
	behindName          // SET name
	behindPath          // SET search_path
	inPath              // SET search_path TO ...
	behindReset         // RESET
	behindTime          // SET TIME
	behindPrepare       // PREPARE
	behindExecute       // EXECUTE
	behindClose         // DEALLOCATE [PREPARE]
	behindClosed        // DEALLOCATE name
)

// keptNames bounds lists of names in bytes: no statement names more, nor does a Query that is looked at for them.
const keptNames = seenQuery

// withName appends a name to a list, if there is room.
func withName(list string, name []byte) string {
	if len(list)+len(name) >= keptNames {
		return list
	}
	return list + string(shorten(name)) + "\x00"
}

// longestPath is how much of what SET search_path names is looked at.
const longestPath = 256

// grammar notes what matters about the statements of a text: it is told their words and signs, in order.
type grammar struct {
	fresh      bool // a statement begins here
	all        bool // the statement is a DO: words within its strings count
	set        bool // the statement at hand, or one before, sets what is not tracked
	place      place
	statements uint16 // that are not empty
	last       word   // before the one at hand
	session    bool   // SET SESSION

	setConfig setConfig

	names    []byte // what SET search_path names
	pathOK   bool   // and it is understood
	pathSeen bool   // there is a statement that changes search_path, if only by RESET ALL
	closing  string // what DEALLOCATE names
}

// word is the few words whose place before another matters.
type word uint8

const (
	anyWord    word = iota
	beforeTemp      // CREATE, REPLACE, LOCAL, GLOBAL, INTO
	with
)

// take takes a word, or a name in double quotes.
func (t *text) take(w []byte, quoted bool) {
	g := &t.grammar
	last := g.last
	g.last = anyWord
	t.setConfig.word(w, quoted)
	fresh := g.fresh
	g.fresh = false
	if fresh {
		g.statements++
	}
	if fresh && !quoted {
		t.first(w)
		return
	}
	place := g.place
	t.within(w, quoted, last)
	switch place {
	case behindSet:
		t.setWord(w, quoted)
	case behindName, behindPath:
		t.setTo(w)
	case inPath:
		t.pathWord(w, quoted)
	case behindReset:
		if string(w) == searchPath || string(w) == "all" {
			g.pathSeen, g.pathOK, g.names = true, true, nil
		}
		g.place = anywhere
	case behindTime:
		t.setTime(w)
	case behindPrepare:
		g.place = anywhere
		if quoted || string(w) != "transaction" {
			t.pin = SQLPrepare
			t.uses = withName(t.uses, w)
		}
	case behindExecute:
		g.place = anywhere
		t.uses = withName(t.uses, w)
	case behindClose:
		t.closeWord(w, quoted)
	case behindClosed:
		g.closing = ""
	}
}

// first takes the first word of a statement.
func (t *text) first(w []byte) {
	g := &t.grammar
	switch string(w) {
	case "set":
		g.place, g.session = behindSet, false
		t.changes = true
	case "reset":
		g.place = behindReset
		t.changes, t.resets = true, true
	case "discard":
		t.changes, t.resets, t.drops = true, true, true
		g.place = behindReset
	case "deallocate":
		g.place = behindClose
		t.drops = true
	case "prepare":
		g.place = behindPrepare
		if t.all {
			t.pin = SQLPrepare
		}
	case "listen":
		t.pin = Listen
	case "load":
		t.pin = Load
	case "do":
		t.all, t.changes = true, true
	case "call":
		t.changes = true
	case "fetch":
		t.fluid = true
	case "execute":
		t.fluid = !t.all
		t.execute()
	case "begin", "then", "else", "loop":
		g.fresh = t.all // in a DO another statement follows
	default:
		t.within(w, false, anyWord)
	}
}

// within takes a word that matters wherever it stands.
func (t *text) within(w []byte, quoted bool, last word) {
	g := &t.grammar
	switch string(w) {
	case "alter", "drop":
		t.defines = t.defines || t.all
	case "create":
		t.defines = t.defines || t.all
		g.last = beforeTemp
	case "replace", "local", "global", "into":
		g.last = beforeTemp
	case "with":
		g.last = with
	case "temp", "temporary":
		if last == beforeTemp && !quoted {
			t.pin = TempTable
		}
	case "hold":
		if last == with {
			t.pin = HoldCursor
		}
	case "set_config":
		t.changes = true
		t.setConfig.begin()
	case "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared":
		t.pin = AdvisoryLock
	case "begin", "then", "else", "loop":
		g.fresh = t.all
	case "execute":
		if !quoted {
			t.execute()
		}
	}
	if len(w) >= 7 && string(w[:7]) == "pg_temp" {
		t.pin = TempTable
	}
}

// execute takes the word EXECUTE: in a DO a string follows that is run, otherwise the name of a prepared statement.
func (t *text) execute() {
	if t.grammar.fresh = t.all; !t.all {
		t.grammar.place = behindExecute
	}
}

// setWord takes the word behind SET.
func (t *text) setWord(w []byte, quoted bool) {
	g := &t.grammar
	if !quoted {
		switch string(w) {
		case "local", "transaction", "constraints":
			if !g.session {
				g.place = anywhere
				return
			}
		case "session":
			if !g.session {
				g.session = true
				return
			}
		case "time":
			g.place = behindTime
			return
		case "names":
			w = []byte("client_encoding")
		}
	}
	switch {
	case t.server.reports(string(w)):
		g.place = behindName
	case equalFold(w, searchPath):
		g.place, g.pathSeen, g.pathOK, g.names = behindPath, true, true, nil
	default:
		g.place, g.set = anywhere, true
	}
}

func equalFold(w []byte, lower string) bool {
	if len(w) != len(lower) {
		return false
	}
	for i, c := range w {
		if class[c] != lower[i] {
			return false
		}
	}
	return true
}

// setTime takes the words behind SET TIME: ZONE, and what may be LOCAL or DEFAULT.
func (t *text) setTime(w []byte) {
	switch string(w) {
	case "local", "default":
		t.resets = true
	case "zone":
		return
	}
	t.place = anywhere
}

// setTo takes the words behind SET name.
func (t *text) setTo(w []byte) {
	switch {
	case t.place == behindName:
		if string(w) == "default" {
			t.resets = true
		}
	case string(w) == "to":
		t.place = inPath
	default:
		t.pathOK = false
	}
}

// pathWord takes a name behind SET search_path TO.
func (t *text) pathWord(w []byte, quoted bool) {
	if !quoted && string(w) == "default" {
		t.place = anywhere
		return
	}
	if !quoted {
		t.pathBytes(w)
		return
	}
	t.pathBytes([]byte{'"'})
	t.pathBytes(w)
	t.pathBytes([]byte{'"'})
	t.pathOK = t.pathOK && len(w) <= maxName
}

func (t *text) pathBytes(b []byte) {
	if len(t.names)+len(b) > longestPath {
		t.pathOK = false
		return
	}
	t.names = append(t.names, b...)
}

// closeWord takes the words behind DEALLOCATE.
func (t *text) closeWord(w []byte, quoted bool) {
	g := &t.grammar
	switch {
	case !quoted && string(w) == "prepare" && g.closing == "":
	case !quoted && string(w) == "all":
		g.place = anywhere
	default:
		g.closing = string(shorten(w))
		g.place = behindClosed
	}
}

// value takes a string where a statement may name something.
func (t *text) value() {
	t.setConfig.value()
	t.pathOK = false
}

// other takes a sign that may begin a comment.
func (t *text) other(c byte) {
	if t.place == inPath || t.place == behindPath {
		t.pathOK = false
	}
	t.setConfig.sign(c)
}

// sign takes a byte that is no letter, no space and no quote.
func (t *text) sign(c byte) {
	g := &t.grammar
	t.setConfig.sign(c)
	switch c {
	case ';':
		t.endStatement()
		return
	case '=':
		if g.place == behindPath {
			g.place = inPath
			return
		}
	case ',':
		if g.place == inPath {
			t.pathBytes([]byte{','})
			return
		}
	case '.':
		if g.place == behindName || g.place == behindPath { // a setting of an extension
			g.place, g.set = anywhere, true
		}
	}
	switch g.place {
	case inPath, behindPath:
		g.pathOK = false
	case behindClosed:
		g.closing = ""
	}
}

// endStatement takes a semicolon, or the end.
func (t *text) endStatement() {
	if t.place == behindPath {
		t.pathOK = false
	}
	if t.place == behindClosed && t.closing != "" && !t.all {
		t.closes = withName(t.closes, []byte(t.closing))
	}
	t.fresh, t.all = true, false
	t.place, t.last, t.closing = anywhere, anyWord, ""
}

// conclude says what the whole text comes to.
func (t *text) conclude() {
	g := &t.grammar
	if g.setConfig.open() || g.setConfig.lasting {
		t.pin = SetConfig
	}
	alone := g.statements == 1
	t.hasPath = alone && g.pathSeen && g.pathOK
	if t.hasPath {
		t.path = string(g.names)
	}
	t.sets = g.set || g.pathSeen && !t.hasPath
}

// setConfig notes whether a call of set_config is for the transaction only: its third argument is the word true.
type setConfig struct {
	state   uint8 // of configName and the like
	depth   uint8 // of parentheses
	commas  uint8 // at depth 1
	local   bool  // the third argument is true, so far
	lasting bool  // there was a call for the session, or what looked like one
}

const (
	configNone uint8 = iota
	configName       // behind set_config
	configArgs       // within its parentheses
)

func (s *setConfig) open() bool { return s.state != configNone }

func (s *setConfig) begin() {
	s.lasting = s.lasting || s.open()
	s.state, s.depth, s.commas, s.local = configName, 0, 0, false
}

func (s *setConfig) word(w []byte, quoted bool) {
	switch {
	case s.state != configArgs || s.commas != 2:
	case !s.local && s.depth == 1 && !quoted && string(w) == "true":
		s.local = true
	default:
		s.commas++ // so that it is not understood
	}
}

func (s *setConfig) value() {
	if s.commas == 2 {
		s.commas++
	}
}

func (s *setConfig) sign(c byte) {
	switch {
	case s.state == configNone:
	case c == '(':
		if s.depth++; s.depth == 0 { // it wraps
			s.lasting = true
		}
		s.state = configArgs
	case s.state == configName:
		s.lasting, s.state = true, configNone
	case c == ')':
		if s.depth--; s.depth == 0 {
			s.lasting = s.lasting || s.commas != 2 || !s.local
			s.state = configNone
		}
	case c == ',' && s.depth == 1:
		s.commas++
	case s.commas == 2:
		s.commas++
	}
}
