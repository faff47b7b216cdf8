package wire

// SQLSTATE codes that the product sends or acts on.
const (
	CodeCannotConnect          = "08001" // no server connection could be opened
	CodeConnectionFailure      = "08006" // a server connection was lost
	CodeProtocolViolation      = "08P01"
	CodeFeatureNotSupported    = "0A000"
	CodeInvalidParameterValue  = "22023"
	CodeActiveTransaction      = "25001"
	CodeReadOnlyTransaction    = "25006"
	CodeIdleInTransaction      = "25P03"
	CodeTransactionTimeout     = "25P04"
	CodeInvalidStatementName   = "26000"
	CodeInvalidAuthorization   = "28000"
	CodeInvalidPassword        = "28P01"
	CodeInvalidCursorName      = "34000"
	CodeUndefinedDatabase      = "3D000"
	CodeInsufficientPrivilege  = "42501"
	CodeSyntaxError            = "42601"
	CodeUndefinedObject        = "42704"
	CodeDuplicateStatement     = "42P05"
	CodeInsufficientResources  = "53000"
	CodeTooManyConnections     = "53300"
	CodeConfigurationLimit     = "53400"
	CodeProgramLimitExceeded   = "54000"
	CodeNotInPrerequisiteState = "55000"
	CodeQueryCanceled          = "57014"
	CodeAdminShutdown          = "57P01"
	CodeCrashShutdown          = "57P02"
	CodeCannotConnectNow       = "57P03"
	CodeIdleSessionTimeout     = "57P05"
	CodeInternalError          = "XX000"
)
