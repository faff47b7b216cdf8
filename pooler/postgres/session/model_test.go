package session

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// backend is a model of PostgreSQL's side of the protocol: what it skips after errors, what a COPY makes it ignore, when a
// transaction ends, which statements it has. Command tags name the client whose text was run, and the setting it was run with.
type backend struct {
	in       wire.Scanner
	buf      []byte
	out      []byte
	status   byte
	implicit bool // extended messages without a Sync
	ignoring bool
	erred    bool // a statement of the Query at hand
	copying  bool
	extended bool              // the copy is an Execute's
	prepared map[string]string // by name; the empty one is the unnamed
	portal   string
	zone     string // a setting of the session
	before   string // what it was when the transaction began
	reset    string // what it is without being set
	app      string // application_name
	most     int    // names it has had at once
	log      string // types of the messages taken
}

func newBackend() *backend {
	return &backend{
		in: wire.Scanner{Rules: clientTypes}, status: 'I', prepared: map[string]string{},
		zone: "UTC", before: "UTC", reset: "UTC",
	}
}

// clean says that the next client may have the connection.
func (b *backend) clean() string {
	rest := b.buf
	for len(rest) >= 5 && strings.IndexByte("Hdcf", rest[0]) >= 0 && len(rest) > int(rest[4]) {
		rest = rest[1+int(rest[4]):] // it will do nothing
	}
	switch {
	case len(rest) > 0 || b.in.Left() > 0:
		return "bytes are not processed yet"
	case len(b.out) > 0:
		return "replies are not fetched yet"
	case b.status != 'I' || b.implicit:
		return "a transaction is open"
	case b.ignoring || b.copying:
		return "it ignores messages, or copies"
	}
	return ""
}

// process takes the next message; false if there is none.
func (b *backend) process() bool {
	before := b.in
	p, err := b.in.Next(b.buf)
	if err != nil {
		panic(err)
	}
	if p.Raw == nil || !p.Whole() {
		b.in = before
		return false
	}
	body := bytes.Clone(p.Body())
	b.buf = b.buf[len(p.Raw):]
	b.handle(p.Type, body)
	return true
}

func (b *backend) say(m ...[]byte) { b.out = append(b.out, bytes.Join(m, nil)...) }

func (b *backend) handle(typ byte, body []byte) {
	b.log += string(typ)
	if b.copying {
		b.copyFrom(typ)
		return
	}
	if typ == 'S' {
		b.ignoring = false
		b.endImplicit(false)
		b.say(ready(b.status))
		return
	}
	if b.ignoring {
		return
	}
	switch typ {
	case 'Q':
		text := strings.TrimRight(string(body), "\x00")
		delete(b.prepared, "")
		b.erred = false
		for statement := range strings.SplitSeq(text, "; ") {
			if b.run(statement, false); b.erred {
				break
			}
		}
		b.endSimple(!b.copying)
	case 'P':
		m, err := wire.ParseParse(body)
		if err != nil {
			panic(err)
		}
		b.implicit = true
		b.prepare(string(m.Name), string(m.Query))
	case 'B':
		b.implicit = true
		_, name, _, _ := wire.ParseBind(body)
		if text, ok := b.statement(string(name)); ok {
			b.portal = text
			b.say(bound)
		}
	case 'D':
		b.implicit = true
		b.describe(body)
	case 'E':
		b.implicit = true
		if b.portal == "" {
			b.failed(true, "34000", "no portal")
			return
		}
		b.run(b.portal, true)
	case 'C':
		b.implicit = true
		_, name, _ := wire.ParseTarget(body)
		delete(b.prepared, string(name))
		b.say(message('3'))
	case 'd', 'c', 'f', 'H':
	}
}

func (b *backend) copyFrom(typ byte) {
	switch typ {
	case 'd', 'H', 'S':
	case 'c':
		b.copying = false
		b.say(tag("COPY"))
		b.endSimple(!b.extended)
	case 'f':
		b.copying = false
		b.failed(b.extended, "57014", "COPY failed")
		b.endSimple(!b.extended)
	default:
		panic(fmt.Sprintf("%c during COPY: %s", typ, b.log))
	}
}

func (b *backend) prepare(name, text string) {
	_, what, _ := strings.Cut(text, " ")
	if name == "" {
		delete(b.prepared, "")
	}
	_, taken := b.prepared[name]
	switch {
	case strings.HasPrefix(text, "bad"):
		b.failed(true, "42601", "syntax error")
	case b.status == 'E' && what != "rollback" && text != "":
		b.failed(true, "25P02", "aborted")
	case taken:
		b.failed(true, "42P05", `prepared statement "`+name+`" already exists`)
	default:
		b.prepared[name] = text
		b.most = max(b.most, len(b.prepared))
		b.say(parsed)
	}
}

func (b *backend) statement(name string) (text string, ok bool) {
	text, ok = b.prepared[name]
	_, what, _ := strings.Cut(text, " ")
	switch {
	case !ok:
		b.failed(true, "26000", `prepared statement "`+name+`" does not exist`)
	case b.status == 'E' && what != "rollback":
		b.failed(true, "25P02", "aborted")
		ok = false
	}
	return text, ok
}

func (b *backend) describe(body []byte) {
	if body[0] == 'P' {
		if b.portal == "" {
			b.failed(true, "34000", "no portal")
			return
		}
		b.say(message('n'))
		return
	}
	if _, ok := b.statement(string(body[1 : len(body)-1])); ok {
		b.say(message('t', 0, 0), message('n'))
	}
}

// run runs a text: the client's name, then what it does.
func (b *backend) run(text string, extended bool) {
	who, what, _ := strings.Cut(text, " ")
	if b.status == 'E' && what != "rollback" {
		b.failed(extended, "25P02", "aborted")
		return
	}
	switch what {
	case "begin":
		if b.status == 'I' {
			b.status, b.before = 'T', b.zone
		}
	case "rollback":
		if b.status != 'I' {
			b.report(b.before)
		}
		b.status, b.portal = 'I', ""
	case "fail":
		b.failed(extended, "XX000", "no")
		return
	case "copy":
		b.copying, b.extended = true, extended
		b.portal = ""
		b.say(message('G', 0, 0, 0))
		return
	}
	if b.runUtility(text, extended) {
		return
	}
	if strings.HasPrefix(what, "set") {
		b.report(what[3:])
	}
	b.say(tag(who + " in " + b.zone))
}

// runUtility runs what begins like SQL.
func (b *backend) runUtility(text string, extended bool) bool {
	word, rest, _ := strings.Cut(text, " ")
	switch {
	case word == "SET", word == "RESET":
		for _, text := range strings.Split(strings.TrimSuffix(text, ";"), ";") {
			b.set(text)
		}
	case text == "DISCARD ALL":
		b.report(b.reset)
		b.app = ""
		b.forget()
		b.say(tag(text))
	case text == "DEALLOCATE ALL":
		b.forget()
		b.say(tag(text))
	case word == "DEALLOCATE":
		if _, ok := b.prepared[rest]; !ok {
			b.failed(extended, "26000", `prepared statement "`+rest+`" does not exist`)
			break
		}
		delete(b.prepared, rest)
		b.say(tag(word))
	default:
		return false
	}
	return true
}

// set runs SET or RESET of the time zone or the application's name.
func (b *backend) set(text string) {
	word, rest, _ := strings.Cut(text, " ")
	name, rest, _ := strings.Cut(rest, " ")
	_, value, _ := strings.Cut(strings.TrimSuffix(rest, "'"), "E'")
	switch {
	case name == applicationName:
		b.app = value
		b.say(wire.AppendParameterStatus(nil, applicationName, value))
	case word == "RESET":
		b.report(b.reset)
	default:
		b.report(value)
	}
	b.say(tag(word))
}

func (b *backend) forget() {
	unnamed, ok := b.prepared[""]
	clear(b.prepared)
	if ok {
		b.prepared[""] = unnamed
	}
}

func (b *backend) report(zone string) {
	if zone != b.zone {
		b.zone = zone
		b.say(wire.AppendParameterStatus(nil, "TimeZone", zone))
	}
	if b.status == 'I' && !b.implicit {
		b.before = zone
	}
}

func (b *backend) failed(extended bool, code, text string) {
	b.say(wire.AppendErrorResponse(nil, wire.Report{Severity: "ERROR", Code: code, Message: text}))
	b.ignoring, b.erred = extended, true
	if b.status == 'T' {
		b.status = 'E'
	}
	b.endImplicit(true)
}

// endImplicit ends a transaction that nobody has begun in so many words.
func (b *backend) endImplicit(failed bool) {
	if b.status == 'I' {
		b.portal = ""
		if failed {
			b.report(b.before)
		}
		b.before = b.zone
	}
	b.implicit = false
}

func (b *backend) endSimple(simple bool) {
	if simple {
		b.endImplicit(false)
		b.portal = ""
		b.say(ready(b.status))
	}
}

// player is a client with its machine.
type player struct {
	name   string
	s      Session
	said   []byte
	coming []byte // said, on its way to the machine
	unsent []byte // said, not taken by the machine yet
	got    []byte
	queued bool
	late   func() // a Sent that is still to come
}

// world is two clients that share one server connection.
type world struct {
	t       *rapid.T
	all     *Statements
	b       *backend
	server  *Server
	players []*player
	holder  *player
	reply   []byte // fetched from the backend, not taken by the machine yet
}

func (w *world) act(p *player, a Action) {
	switch a {
	case Release:
		if why := w.b.clean(); why != "" || len(w.reply) > 0 || p.late != nil {
			w.t.Fatalf("%s's connection is released: %s", p.name, why)
		}
		w.holder = nil
		w.tidy()
	case Discard, Reset:
		w.server.Close()
		w.b, w.server, w.reply, w.holder = newBackend(), NewServer(w.all, reported), nil, nil
	}
}

// tidy sees that what is known about an idle connection is so.
func (w *world) tidy() {
	if n := len(w.b.prepared); n > w.server.slots.len()+3 { // the unnamed one, and two that stand for none
		w.t.Fatalf("%d statements are on the connection, %d are known: %v", n, w.server.slots.len(), w.b.prepared)
	}
	for stmt, slot := range w.server.slots.of {
		if _, ok := w.b.prepared[stmt.name]; !ok || !slot.ready {
			w.t.Fatalf("the connection has no %s: %v", stmt.name, w.b.prepared)
		}
	}
}

// step has a player's machine take what the player has said.
func (w *world) step(p *player) {
	for p.late == nil && !(p.queued && w.holder != nil) {
		p.queued = false
		st := p.s.FromClient(p.unsent)
		w.check(p, st, len(p.unsent))
		forward := append(bytes.Clone(p.unsent[:st.Forward]), st.Inject...)
		p.unsent = p.unsent[st.Used:]
		p.got = append(p.got, st.Reply...)
		if len(forward) > 0 {
			b := w.b
			p.late = func() { w.t.Logf("%s -> %q", p.name, forward); b.buf = append(b.buf, forward...); w.act(p, p.s.Sent()) }
		}
		switch st.Do {
		case Read:
			return
		case Acquire:
			p.queued = true
			if w.holder == nil {
				w.holder = p
				p.s.Attach(w.server)
				p.queued = false
			}
		case Wait:
			return
		case Answer:
			p.got = append(p.got, p.s.Answer()...)
		case Continue:
		default:
			w.t.Fatalf("%s: %v for %q", p.name, st.Do, p.got)
		}
	}
}

func (w *world) check(p *player, st Step, n int) {
	if st.Forward > st.Used || st.Used > n || (st.Forward > 0 || len(st.Inject) > 0) && w.holder != p {
		w.t.Fatalf("%s: step %+v for %d bytes", p.name, st, n)
	}
}

// fetch gives up to n bytes of the backend's replies to who holds the connection.
func (w *world) fetch(n int) {
	n = min(n, len(w.b.out))
	w.reply = append(w.reply, w.b.out[:n]...)
	w.b.out = w.b.out[n:]
	p := w.holder
	w.t.Logf("<- %q", w.reply)
	if p == nil {
		if _, c := w.server.Quiet(w.reply); c == Broken || len(w.reply) > 0 {
			w.t.Fatalf("nobody is owed %q", w.reply)
		}
		return
	}
	p.s.Delivering()
	for {
		st := p.s.FromServer(w.reply)
		w.check(p, st, len(w.reply))
		p.got = append(append(p.got, w.reply[:st.Forward]...), st.Inject...)
		w.reply = w.reply[st.Used:]
		if st.Do == Break {
			w.t.Fatalf("the server breaks the protocol")
		}
		if st.Do == Read || len(w.reply) == 0 {
			break
		}
	}
	w.act(p, p.s.Delivered())
}

// phrases are what clients say. Those that copy send what a COPY may be sent, and no more.
func phrases(name string) map[string][]byte {
	q := func(what string) []byte { return sql(name + " " + what) }
	batch := func(what string) []byte {
		return bytes.Join([][]byte{parse("", name+" "+what), bindTo(""), executeAll}, nil)
	}
	data := message('d', 'x')
	done, bad := message('c'), message('f', 0)
	over := append(parse("", name+" select"), syncAll...) // so that the COPY is not run again without data
	return map[string][]byte{
		"query": q("select"), "begin": q("begin"), "rollback": q("rollback"), "failing query": q("fail"),
		"batch": batch("select"), "failing batch": batch("fail"), "failing parse": parse("", "bad"),
		"sync": syncAll, "flush": message('H'), "bind": bindTo(""), "execute": executeAll,
		"describe statement": message('D', 'S', 0), "describe portal": message('D', 'P', 0),
		"close": message('C', 'S', 0), "named": parse("n", name+" select"), "bind named": bindTo("n"),
		"parse another": parse("n", name+" other"), "parse m": parse("m", name+" select"), "bad named": parse("n", "bad"),
		"describe named": message('D', 'S', 'n', 0), "close named": message('C', 'S', 'n', 0), "bind m": bindTo("m"),
		"named begin": bytes.Join([][]byte{parse("b", name+" begin"), bindTo("b"), executeAll}, nil),
		"named batch": bytes.Join([][]byte{parse("n", name+" select"), bindTo("n"), executeAll, syncAll}, nil),
		"long":        parse("l", name+" "+strings.Repeat("x", 2*seenNames)),
		"use":         bytes.Join([][]byte{bindTo("n"), executeAll, syncAll}, nil),
		"shared":      parse("s", "all share"), "use shared": bytes.Join([][]byte{bindTo("s"), executeAll, syncAll}, nil),
		"zone": q("set" + name), "deallocate": sql("DEALLOCATE n"), "deallocate all": sql("DEALLOCATE ALL"),
		"extended deallocate":     bytes.Join([][]byte{parse("", "DEALLOCATE n"), bindTo(""), executeAll}, nil),
		"extended deallocate all": bytes.Join([][]byte{parse("", "DEALLOCATE ALL"), bindTo(""), executeAll}, nil),
		"deallocate among others": sql("DEALLOCATE n; " + name + " select; DEALLOCATE m"),
		"named deallocate":        bytes.Join([][]byte{parse("d", "DEALLOCATE m"), bindTo("d"), executeAll}, nil),
		"late data":               append(bytes.Clone(data), done...),
		"copy":                    bytes.Join([][]byte{q("copy"), data, data, done}, nil),
		"bad copy":                bytes.Join([][]byte{q("copy"), data, bad}, nil),
		"extended copy":           bytes.Join([][]byte{batch("copy"), syncAll, data, done, syncAll, over}, nil),
		"copy in a batch":         bytes.Join([][]byte{batch("copy"), data, done, syncAll, over}, nil),
		"bad copy in a batch":     bytes.Join([][]byte{batch("copy"), data, bad, syncAll, over}, nil),
	}
}

func TestWhateverClientsSayTheyGetWhatAServerOfTheirOwnWouldSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := NewStatements(2)
		w := &world{t: t, b: newBackend(), all: all, server: NewServer(all, reported)}
		for _, name := range []string{"anna", "bert"} {
			chosen := []wire.Param{{Name: applicationName, Value: name}}
			w.players = append(w.players, &player{name: name, s: New(Transaction, all, chosen)})
		}
		pick := func() *player { return w.players[rapid.IntRange(0, 1).Draw(t, "player")] }
		words := map[string]map[string][]byte{"anna": phrases("anna"), "bert": phrases("bert")}
		names := rapid.SampledFrom(sortedKeys(words["anna"]))
		for range rapid.IntRange(1, 60).Draw(t, "moves") {
			switch rapid.IntRange(0, 5).Draw(t, "move") {
			case 0:
				p := pick()
				w.says(p, words[p.name][names.Draw(t, "says")])
			case 1:
				p := pick()
				says := words[p.name][names.Draw(t, "says")]
				w.begins(p, says, rapid.IntRange(1, len(says)).Draw(t, "arrives"))
			case 2:
				if p := pick(); p.late != nil {
					send := p.late
					p.late = nil
					send()
					w.step(p)
				}
			case 3:
				w.b.process()
			case 4, 5:
				w.fetch(rapid.IntRange(1, 40).Draw(t, "bytes"))
				for _, p := range w.players {
					w.step(p)
				}
			}
		}
		w.settle()
		for _, p := range w.players {
			if want := direct(p.said); !bytes.Equal(p.got, want) && len(p.unsent) == 0 {
				t.Fatalf("%s says %q\ngets  %s\nwants %s", p.name, p.said, types(t, serverTypes, p.got), types(t, serverTypes, want))
			}
			p.s.Leave(false)
		}
		w.server.Close()
		if count, size := w.all.Size(); count != 0 || size != 0 {
			t.Fatalf("%d statements of %d bytes are kept for nobody", count, size)
		}
	})
}

func (w *world) says(p *player, messages []byte) { w.begins(p, messages, len(messages)) }

// begins has the first bytes of messages arrive, and the others behind them with what is said next.
func (w *world) begins(p *player, messages []byte, arrive int) {
	p.said = append(p.said, messages...)
	p.unsent = append(append(p.unsent, p.coming...), messages[:arrive]...)
	p.coming = messages[arrive:]
	w.step(p)
}

// direct is what a client gets from a server of its own.
func direct(said []byte) []byte {
	b := newBackend()
	b.buf = said
	for b.process() {
	}
	return b.out
}

// settle ends what clients have begun and sees that everything comes to rest.
func (w *world) settle() {
	for _, p := range w.players {
		w.drain()
		w.says(p, bytes.Join([][]byte{syncAll, sql(p.name + " rollback")}, nil))
		w.drain()
		if len(p.unsent) > 0 && p.s.Pinned() == NotPinned && w.holder == p {
			w.t.Fatalf("%s holds the connection and does not get on: %q", p.name, p.unsent)
		}
	}
	w.drain()
	for _, p := range w.players {
		if p.s.Pinned() == NotPinned && (p.s.Attached() || len(p.unsent) > 0 && w.holder == nil) {
			w.t.Fatalf("%s is not at rest: attached %v, unsent %q, got %q", p.name, p.s.Attached(), p.unsent, p.got)
		}
	}
}

// drain runs everything that can run.
func (w *world) drain() {
	for range 50 {
		for _, p := range w.players {
			if p.late != nil {
				send := p.late
				p.late = nil
				send()
			}
			w.step(p)
		}
		for w.b.process() {
		}
		w.fetch(1 << 20)
	}
}

func sortedKeys(m map[string][]byte) []string { return slices.Sorted(maps.Keys(m)) }

func TestPiecesOfAnySizeGiveTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := phrases("anna")
		names := rapid.SampledFrom(sortedKeys(words))
		var script [][]byte
		for range rapid.IntRange(1, 8).Draw(t, "phrases") {
			script = append(script, words[names.Draw(t, "says")])
		}
		whole, pieces := play(t, script, 1<<20), play(t, script, rapid.IntRange(1, 20).Draw(t, "piece"))
		if whole != pieces {
			t.Fatalf("in pieces the server gets %q\nas a whole             %q", pieces, whole)
		}
	})
}

// play has one client say a script, each phrase answered before the next, and returns what the server got.
func play(t *rapid.T, script [][]byte, piece int) string {
	l := newLine(t, Transaction)
	b := newBackend()
	for _, phrase := range script {
		l.says(piece, phrase)
		b.buf = append(b.buf, l.toSrv.Bytes()[l.given:]...)
		l.given = l.toSrv.Len()
		for b.process() {
		}
		out := b.out
		b.out = nil
		if len(out) > 0 {
			l.answers(piece, out)
		}
	}
	return l.toSrv.String() + "|" + l.toCli.String() + fmt.Sprint(l.did)
}

func FuzzAnyBytes(f *testing.F) {
	f.Add(sql("SELECT 1"), append(tag("SELECT 1"), ready('I')...), 3)
	f.Add(append(parse("", "x"), syncAll...), append(fail("42601"), ready('I')...), 1)
	f.Add(append(parse("n", "x"), syncAll...), ready('T'), 1)
	f.Add(append(sql("COPY"), message('c')...), append(message('G', 0), ready('I')...), 2)
	f.Fuzz(func(t *testing.T, client, server []byte, piece int) {
		if piece < 1 {
			return
		}
		l := newLine(t, Transaction)
		l.says(piece, client)
		if l.s.Attached() {
			l.answers(piece, server)
		}
		l.says(piece, client)
		l.s.Leave(true)
		NewServer(NewStatements(1), nil).Quiet(server)
	})
}
