package console

import (
	"context"
	"errors"
	"strings"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// Role is what a user may do.
type Role int

// Roles.
const (
	None  Role = iota // not even connect
	Stats             // SHOW
	Admin
)

// Refusal is an error with a SQLSTATE.
type Refusal struct{ Code, Message, Hint string }

func (r *Refusal) Error() string { return r.Message }

// Version is the PgBouncer whose console this is like.
const Version = "1.25.2"

// Welcome are the parameters that a client is told at its login.
var Welcome = []wire.Param{
	{Name: "server_version", Value: Version + "/bouncer"},
	{Name: "client_encoding", Value: "UTF8"},
	{Name: "server_encoding", Value: "UTF8"},
	{Name: "DateStyle", Value: "ISO"},
	{Name: "TimeZone", Value: "GMT"},
	{Name: "standard_conforming_strings", Value: "on"},
	{Name: "is_superuser", Value: "on"},
}

// Buffer is how many bytes of input the driver of a Session must be able to hold.
const Buffer = wire.HeaderSize + MaxStatement + 1

var rules = wire.FrontendRules(map[byte]wire.Rule{
	wire.TypeQuery: wire.Whole(MaxStatement + 1),
	wire.TypeSync:  wire.Whole(0),
})

// Session is the session of one client that has logged in. It is not safe for concurrent use.
type Session struct {
	console *Console
	role    Role
	input   wire.Scanner

	skipping bool // messages up to the next Sync are dropped
	Done     bool // the client has said goodbye or cannot be understood: the connection is to be closed
}

// Session returns a session for a client of that role.
func (c *Console) Session(role Role) *Session {
	return &Session{console: c, role: role, input: wire.Scanner{Rules: rules}}
}

// Want is how many bytes Receive needs after it has used all it could.
func (s *Session) Want() int { return s.input.Want() }

// Receive takes what the client has sent, and appends the replies to out. It returns how much of in it has used. It waits as
// long as the statements do; ctx ends that.
func (s *Session) Receive(ctx context.Context, in, out []byte) (used int, _ []byte) {
	for !s.Done {
		p, err := s.input.Next(in[used:])
		if err != nil {
			s.Done = true
			return used, wire.AppendErrorResponse(out, wire.Fatal(wire.CodeProtocolViolation, err.Error()))
		}
		if p.Raw == nil {
			break
		}
		used += len(p.Raw)
		if p.First {
			out = s.take(ctx, p, out)
		}
	}
	return used, out
}

func (s *Session) take(ctx context.Context, p wire.Piece, out []byte) []byte {
	switch p.Type {
	case wire.TypeTerminate:
		s.Done = true
		return out
	case wire.TypeSync:
		s.skipping = false
		return wire.AppendReadyForQuery(out, wire.StatusIdle)
	case wire.TypeFlush, wire.TypeCopyData, wire.TypeCopyDone, wire.TypeCopyFail:
		return out
	case wire.TypeQuery:
		if s.skipping {
			return out
		}
		out = s.query(ctx, p.Body(), out)
		return wire.AppendReadyForQuery(out, wire.StatusIdle)
	}
	if s.skipping {
		return out
	}
	s.skipping = p.Type != wire.TypeFunctionCall
	out = appendRefusal(out, &Refusal{
		Code: wire.CodeFeatureNotSupported, Message: "the console takes simple queries only",
		Hint: `Make your driver use the simple query protocol, with default_query_exec_mode=simple_protocol for pgx or preferQueryMode=simple for JDBC.`,
	})
	if !s.skipping {
		out = wire.AppendReadyForQuery(out, wire.StatusIdle)
	}
	return out
}

// query answers one Query message, but for its ReadyForQuery.
func (s *Session) query(ctx context.Context, body, out []byte) []byte {
	text, rest, whole := strings.Cut(string(body), "\x00")
	if !whole || rest != "" {
		return appendRefusal(out, &Refusal{Code: wire.CodeProtocolViolation, Message: "invalid message format"})
	}
	st, ok := Parse(text)
	if ok && st.Verb == "" {
		return append(out, wire.TypeEmptyQueryResponse, 0, 0, 0, 4)
	}
	s.console.served()
	before := len(out)
	out, err := s.answer(ctx, st, out)
	if !ok || errors.Is(err, errUnknown) {
		err = &Refusal{Code: wire.CodeSyntaxError, Message: "invalid command '" + clip(text) + "', use SHOW HELP;"}
	}
	if err != nil {
		return appendRefusal(out[:before], err)
	}
	return out
}

// errUnknown is the error of a statement that is none of the console's.
var errUnknown = errors.New("unknown command")

func appendRefusal(out []byte, err error) []byte {
	report := wire.Report{Severity: wire.SeverityError, Code: wire.CodeInternalError, Message: err.Error()}
	refusal := new(Refusal)
	switch {
	case errors.As(err, &refusal):
		report.Code, report.Hint = refusal.Code, refusal.Hint
	case errors.Is(err, context.Canceled):
		report.Code, report.Message = wire.CodeQueryCanceled, "canceling statement due to user request"
	}
	return wire.AppendErrorResponse(out, report)
}

// clip keeps a message short however long the statement is.
func clip(s string) string {
	const longest = 200
	if len(s) > longest {
		return s[:longest] + "..."
	}
	return s
}
