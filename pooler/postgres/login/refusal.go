package login

import (
	"errors"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// Refusal is why a client was not let in. Its report is what the client was told.
type Refusal struct {
	wire.Report
	// Reason is for the log only; it may say what the client must not learn.
	Reason string
}

func (r *Refusal) Error() string {
	if r.Reason == "" {
		return r.Message
	}
	return r.Message + ": " + r.Reason
}

// Failure is why logging in to a server failed, where it was not the server that
// said so (that is a *wire.ServerError).
type Failure struct {
	Message string
	final   bool
	unfit   bool // another password may do
	asked   bool // a password was asked for, and there was none
}

func (f *Failure) Error() string { return f.Message }

// Final says that logging in again with the same values will fail again. Errors
// of the network, and those nothing is known about, are not final.
func Final(err error) bool {
	if server, ok := errors.AsType[*wire.ServerError](err); ok {
		return server.Final()
	}
	failure, ok := errors.AsType[*Failure](err)
	return ok && failure.final
}

// PasswordRefused says that the same login may succeed with another password.
func PasswordRefused(err error) bool {
	if server, ok := errors.AsType[*wire.ServerError](err); ok {
		return server.Code == wire.CodeInvalidPassword
	}
	failure, ok := errors.AsType[*Failure](err)
	return ok && failure.unfit
}

// NeedsPassword says that the server has asked for a password, and there was none.
func NeedsPassword(err error) bool {
	failure, ok := errors.AsType[*Failure](err)
	return ok && failure.asked
}

// unfit is a Failure of a password that cannot answer what the server asks.
func unfit(message string) error { return &Failure{Message: message, final: true, unfit: true} }
