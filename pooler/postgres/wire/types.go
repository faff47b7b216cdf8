package wire

// Message types that a client sends.
const (
	TypeBind         byte = 'B'
	TypeClose        byte = 'C'
	TypeDescribe     byte = 'D'
	TypeExecute      byte = 'E'
	TypeFunctionCall byte = 'F'
	TypeFlush        byte = 'H'
	TypeParse        byte = 'P'
	TypePassword     byte = 'p' // PasswordMessage, SASLInitialResponse, SASLResponse
	TypeQuery        byte = 'Q'
	TypeSync         byte = 'S'
	TypeTerminate    byte = 'X'
	TypeCopyFail     byte = 'f'
)

// Message types that both sides send.
const (
	TypeCopyData byte = 'd'
	TypeCopyDone byte = 'c'
)

// Message types that a server sends.
const (
	TypeAuthentication           byte = 'R'
	TypeBackendKeyData           byte = 'K'
	TypeBindComplete             byte = '2'
	TypeCloseComplete            byte = '3'
	TypeCommandComplete          byte = 'C'
	TypeCopyBothResponse         byte = 'W'
	TypeCopyInResponse           byte = 'G'
	TypeCopyOutResponse          byte = 'H'
	TypeDataRow                  byte = 'D'
	TypeEmptyQueryResponse       byte = 'I'
	TypeErrorResponse            byte = 'E'
	TypeFunctionCallResponse     byte = 'V'
	TypeNegotiateProtocolVersion byte = 'v'
	TypeNoData                   byte = 'n'
	TypeNoticeResponse           byte = 'N'
	TypeNotificationResponse     byte = 'A'
	TypeParameterDescription     byte = 't'
	TypeParameterStatus          byte = 'S'
	TypeParseComplete            byte = '1'
	TypePortalSuspended          byte = 's'
	TypeReadyForQuery            byte = 'Z'
	TypeRowDescription           byte = 'T'
)

// Transaction states of ReadyForQuery.
const (
	StatusIdle          byte = 'I'
	StatusInTransaction byte = 'T'
	StatusFailed        byte = 'E'
)

// Targets of Describe and Close.
const (
	TargetStatement byte = 'S'
	TargetPortal    byte = 'P'
)

// Requests inside an Authentication message.
const (
	AuthOK                uint32 = 0
	AuthCleartextPassword uint32 = 3
	AuthMD5Password       uint32 = 5
	AuthSASL              uint32 = 10
	AuthSASLContinue      uint32 = 11
	AuthSASLFinal         uint32 = 12
)

// HeaderSize is the size in bytes of a message's type and length.
const HeaderSize = 5

// Sizes in bytes that PostgreSQL itself allows for a message body.
const (
	MaxSmallBody   = 10_000    // messages that hold names at most
	MaxLargeBody   = 1<<30 - 2 // SQL, parameters, rows, COPY data
	MaxStartupBody = 10_000    // a startup packet behind its length
	MaxCancelKey   = 256       // a cancel key in protocol 3.2
	MinCancelKey   = 4         // the only size in protocol 3.0
)

// Param is a named value: of a startup packet, or of a ParameterStatus.
type Param struct {
	Name, Value string
}
