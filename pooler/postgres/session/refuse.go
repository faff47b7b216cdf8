package session

import "github.com/weir-dev/weir/pooler/postgres/wire"

// What clients are told, ready to send.
var (
	namesRefused = wire.AppendErrorResponse(nil, wire.Report{
		Severity: wire.SeverityError,
		Code:     wire.CodeFeatureNotSupported,
		Message:  "prepared statements with names are switched off in transaction mode",
		Hint: "Set the destination's maxPreparedStatements above 0, or let the driver use unnamed statements " +
			"(pgx: default_query_exec_mode=exec, JDBC: prepareThreshold=0, psycopg: prepare_threshold=None).",
	})
	manyRefused = wire.AppendErrorResponse(nil, wire.Report{
		Severity: wire.SeverityError,
		Code:     wire.CodeConfigurationLimit,
		Message:  "too many prepared statements in this session",
		Hint:     "Close those that are not used any more: there may be 10000, and 32 MiB of text.",
	})
	textRefused = wire.AppendErrorResponse(nil, wire.Report{
		Severity: wire.SeverityError,
		Code:     wire.CodeConfigurationLimit,
		Message:  "too much text of prepared statements in this pooler",
		Hint:     "All sessions of a destination together may have 256 MiB in each pod. Close statements that are not used any more.",
	})
	blockRefused = wire.AppendErrorResponse(nil, wire.Report{
		Severity: wire.SeverityError,
		Code:     wire.CodeFeatureNotSupported,
		Message:  textBlock,
		Hint:     hintBlock,
	})
	shapeRefused = wire.AppendErrorResponse(nil, wire.Report{
		Severity: wire.SeverityError, Code: wire.CodeFeatureNotSupported, Message: "cached plan must not change result type",
	})
	blockFatal = wire.AppendErrorResponse(nil, wire.Report{
		Severity: wire.SeverityFatal,
		Code:     wire.CodeFeatureNotSupported,
		Message:  textBlock,
		Detail:   "It was rolled back.",
		Hint:     hintBlock,
	})
	timedOut = wire.AppendErrorResponse(nil, wire.Report{
		Severity: wire.SeverityError, Code: wire.CodeQueryCanceled, Message: "canceling statement due to statement timeout",
	})
	readyIdle = wire.AppendReadyForQuery(nil, wire.StatusIdle)

	// doomed makes the server fail in place of a refused message. Its log shows the name.
	doomed = wire.AppendDescribe(nil, wire.TargetStatement, "refused by the pooler")
)

const (
	textBlock = "transaction blocks are not allowed in statement mode"
	hintBlock = "Send the statements of a transaction in one message, or set the destination's poolMode to Transaction."
)

// protocolError returns the step that ends a session whose client broke the protocol.
func protocolError(message string) Step {
	return fatal(wire.CodeProtocolViolation, message)
}

func fatal(code, message string) Step {
	return Step{Reply: wire.AppendErrorResponse(nil, wire.Fatal(code, message)), Do: Close}
}
