package session

import "github.com/weir-dev/weir/pooler/postgres/wire"

// What clients are told, ready to send.
var (
	namedRefused = wire.AppendErrorResponse(nil, wire.Report{
		Severity: wire.SeverityError,
		Code:     wire.CodeFeatureNotSupported,
		Message:  "prepared statements with names cannot be used in transaction mode",
		Hint: "Let the driver use unnamed statements (pgx: default_query_exec_mode=exec, JDBC: prepareThreshold=0, " +
			"psycopg: prepare_threshold=None), or set the destination's poolMode to Session.",
	})
	unnamedRefused = wire.AppendErrorResponse(nil, wire.Report{
		Severity: wire.SeverityError,
		Code:     wire.CodeInvalidStatementName,
		Message:  "unnamed prepared statement does not exist",
		Detail:   "It was parsed in an earlier transaction, which may have run on another server connection.",
		Hint: "Send Parse, Bind and Execute before one Sync, or within one transaction (pgx: " +
			"default_query_exec_mode=exec), or set the destination's poolMode to Session.",
	})
	timedOut = wire.AppendErrorResponse(nil, wire.Report{
		Severity: wire.SeverityError, Code: wire.CodeQueryCanceled, Message: "canceling statement due to statement timeout",
	})
	readyIdle = wire.AppendReadyForQuery(nil, wire.StatusIdle)

	// doomed makes the server fail in place of a refused message. Its log shows the name.
	doomed = wire.AppendDescribe(nil, wire.TargetStatement, "refused by the pooler in transaction mode")
)

// protocolError returns the step that ends a session whose client broke the protocol.
func protocolError(message string) Step {
	return fatal(wire.CodeProtocolViolation, message)
}

func fatal(code, message string) Step {
	return Step{Reply: wire.AppendErrorResponse(nil, wire.Fatal(code, message)), Do: Close}
}
