package session

import (
	"bytes"
	"fmt"
	"strings"

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
	case word == "PREPARE":
		name, text, _ := strings.Cut(rest, " AS ")
		if _, taken := b.prepared[name]; taken {
			b.failed(extended, "42P05", `prepared statement "`+name+`" already exists`)
			break
		}
		b.prepared[name] = text
		b.most = max(b.most, len(b.prepared))
		b.say(tag(word))
	case word == "EXECUTE":
		prepared, ok := b.prepared[rest]
		if !ok {
			b.failed(extended, "26000", `prepared statement "`+rest+`" does not exist`)
			break
		}
		b.run(prepared, extended)
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
