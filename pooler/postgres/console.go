package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"
	"unique"

	"github.com/weir-dev/weir/pooler/postgres/console"
	"github.com/weir-dev/weir/pooler/postgres/login"
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
	en.who, en.console = unique.Make(identity{user: startup.User, database: startup.Database}), en.engine.console.Session(role)
	en.inside = true
	en.mu.Unlock()
	cancel := en.engine.clients.name(en.client, wire.MinCancelKey)
	en.net.SetWriteDeadline(time.Now().Add(en.settings.Timeouts.Login))
	return en.login.Welcome(console.Welcome, cancel, out)
}

// command serves a client at the console until it leaves. It needs no speed, and may block.
func (en *entry) command() {
	defer en.engine.console.Leave()
	defer en.in.drop()
	en.net.SetDeadline(time.Time{})
	for {
		in := bytes.Clone(en.in.bytes()) // who watches the client moves what is there
		ctx, done := en.commanding()
		used, out := en.console.Receive(ctx, in, nil)
		done()
		en.in.use(used)
		_, err := en.net.Write(out)
		switch {
		case err != nil || en.console.Done:
			return
		case en.drained.Load():
			en.goodbye(shutdownMessage)
			return
		}
		if en.in.read(en.net, max(en.console.Want(), len(en.in.bytes())+1)) != nil && !en.drained.Load() {
			return
		}
	}
}

// dismiss has a client at the console go after the statements at hand; mu is locked.
func (en *entry) dismiss() {
	en.drained.Store(true)
	en.net.SetReadDeadline(time.Unix(1, 0))
}

// goodbye is the last message.
func (en *entry) goodbye(message []byte) {
	en.net.SetDeadline(time.Now().Add(linger))
	_, _ = en.net.Write(message) // who is gone need not be told
	en.lastWord()
}

// commanding is the context of the statements at hand: it ends when the client cancels, is told to go, or is gone.
func (en *entry) commanding() (_ context.Context, done func()) {
	ctx, end := context.WithCancelCause(en.engine.ctx)
	en.mu.Lock()
	if en.aborted {
		end(errClosing)
	}
	en.waits = end
	en.mu.Unlock()
	unwatch := en.watch(end)
	return ctx, func() {
		unwatch()
		en.mu.Lock()
		en.waits = nil
		en.mu.Unlock()
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
			cl.shut(shutdownMessage)
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
