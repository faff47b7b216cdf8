package session

import (
	"strings"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// Server is what is known about one server connection for as long as it is open.
type Server struct {
	in         wire.Scanner
	statements *Statements
	desk       desk
	login      map[string]string // the settings it has by itself, as reported
	have       *settings         // how its settings differ from those
	escapes    bool              // a backslash escapes in strings, as far as
	escapesOf  *settings         // these say; nil: not looked up yet
	slots      slots
	lent       []string // names of the client's that it has, so that a DEALLOCATE finds them
	closing    string   // names that the DEALLOCATEs of the Query that is owed will close, in order, each with a zero byte
	bound      string   // the name that what was bound last deallocates, and a zero byte
	doubted    *slot    // that was parsed anew for the message at hand, to compare shapes
	scratch    []byte   // what is made up for the client
	parameters shape    // of the statement that the server describes
	role       bool     // the server was promoted, or the like
	readOnly   bool     // it has refused to write
	swallows   bool     // the rest of the message at hand is not passed on

	cleanup  cleanup
	trying   bool        // the cleanup is an attempt at other settings
	refused  wire.Report // why the attempt failed
	expected int         // replies to the cleanup that are still to come
}

// cleanup is what makes a connection clean for the next session.
type cleanup uint8

const (
	rollback cleanup = 1 << iota
	discardAll
)

// NewServer returns what is known about a server connection after its login: the settings it reported.
func NewServer(statements *Statements, reported []wire.Param) *Server {
	v := &Server{
		in: wire.Scanner{Rules: serverRules}, statements: statements, have: &noSettings, login: make(map[string]string, len(reported)),
	}
	for _, p := range reported {
		v.login[p.Name] = p.Value
	}
	return v
}

// Close gives up what the connection shares with others. It is called once, when the connection is lost.
func (v *Server) Close() { v.dropSlots() }

// Tag tells connections with different settings apart. It is not 0.
func (v *Server) Tag() uint64 { return v.have.tag() }

func (v *Server) dropSlots() {
	for _, s := range v.slots.of {
		v.statements.release(s.stmt)
	}
	v.slots = slots{}
}

// dropSlot forgets a statement that the connection does not have any more.
func (v *Server) dropSlot(s *slot) {
	if v.slots.remove(s) {
		v.statements.release(s.stmt)
	}
}

// reports says that the server tells the value of a setting whenever it changes. Case does not matter.
func (v *Server) reports(name string) bool {
	if _, ok := v.login[name]; ok {
		return !notSettable(name)
	}
	for reported := range v.login {
		if strings.EqualFold(reported, name) {
			return !notSettable(reported)
		}
	}
	return false
}

// report takes a setting that has another value now.
func (v *Server) report(name, value string) {
	switch {
	case notSettable(name):
		v.turn(name, value)
	case v.login[name] == value:
		v.have = v.have.without(name)
	default:
		v.have = v.have.with(name, value)
	}
}

// RoleChanged says that the server is not the primary, or standby, any more that it was at the login.
func (v *Server) RoleChanged() bool { return v.role }

// RefusedWrite says whether the server has refused to write, since it was last asked.
func (v *Server) RefusedWrite() bool {
	refused := v.readOnly
	v.readOnly = false
	return refused
}

// Try returns what to send to a connection that no session has, to find out what settings become that a client has asked for
// at its login; then everything that comes goes to Quiet until it says Clean or Refused.
func (v *Server) Try(params []wire.Param) []byte {
	var script strings.Builder
	for _, p := range params {
		script.WriteString("RESET " + p.Name + ";SET " + p.Name + " TO " + literal(p.Value) + ";")
	}
	v.expected++
	v.trying, v.refused = true, wire.Report{}
	return wire.AppendQuery(nil, script.String())
}

// Refused is why an attempt has failed.
func (v *Server) Refused() wire.Report { return v.refused }

// Setting returns the value that a reported setting has now.
func (v *Server) Setting(name string) string {
	if value, ok := v.have.get(name); ok {
		return value
	}
	return v.login[name]
}

// escaping says that a backslash escapes in all strings.
func (v *Server) escaping() bool {
	if v.escapesOf != v.have {
		v.escapes, v.escapesOf = v.Setting("standard_conforming_strings") == "off", v.have
	}
	return v.escapes
}

// Statements is how many prepared statements are kept on the connection.
func (v *Server) Statements() int { return v.slots.len() }

// Cleanup returns what to send to a connection after Reset; then everything that comes goes to Quiet until it says Clean.
func (v *Server) Cleanup() []byte {
	var out []byte
	if v.cleanup&rollback != 0 {
		out = wire.AppendQuery(out, "ROLLBACK")
		v.expected++
	}
	if v.cleanup&discardAll != 0 {
		out = wire.AppendQuery(out, "DISCARD ALL")
		v.expected++
		v.dropSlots()
		v.lent = nil
		v.have = v.have.without(searchPath)
	}
	v.cleanup, v.trying = 0, false
	return out
}

// Condition is what a connection that no session has is like.
type Condition uint8

// Conditions.
const (
	Unchanged Condition = iota
	Clean               // the cleanup has succeeded, or the attempt at other settings
	Refused             // the attempt at other settings has failed, the connection is as before
	Broken              // the connection must be closed
)

// Quiet takes what the server sends while no session has the connection: how much of it was used, and what it means.
func (v *Server) Quiet(in []byte) (used int, c Condition) {
	for {
		p, err := v.in.Next(in[used:])
		if err != nil || malformed(p) {
			return used, Broken
		}
		if p.Raw == nil {
			return used, c
		}
		used += len(p.Raw)
		if !p.First {
			continue
		}
		switch p.Type {
		case wire.TypeNoticeResponse:
		case wire.TypeParameterStatus:
			v.learn(p)
		case wire.TypeReadyForQuery:
			if v.expected == 0 || v.expected == 1 && p.Body()[0] != wire.StatusIdle {
				return used, Broken
			}
			if v.expected--; v.expected == 0 {
				c = v.outcome()
			}
		default:
			if !v.expects(p) {
				return used, Broken
			}
		}
	}
}

// expects says that a message may be part of the reply to a cleanup or an attempt.
func (v *Server) expects(p wire.Piece) bool {
	switch p.Type {
	case wire.TypeCommandComplete, wire.TypeNotificationResponse: // or somebody has left a LISTEN behind
		return v.expected > 0
	case wire.TypeRowDescription, wire.TypeDataRow:
		return v.expected > 0 && v.trying
	case wire.TypeErrorResponse:
		if v.expected == 0 || !v.trying || isFatal(p.Body()) {
			return false
		}
		v.refused = reportOf(p)
		return true
	}
	return false
}

func (v *Server) outcome() Condition {
	if v.trying && v.refused.Code != "" {
		return Refused
	}
	return Clean
}

// reportOf reads an error of which a part may be missing.
func reportOf(p wire.Piece) wire.Report {
	body := p.Body()
	if !p.Last {
		body = append(body[:len(body):len(body)], 0, 0)
	}
	report, err := wire.ParseReport(body)
	if err != nil || report.Code == "" {
		report.Code = wire.CodeInternalError
	}
	return report
}

// WantQuiet is how many bytes Quiet needs to go on.
func (v *Server) WantQuiet() int { return v.in.Want() }

// learn takes a setting that changed while nobody had the connection: it was cleaned up, or the configuration was reloaded,
// which changes only what nobody has set.
func (v *Server) learn(p wire.Piece) {
	name, value, err := wire.ParseParameterStatus(p.Body())
	switch {
	case !p.Last || err != nil:
	case v.expected > 0:
		v.report(string(name), string(value))
	default:
		v.turn(string(name), string(value))
		v.have = v.have.without(string(name))
	}
}

// turn takes another value of what the server has by itself.
func (v *Server) turn(name, value string) {
	v.role = v.role || name == "in_hot_standby" && v.login[name] != value
	v.login[name] = value
	v.escapesOf = nil
}
