package login

import "fmt"

// Action is what the driver does next, after it has sent the output.
type Action int

const (
	// Read more bytes and call Receive with those it has not used in front.
	Read Action = iota
	// StartTLS does the TLS handshake, then calls TLSEstablished.
	StartTLS
	// LookUpUser finds the account of Client.Startup().User, then calls SetUser.
	LookUpUser
	// Admit finds a place for the authenticated client, then calls Welcome or Fail.
	Admit
	// ForwardCancel passes on Client.CancelKey() and closes without an answer.
	ForwardCancel
	// Ready ends the login. Unused input belongs to the session.
	Ready
	// Close the connection; Err says why.
	Close
)

var actionNames = [...]string{"Read", "StartTLS", "LookUpUser", "Admit", "ForwardCancel", "Ready", "Close"}

func (a Action) String() string {
	if a < 0 || int(a) >= len(actionNames) {
		return fmt.Sprintf("Action(%d)", int(a))
	}
	return actionNames[a]
}

// CancelKey names a session to a CancelRequest.
type CancelKey struct {
	PID    uint32
	Secret []byte // 4 bytes in protocol 3.0, 4 to 256 in 3.2
}

// Sizes in bytes of input buffers that every login fits in.
const (
	ClientBuffer = 10_004
	ServerBuffer = 30_005
)
