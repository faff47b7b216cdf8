package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// dialError is why a server connection could not be opened, in words for the person who set the destination up.
type dialError struct {
	reason string // one of podapi's
	text   string
	err    error
}

func (e *dialError) Error() string { return e.text }
func (e *dialError) Unwrap() error { return e.err }

// and is the failure at one endpoint after those at others. Of their reasons that counts which is most about a server:
// it is no news that one of several is a standby. The receiver may be nil.
func (e *dialError) and(next *dialError) *dialError {
	if e == nil {
		return next
	}
	both := *next
	if next.reason == podapi.ReasonWrongRole {
		both = *e
	}
	both.text = e.text + "; " + next.text
	return &both
}

// ofServer says that the failure is not about one login but about the way to the server.
func (e *dialError) ofServer() bool {
	return e.reason == podapi.ReasonUnreachable || e.reason == podapi.ReasonTLSFailed || e.reason == podapi.ReasonWrongRole
}

// handshakeError says that TLS could not be agreed on.
type handshakeError struct{ err error }

func (h *handshakeError) Error() string { return h.err.Error() }
func (h *handshakeError) Unwrap() error { return h.err }

// final says that dialing again will not help.
func final(err error) bool {
	var missing *missingPassword
	return errors.As(err, &missing) || login.Final(err)
}

// tooMany says that the server has too many connections.
func tooMany(err error) bool {
	server, ok := errors.AsType[*wire.ServerError](err)
	return ok && server.Code == wire.CodeTooManyConnections
}

// missingPassword says that there is nothing to log in with as this user.
type missingPassword struct{ user string }

func (m *missingPassword) Error() string {
	return fmt.Sprintf("there is no password to log in to the server as user %q: store it in the users Secret, "+
		"or name a Secret with a server user in auth.serverUserSecretRef", m.user)
}

// explain says what went wrong with endpoint at, and whose doing it is.
func explain(at Endpoint, k key, err error) *dialError {
	e := &dialError{reason: podapi.ReasonUnreachable, err: err}
	var (
		missing  *missingPassword
		server   *wire.ServerError
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		alert    tls.AlertError
		record   tls.RecordHeaderError
		failure  *login.Failure
		role     *wrongRole
		shake    *handshakeError
		where    = fmt.Sprintf("the server at %s:%d", at.Host, at.Port)
		tlsFault = errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &invalid) || errors.As(err, &alert) ||
			errors.As(err, &record) || errors.As(err, &shake)
	)
	switch {
	case errors.As(err, &missing):
		e.reason = podapi.ReasonAuthenticationFailed
		e.text = err.Error()
	case errors.As(err, &role):
		e.reason = podapi.ReasonWrongRole
		e.text = fmt.Sprintf("%s will not do: %v", where, err)
	case errors.As(err, &server):
		e.reason = reasonOf(server.Code)
		e.text = fmt.Sprintf("%s answers the login of user %q to database %q with %v", where, k.user, k.database, server)
	case tlsFault:
		e.reason = podapi.ReasonTLSFailed
		e.text = fmt.Sprintf("TLS with %s fails: %v", where, err)
	case errors.As(err, &failure):
		e.reason = podapi.ReasonServerRefused
		if login.PasswordRefused(err) {
			e.reason = podapi.ReasonAuthenticationFailed
		}
		e.text = fmt.Sprintf("%s cannot be logged in to: %v", where, err)
	case errors.Is(err, context.DeadlineExceeded):
		e.text = fmt.Sprintf("%s does not answer in time", where)
	default:
		e.text = fmt.Sprintf("%s cannot be reached: %v", where, err)
	}
	return e
}

func reasonOf(code string) string {
	switch code {
	case wire.CodeInvalidPassword, wire.CodeInvalidAuthorization:
		return podapi.ReasonAuthenticationFailed
	case wire.CodeUndefinedDatabase:
		return podapi.ReasonDatabaseMissing
	case wire.CodeCannotConnectNow: // to nobody: it starts up or shuts down
		return podapi.ReasonUnreachable
	}
	return podapi.ReasonServerRefused
}

// faults remembers how the last dial went.
type faults struct {
	mu     sync.Mutex
	state  Reachability
	fault  *Fault
	server bool // the fault is not about one login
}

// failed reports whether that is news.
func (f *faults) failed(e *dialError) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	news := f.state != Unreachable || f.fault.Reason != e.reason
	since := time.Now()
	if !news {
		since = f.fault.Since
	}
	f.state, f.server = Unreachable, e.ofServer()
	f.fault = &Fault{Reason: e.reason, Message: e.text, Since: since}
	return news
}

// succeeded notes that a connection was opened, by the probe's login or another, and reports whether a fault is over. A
// fault of the probe's login is over only when that login succeeds.
func (f *faults) succeeded(probe bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.state == Unreachable
	if was && !f.server && !probe {
		return false
	}
	f.state, f.fault = Reachable, nil
	return was
}

// forget goes back to not knowing.
func (f *faults) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state, f.fault = Unknown, nil
}

func (f *faults) get() (Reachability, *Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state, f.fault
}
