package session

import (
	"slices"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// Server is what is known about one server connection for as long as it is open.
type Server struct {
	in       wire.Scanner
	settings map[string]string // as reported while no session was attached
	differs  []string          // settings whose last report differs
	role     bool              // the server was promoted, or the like
	refused  bool              // it has refused to write
	swallows bool              // the rest of the message at hand is not passed on

	cleanup  cleanup
	expected int // replies to the cleanup that are still to come
}

// cleanup is what makes a connection clean for the next session.
type cleanup uint8

const (
	rollback cleanup = 1 << iota
	discardAll
)

// NewServer returns what is known about a server connection after its login: the settings it reported.
func NewServer(settings []wire.Param) *Server {
	v := &Server{in: wire.Scanner{Rules: serverRules}, settings: make(map[string]string, len(settings))}
	for _, p := range settings {
		v.settings[p.Name] = p.Value
	}
	return v
}

// notSettable are settings that change without any client's doing.
func notSettable(name []byte) bool { return string(name) == "in_hot_standby" }

// report takes a ParameterStatus while a session is attached.
func (v *Server) report(p wire.Piece) {
	if !p.Last {
		v.differ("\x00") // too long to tell
		return
	}
	name, value, err := wire.ParseParameterStatus(p.Body())
	switch {
	case err != nil:
		v.differ("\x00")
	case notSettable(name):
		v.role = v.role || v.settings[string(name)] != string(value)
		v.settings[string(name)] = string(value)
	case v.settings[string(name)] != string(value):
		v.differ(string(name))
	default:
		if i := slices.Index(v.differs, string(name)); i >= 0 {
			v.differs = slices.Delete(v.differs, i, i+1)
		}
	}
}

func (v *Server) differ(name string) {
	if !slices.Contains(v.differs, name) {
		v.differs = append(v.differs, name)
	}
}

// RoleChanged says that the server is not the primary, or standby, any more that it was at the login.
func (v *Server) RoleChanged() bool { return v.role }

// RefusedWrite says whether the server has refused to write, since it was last asked.
func (v *Server) RefusedWrite() bool {
	refused := v.refused
	v.refused = false
	return refused
}

// changed says that the server reports another value of some setting than before.
func (v *Server) changed() bool { return len(v.differs) > 0 }

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
	}
	v.cleanup = 0
	return out
}

// Condition is what a connection that no session has is like.
type Condition uint8

// Conditions.
const (
	Unchanged Condition = iota
	Clean               // the cleanup has succeeded
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
		case wire.TypeCommandComplete:
			if v.expected == 0 {
				return used, Broken
			}
		case wire.TypeReadyForQuery:
			if v.expected == 0 || v.expected == 1 && p.Body()[0] != wire.StatusIdle {
				return used, Broken
			}
			if v.expected--; v.expected == 0 {
				v.differs, c = nil, Clean
			}
		case wire.TypeNotificationResponse:
			if v.expected == 0 {
				return used, Broken // somebody has left a LISTEN behind
			}
		default:
			return used, Broken
		}
	}
}

// WantQuiet is how many bytes Quiet needs to go on.
func (v *Server) WantQuiet() int { return v.in.Want() }

// learn takes a setting that changed while nobody had the connection: the configuration was reloaded, or cleaned up.
func (v *Server) learn(p wire.Piece) {
	if name, value, err := wire.ParseParameterStatus(p.Body()); p.Last && err == nil {
		v.role = v.role || notSettable(name) && v.settings[string(name)] != string(value)
		v.settings[string(name)] = string(value)
	}
}
