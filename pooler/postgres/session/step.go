package session

// Step says what to do with the bytes that a Session was given. The driver sends in[:Forward] on unchanged and Inject
// behind it, forgets in[:Used], and does what Do says. What is behind Used is given again.
type Step struct {
	Used    int
	Forward int    // at most Used
	Inject  []byte // made up, to where the forwarded bytes go; not to be changed
	Reply   []byte // made up, to the client that the bytes came from; not to be changed
	Do      Action
}

// Action is what the driver does next.
type Action uint8

// Actions.
const (
	Continue Action = iota // give what is left of the input; if nothing is left, read more
	Read                   // the input is too short: read until it holds Want bytes
	Wait                   // FromServer has to get on first: give the input again after the next Delivered or detachment
	Answer                 // give the client what Answer returns, with the right to write to it held before the call
	Acquire                // acquire a server connection and Attach it, or Refuse the statement
	Release                // the server connection is detached, clean and owed nothing: it may be lent again
	Reset                  // the server connection is detached: run its Cleanup, then it may be lent again
	Discard                // the server connection is detached and cannot be used again: close it
	Close                  // the client leaves: call Leave, close its connection
	Break                  // the server breaks the protocol: close both connections
)

var actionNames = [...]string{"Continue", "Read", "Wait", "Answer", "Acquire", "Release", "Reset", "Discard", "Close", "Break"}

func (a Action) String() string { return actionNames[a] }

// Reason is why a session in transaction mode keeps its server connection until it leaves: it has made state there that
// outlives a transaction.
type Reason uint8

// Reasons.
const (
	NotPinned      Reason = iota
	Listen                // LISTEN
	TempTable             // a temporary table, view or sequence, or the schema pg_temp
	HoldCursor            // DECLARE ... WITH HOLD
	SQLPrepare            // PREPARE in SQL
	Load                  // LOAD of a library
	SetConfig             // set_config()
	AdvisoryLock          // an advisory lock of the session
	Set                   // SET of a setting for the session
	SettingChange         // its prepared statements were read under other settings than it has now
	LargeStatement        // a prepared statement that is too long to keep
	Uncertain             // how many replies the server still owes cannot be told, after a failed COPY for example

	Reasons = iota // how many there are
)

var reasonNames = [Reasons]string{
	"NotPinned", "Listen", "TempTable", "HoldCursor", "SQLPrepare", "Load", "SetConfig", "AdvisoryLock", "Set",
	"SettingChange", "LargeStatement", "Uncertain",
}

func (r Reason) String() string { return reasonNames[r] }
