package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/console"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// maxConsoles bounds the clients at the console. They may come when there are too many other clients.
const maxConsoles = 32

// atConsole says whether a client has asked for the console.
func (s *settings) atConsole(startup login.Startup) bool {
	return len(s.Console.Admins)+len(s.Console.Stats) > 0 && console.IsName(startup.Database)
}

// consoleRole is what a client may do at the console; None if it has not asked for it.
func (s *settings) consoleRole(startup login.Startup) console.Role {
	switch {
	case !s.atConsole(startup):
		return console.None
	case slices.Contains(s.Console.Admins, startup.User):
		return console.Admin
	case slices.Contains(s.Console.Stats, startup.User):
		return console.Stats
	}
	return console.None
}

// enterConsole welcomes a client whose password is right.
func (en *entry) enterConsole(out []byte) ([]byte, login.Action) {
	startup := en.login.Startup()
	role := en.settings.consoleRole(startup)
	if role == console.None {
		return en.login.Fail(wire.Report{
			Code: wire.CodeInsufficientPrivilege, Message: "permission denied for database \"" + startup.Database + "\"",
			Detail: "It is the pooler's console, for the users in postgresql.console.adminUsers and statsUsers.",
		}, out)
	}
	if !en.engine.console.Enter(maxConsoles) {
		en.engine.counters.clientsRefused.Add(1)
		return en.login.Fail(wire.Fatal(wire.CodeTooManyConnections, textTooMany), out)
	}
	en.mu.Lock()
	en.asked, en.console = startup, en.engine.console.Session(role)
	en.machine = session.New(session.Transaction, en.engine.statements, nil) // never used: idle for who looks at all clients
	en.established = true
	en.mu.Unlock()
	en.engine.clients.name(en.client, wire.MinCancelKey)
	en.net.SetWriteDeadline(time.Now().Add(en.settings.Timeouts.Login))
	return en.login.Welcome(console.Welcome, en.cancel, out)
}

// command serves a client at the console until it leaves.
func (cl *client) command() {
	defer cl.engine.console.Leave()
	defer cl.in.drop()
	for {
		in := bytes.Clone(cl.in.bytes()) // who watches the client moves what is there
		ctx, done := cl.commanding()
		used, out := cl.console.Receive(ctx, in, nil)
		done()
		cl.in.use(used)
		cl.out.Lock()
		_, err := cl.net.Write(out)
		cl.out.Unlock()
		if err != nil || cl.console.Done {
			break
		}
		cl.letGo()
		if cl.in.read(cl.net, max(cl.console.Want(), len(cl.in.bytes())+1)) != nil {
			break
		}
	}
	cl.leave(true)
}

// commanding is the context of the statements at hand: it ends when the client cancels, is told to go, or is gone.
func (cl *client) commanding() (_ context.Context, done func()) {
	ctx, end := context.WithCancelCause(cl.engine.ctx)
	cl.mu.Lock()
	if cl.closing {
		end(errClosing)
	}
	cl.wait = end
	cl.mu.Unlock()
	unwatch := cl.watch(end)
	return ctx, func() {
		unwatch()
		cl.mu.Lock()
		cl.wait = nil
		cl.mu.Unlock()
		end(nil)
	}
}

// source is an Engine as the console sees it.
type source struct{ *Engine }

// target is what a database of the console's statement is called on the server; none stays none.
func (s source) target(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	target, ok := s.settings.Load().database(name)
	if !ok || console.IsName(name) {
		return "", &console.Refusal{Code: wire.CodeUndefinedDatabase, Message: "no such database: " + name}
	}
	return target, nil
}

func (s source) Pause(ctx context.Context, name string) error {
	database, err := s.target(name)
	if err != nil {
		return err
	}
	if !s.pause(database) {
		return refused("already suspended/paused")
	}
	s.retire(database)
	err = until(ctx, func() bool { open, _ := s.counted(database); return open == 0 })
	return s.orElse(err, database)
}

func (s source) Suspend(ctx context.Context) error {
	if !s.suspend() {
		return refused("already suspended/paused")
	}
	err := until(ctx, func() bool { _, lent := s.counted(""); return lent == 0 })
	return s.orElse(err, "")
}

// orElse takes back a hold whose client has cancelled it. One whose client is gone stays, as the client meant it to.
func (s source) orElse(err error, database string) error {
	if errors.Is(err, errCanceled) {
		s.resume(database)
		return context.Canceled
	}
	return err
}

func (s source) Resume(name string) error {
	database, err := s.target(name)
	switch {
	case err != nil:
		return err
	case !s.resume(database) && database == "":
		return refused("pooler is not paused/suspended")
	}
	return nil
}

func (s source) Kill(name string) error {
	database, err := s.target(name)
	if err != nil {
		return err
	}
	s.pause(database) // or it is held already
	s.dismiss(database)
	s.retire(database)
	return nil
}

func (s source) KillClient(id uint64) error {
	for _, cl := range s.clients.list() {
		if cl.id == id {
			go cl.shut(shutdownMessage)
			return nil
		}
	}
	return &console.Refusal{Code: wire.CodeUndefinedObject, Message: "client not found"}
}

func (s source) Reconnect(name string) error {
	database, err := s.target(name)
	if err == nil {
		s.retire(database)
	}
	return err
}

func (s source) WaitClose(ctx context.Context, name string) error {
	database, err := s.target(name)
	if err != nil {
		return err
	}
	return until(ctx, func() bool {
		for _, c := range s.serverConns() {
			if c.retired.Load() && (database == "" || c.key.database == database) {
				return false
			}
		}
		return true
	})
}

func (s source) Enable(name string) error {
	database, err := s.target(name)
	if err == nil {
		s.letIn(database, true)
	}
	return err
}

func (s source) Disable(name string) error {
	database, err := s.target(name)
	if err == nil {
		s.letIn(database, false)
	}
	return err
}

func (s source) Reload() error {
	if s.opts.Reload == nil {
		return refused("there is nothing to reload")
	}
	return s.opts.Reload()
}

func (s source) Shutdown(how console.Shutdown) error {
	if s.opts.Quit == nil {
		return refused("this process cannot be ended here")
	}
	s.opts.Quit(how == console.Now)
	return nil
}
