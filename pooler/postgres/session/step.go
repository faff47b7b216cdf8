package session

// Step says what to do with the bytes that a Session was given: send In[:Forward] on unchanged, then Inject to where the
// forwarded bytes go, then Reply to where the bytes came from; forget In[:Used]; then do what Do says. The bytes behind
// Used are given again, with more behind them if Do is Read.
type Step struct {
	Used    int
	Forward int    // at most Used
	Inject  []byte // made up, in their place among the forwarded bytes; not to be kept or changed
	Reply   []byte // made up, towards the sender; only to a client, and only when no server is attached
	Do      Action
}

// Action is what the driver does next.
type Action uint8

// Actions.
const (
	Continue Action = iota // give what is left of the input; if nothing is left, read more
	Read                   // the input is not enough for the next step: read until it holds Session.Want bytes
	Acquire                // acquire a server connection, then Attach it, or Refuse the statement
	Release                // the server connection is detached, clean and owed nothing: it may be lent again
	Reset                  // the server connection is detached: run Server.Cleanup, then it may be lent again
	Discard                // the server connection is detached and cannot be used again: close it
	Close                  // the client leaves, or is told to by Reply: Leave, then close its connection
)

var actionNames = [...]string{"Continue", "Read", "Acquire", "Release", "Reset", "Discard", "Close"}

func (a Action) String() string { return actionNames[a] }

// Reason is why a session in transaction mode keeps its server connection until it leaves: it has made state there that
// outlives a transaction.
type Reason uint8

// Reasons.
const (
	NotPinned     Reason = iota
	Listen               // LISTEN
	TempTable            // a temporary table, view or sequence, or the schema pg_temp
	HoldCursor           // DECLARE ... WITH HOLD
	SQLPrepare           // PREPARE in SQL
	Load                 // LOAD of a library
	SetConfig            // set_config()
	AdvisoryLock         // an advisory lock of the session
	Set                  // SET of a setting for the session
	SettingChange        // the server reported another value of a setting than when the connection was lent
	CopyUncertain        // a COPY failed in a way that leaves open how many replies the server owes

	Reasons = iota // how many there are
)

var reasonNames = [Reasons]string{
	"NotPinned", "Listen", "TempTable", "HoldCursor", "SQLPrepare", "Load", "SetConfig", "AdvisoryLock", "Set",
	"SettingChange", "CopyUncertain",
}

func (r Reason) String() string { return reasonNames[r] }
