package wire

// Severities of a Report.
const (
	SeverityError   = "ERROR"
	SeverityFatal   = "FATAL"
	SeverityPanic   = "PANIC"
	SeverityNotice  = "NOTICE"
	SeverityWarning = "WARNING"
)

// Report is the content of an ErrorResponse or NoticeResponse. Detail and Hint may
// be empty; no field may hold a zero byte.
type Report struct {
	Severity string // SeverityX
	Code     string // SQLSTATE, five characters
	Message  string
	Detail   string
	Hint     string
}

// Fatal returns a report after which the connection is closed.
func Fatal(code, message string) Report {
	return Report{Severity: SeverityFatal, Code: code, Message: message}
}

// ProtocolError says that a peer broke the protocol. The stream cannot be read any
// further.
type ProtocolError struct {
	Message string
}

func (e *ProtocolError) Error() string { return e.Message }

// Report returns what to tell the peer, if it is a client.
func (e *ProtocolError) Report() Report { return Fatal(CodeProtocolViolation, e.Message) }

var errFormat = &ProtocolError{Message: "invalid message format"}

// ServerError is an ErrorResponse of a server.
type ServerError struct {
	Report
}

// Error returns the severity, the message and the code, like psql.
func (e *ServerError) Error() string {
	text := e.Message
	if e.Severity != "" {
		text = e.Severity + ": " + text
	}
	if e.Code != "" {
		text += " (SQLSTATE " + e.Code + ")"
	}
	return text
}

// Final says that logging in again with the same values will fail again: a wrong
// password, no such database, a setting the server does not know. Not final is
// what time can heal: too many connections, starting up, shutting down; and any
// code that is not known.
func (e *ServerError) Final() bool {
	switch e.Code {
	case CodeProtocolViolation, CodeFeatureNotSupported, CodeNotInPrerequisiteState:
		return true
	}
	if len(e.Code) != 5 {
		return false
	}
	switch e.Code[:2] {
	case "22", "28", "3D", "42": // values, authorization, database, names and rights
		return true
	}
	return false
}
