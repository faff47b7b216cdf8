package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/lookup"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

const (
	maxLookupConns = 2                // server connections for lookups, of MaxOpen
	lookupIdle     = 30 * time.Second // how long they may be idle: nobody reads from them meanwhile
	lookupAttempts = 3                // on connections that break
	lookupBuffer   = 4 << 10          // bytes, at first
)

// lookupPath is the search path of lookups. The connections they run on are of no client, so no client can change it.
var lookupPath = wire.Param{Name: "search_path", Value: "pg_catalog, pg_temp"}

func (s *settings) lookupKey() key {
	l := s.Auth.Lookup
	return key{database: l.Database, user: l.Login.User, params: canonical([]wire.Param{lookupPath}), lookup: true}
}

// lookupPool changes what is different for the connections of lookups.
func lookupPool(cfg pool.Config) pool.Config {
	cfg.Max, cfg.MinIdle = min(cfg.Max, maxLookupConns), 0
	cfg.MaxIdle = min(cfg.MaxIdle, maxLookupConns)
	cfg.IdleTime = lookupIdle
	cfg.MaxWaiting = -1 // at most lookup.MaxFlights
	return cfg
}

// lookUpAccount finds a user that is not in the Config; nil: there is none.
func (en *entry) lookUpAccount() (*account, error) {
	e, s := en.engine, en.settings
	user := en.login.Startup().User
	ctx, end := context.WithCancelCause(e.ctx)
	defer end(nil)
	en.mu.Lock()
	if en.aborted {
		end(errClosing)
	}
	en.waits = end
	en.mu.Unlock()
	en.net.SetDeadline(time.Time{})
	unwatch, resume := en.watch(end), loop.Rest()
	a, found, err := e.found.Find(ctx, user, s.Auth.Lookup.Age, func(old *account) (*account, bool, error) {
		return e.fetch(user, old)
	})
	resume()
	unwatch()
	en.mu.Lock()
	en.waits = nil
	en.mu.Unlock()
	en.net.SetDeadline(time.Now().Add(s.Timeouts.Login))
	if err != nil || !found {
		return nil, err
	}
	en.forget = e.found.Hold(user)
	return a, nil
}

// refuseLookup tells the client no more than that it could not be found out who it is: it has not proved anything yet.
func (en *entry) refuseLookup(err error, out []byte) ([]byte, login.Action) {
	report := wire.Fatal(wire.CodeCannotConnect, "the pooler cannot look up users at the moment")
	if errors.Is(err, errClosing) || errors.Is(err, context.Canceled) || errors.Is(err, pool.ErrClosed) {
		report = wire.Fatal(wire.CodeAdminShutdown, textShutdown)
	}
	return en.login.Refuse(login.Refusal{Report: report, Reason: err.Error()}, out)
}

// fetch asks the server about a user. It belongs to no client, and waits for a connection as long as clients do.
func (e *Engine) fetch(user string, old *account) (*account, bool, error) {
	e.counters.lookups.Add(1)
	s := e.settings.Load()
	if s.Auth.Lookup == nil {
		return nil, false, nil // it was taken away meanwhile
	}
	value, found, err := e.ask(s, user)
	e.noteLookup(user, err)
	if err != nil {
		e.counters.lookupsFailed.Add(1)
		e.log.Warn("cannot look up a user", "user", user, "error", err)
		return nil, false, err
	}
	if !found {
		return nil, false, nil
	}
	values := Passwords{value}
	if err := login.CheckPasswords(values); err != nil {
		e.log.Warn("a user's password cannot be used", "user", user, "error", err)
		return nil, false, nil
	}
	if n := login.IterationsOf(value); n > 0 {
		e.iterations.Store(int64(n))
	}
	a := newAccount(user, values, s.salts, s.Auth.Method == AuthMD5)
	if old != nil && slices.Equal(old.values, values) {
		a.logins = old.logins // with what clients have proved
	}
	return a, true, nil
}

// lookupFault is a lookup that failed, and no other has succeeded since.
type lookupFault struct{ user, text string }

// noteLookup remembers how the last lookup went. One that Close ended says nothing.
func (e *Engine) noteLookup(user string, err error) {
	switch {
	case err == nil:
		e.lookupFault.Store(nil)
	case e.ctx.Err() == nil:
		e.lookupFault.Store(&lookupFault{user, err.Error()})
	}
}

// lookUpAgain looks up anew who could not be found out about, so that a fault that was mended is not told until a client
// comes by whom nobody knows.
func (e *Engine) lookUpAgain() {
	if f := e.lookupFault.Load(); f != nil {
		_, _, _ = e.fetch(f.user, nil) // noteLookup has the outcome
	}
}

// ask runs the query on a connection of the lookups' own. If that breaks, as one that was idle may have before, it runs on
// another.
func (e *Engine) ask(s *settings, user string) (value string, found bool, err error) {
	ctx, end := context.WithCancelCause(e.ctx)
	defer end(nil)
	k := s.lookupKey()
	patience := s.Limits.AcquireTimeout
	defer e.hold.endAt(k.database, time.Now().Add(patience), patience, func() { end(errWaitedLong) })()
	for attempt := 1; ; attempt++ {
		lease, err := e.servers.Acquire(ctx, k)
		if err != nil {
			return "", false, err
		}
		c := lease.Conn()
		if c.asked {
			attempt-- // its death would say nothing
		}
		c.asked = true
		q, err := c.ask(ctx, s.Auth.Lookup.Query, user)
		if err == nil && q.Whole() {
			lease.Release()
			return q.Result()
		}
		lease.Discard(err)
		if attempt == lookupAttempts || ctx.Err() != nil {
			if err == nil {
				return q.Result()
			}
			return "", false, err
		}
	}
}

// ask runs one query. The error is one of the connection.
func (c *conn) ask(ctx context.Context, sql, user string) (*lookup.Query, error) {
	stop := context.AfterFunc(ctx, func() { c.net.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	q, out := lookup.NewQuery(sql, user, nil)
	if _, err := c.net.Write(out); err != nil {
		return nil, fmt.Errorf("send the lookup: %w", err)
	}
	buf, have := make([]byte, lookupBuffer), 0
	for {
		n, err := c.net.Read(buf[have:])
		have += n
		used, done := q.Receive(buf[:have])
		have = copy(buf, buf[used:have])
		switch {
		case done && have == 0:
			return q, nil
		case done:
			return nil, errors.New("the server talks before it is asked")
		case err != nil:
			return nil, fmt.Errorf("the connection broke during a lookup: %w", err)
		case have == len(buf): // a message that is larger, within lookup.MaxRow
			buf = append(buf, make([]byte, len(buf))...)
		}
	}
}

// closeLookup is close for a connection that is on no lane.
func (c *conn) closeLookup() {
	c.net.SetDeadline(time.Now().Add(goodbyeTimeout))
	_, _ = c.net.Write(wire.AppendTerminate(nil))
	closeWrite(c.net)
	_, err := io.Copy(io.Discard, c.net)
	_ = c.net.Close()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		<-time.After(VanishSeconds*time.Second - goodbyeTimeout)
	}
}

// passwords are what server connections of a key log in with; none: nothing is known.
func (e *Engine) passwords(s *settings, k key) *logins {
	switch a, found := e.found.Last(k.user); {
	case k.lookup && s.Auth.Lookup != nil:
		return s.lookup
	case s.ServerUser != nil || s.accounts[k.user] != nil || !found || s.Auth.Lookup == nil:
		return s.passwords(k.user)
	default:
		return a.logins
	}
}

// salting is what names without an account are shown. Where users are looked up, their iteration count is known from the
// last that was found.
func (e *Engine) salting(s *settings) login.Salting {
	salts := s.salts
	if salts.Iterations == 0 && s.Auth.Lookup != nil {
		salts.Iterations = int(e.iterations.Load())
	}
	return salts
}

// sameLookup says that what was looked up under other settings still counts.
func (s *settings) sameLookup(o *settings) bool {
	a, b := s.Auth.Lookup, o.Auth.Lookup
	if a == nil || b == nil {
		return a == b
	}
	return a.Query == b.Query && a.Database == b.Database && a.Login.User == b.Login.User &&
		s.Auth.Method == o.Auth.Method && s.hasSalting(o.salts) && s.sameServer(o)
}

// doubt has a user looked up again whose password has proved wrong, on one side or the other.
func (e *Engine) doubt(s *settings, user string) {
	if s.Auth.Lookup != nil && s.accounts[user] == nil {
		e.found.Doubt(user)
	}
}
