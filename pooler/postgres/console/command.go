package console

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// answer appends what answers a statement.
func (s *Session) answer(ctx context.Context, st Statement, out []byte) ([]byte, error) {
	switch st.Verb {
	case "SHOW":
		return s.show(st.Args, out)
	case "SET":
		return s.set(st.Args, out)
	case "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "RESET", "DISCARD":
		return ignored(st, out)
	}
	do, known := commands[st.Verb]
	switch {
	case !known:
		return out, errUnknown
	case s.role != Admin:
		return out, &Refusal{Code: wire.CodeInsufficientPrivilege, Message: "admin access needed",
			Hint: "Only users that postgresql.console.adminUsers names may do more than SHOW."}
	}
	if err := do(ctx, s.console.source, st.Args); err != nil {
		return out, err
	}
	return wire.AppendCommandComplete(out, st.Verb), nil
}

// commands are what changes something, by verb.
var commands = map[string]func(ctx context.Context, to Source, args []string) error{
	"PAUSE":  perhaps(func(ctx context.Context, to Source, name string) error { return to.Pause(ctx, name) }),
	"RESUME": perhaps(func(_ context.Context, to Source, name string) error { return to.Resume(name) }),
	"RECONNECT": perhaps(func(_ context.Context, to Source, name string) error {
		return to.Reconnect(name)
	}),
	"KILL":       perhaps(func(_ context.Context, to Source, name string) error { return to.Kill(name) }),
	"WAIT_CLOSE": perhaps(func(ctx context.Context, to Source, name string) error { return to.WaitClose(ctx, name) }),
	"ENABLE":     must(func(to Source, name string) error { return to.Enable(name) }),
	"DISABLE":    must(func(to Source, name string) error { return to.Disable(name) }),
	"KILL_CLIENT": func(_ context.Context, to Source, args []string) error {
		id, err := clientID(args)
		if err != nil {
			return err
		}
		return to.KillClient(id)
	},
	"SUSPEND":  alone(func(ctx context.Context, to Source) error { return to.Suspend(ctx) }),
	"RELOAD":   alone(func(_ context.Context, to Source) error { return to.Reload() }),
	"SHUTDOWN": func(_ context.Context, to Source, args []string) error { return shutDown(to, args) },
}

// perhaps is a command with the name of a database, or for all.
func perhaps(do func(context.Context, Source, string) error) func(context.Context, Source, []string) error {
	return func(ctx context.Context, to Source, args []string) error {
		switch len(args) {
		case 0:
			return do(ctx, to, "")
		case 1:
			if args[0] != "" {
				return do(ctx, to, args[0])
			}
		}
		return errUnknown
	}
}

// must is a command that needs the name of a database.
func must(do func(Source, string) error) func(context.Context, Source, []string) error {
	return func(_ context.Context, to Source, args []string) error {
		if len(args) == 0 {
			return &Refusal{Code: wire.CodeSyntaxError, Message: "a database is required"}
		}
		if len(args) != 1 || args[0] == "" {
			return errUnknown
		}
		return do(to, args[0])
	}
}

// alone is a command without arguments.
func alone(do func(context.Context, Source) error) func(context.Context, Source, []string) error {
	return func(ctx context.Context, to Source, args []string) error {
		if len(args) > 0 {
			return errUnknown
		}
		return do(ctx, to)
	}
}

func clientID(args []string) (uint64, error) {
	if len(args) != 1 {
		return 0, &Refusal{Code: wire.CodeSyntaxError, Message: "the id of a client is required", Hint: "SHOW CLIENTS shows it, in the last column."}
	}
	id, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return 0, &Refusal{Code: wire.CodeInvalidParameterValue, Message: "invalid client id: " + clip(args[0])}
	}
	return id, nil
}

func shutDown(to Source, args []string) error {
	switch {
	case len(args) == 0:
		return to.Shutdown(Now)
	case len(args) == 1 && slices.Contains([]string{"WAIT_FOR_SERVERS", "WAIT_FOR_CLIENTS"}, strings.ToUpper(args[0])):
		return to.Shutdown(InOrder)
	}
	return errUnknown
}

// ignored answers what drivers send around statements.
func ignored(st Statement, out []byte) ([]byte, error) {
	tag := st.Verb
	switch tag {
	case "START":
		tag = "START TRANSACTION"
	case "END":
		tag = "COMMIT"
	case "DISCARD":
		tag = "DISCARD ALL"
	}
	return wire.AppendCommandComplete(out, tag), nil
}

// notSet are the parameters of clients and drivers, which are accepted and ignored.
var notSet = []string{
	"application_name", "client_encoding", "datestyle", "extra_float_digits", "intervalstyle", "names",
	"search_path", "session", "standard_conforming_strings", "statement_timeout", "timezone", "time", "transaction",
}

// set refuses to change settings, and accepts what drivers set.
func (s *Session) set(args []string, out []byte) ([]byte, error) {
	if len(args) == 0 {
		return out, errUnknown
	}
	name := strings.ToLower(args[0])
	if !slices.Contains(notSet, name) {
		return out, &Refusal{
			Code:    wire.CodeFeatureNotSupported,
			Message: "settings are not changed here",
			Hint:    "Change the ConnectionPool, or the file that this pooler was started with. SHOW CONFIG shows what holds.",
		}
	}
	out = wire.AppendNoticeResponse(out, wire.Report{Severity: wire.SeverityNotice, Code: "00000", Message: "SET ignored"})
	return wire.AppendCommandComplete(out, "SET"), nil
}
