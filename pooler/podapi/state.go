package podapi

// Reasons of a Problem and of an unreachable destination; the operator shows them as reasons of conditions.
const (
	ReasonSecretMissing        = "SecretMissing"        // a Secret, or a key of it, is not there (yet)
	ReasonSecretInvalid        = "SecretInvalid"        // a Secret is there and cannot be used
	ReasonListenFailed         = "ListenFailed"         // a port cannot be listened on
	ReasonUnreachable          = "Unreachable"          // no endpoint takes connections
	ReasonAuthenticationFailed = "AuthenticationFailed" // the server refuses the login
	ReasonDatabaseMissing      = "DatabaseMissing"      // the server has no such database
	ReasonTLSFailed            = "TLSFailed"            // TLS towards the server cannot be agreed on
	ReasonWrongRole            = "WrongRole"            // the server is a standby, or is none, and the target session asks for the other
	ReasonServerRefused        = "ServerRefused"        // the server answers with another error
)

// State is what a pod does now.
type State struct {
	Version    int    `json:"version"`
	PodUID     string `json:"podUID"`
	Software   string `json:"software"`   // version of the pooler
	Generation int64  `json:"generation"` // of the Config that runs; 0: none yet
	Ledger     int64  `json:"ledger"`     // of the Config that runs; 0: none accepted yet, all limits are 0
	Draining   bool   `json:"draining"`   // it leaves: its limits only fall
	Ready      bool   `json:"ready"`
	Clients    int32  `json:"clients"`

	// News is a word that changes when the operator should look at once: clients are short of connections, the pod begins to
	// leave, or it has let go of everything. Empty: all is calm.
	News string `json:"news,omitempty"`

	WindowSeconds int32              `json:"windowSeconds"` // the span of peaks, waits and timeouts
	Problems      []Problem          `json:"problems,omitempty"`
	Destinations  []DestinationState `json:"destinations"`
}

// Problem is something that a person has to mend, in words that say what to do.
type Problem struct {
	Destination string `json:"destination,omitempty"` // empty: the whole pool
	Reason      string `json:"reason"`
	Message     string `json:"message"`
}

// DestinationState is what a pod does with one destination. Open is Idle + Lent + Dialing + Resetting + Closing.
type DestinationState struct {
	Name       string `json:"name"`
	Limit      int32  `json:"limit"`
	StopPolicy string `json:"stopPolicy,omitempty"` // that holds now; Lent and Open tell how far it has come

	Open      int32 `json:"open"`
	Idle      int32 `json:"idle"`
	Lent      int32 `json:"lent"`
	Dialing   int32 `json:"dialing"`
	Resetting int32 `json:"resetting"`
	Closing   int32 `json:"closing"`
	Waiting   int32 `json:"waiting"` // clients

	// Wanted is the most connections that clients wanted at one time in the last seconds: those lent and those waited for.
	Wanted int32 `json:"wanted,omitempty"`

	// Over the last WindowSeconds.
	PeakLent        int32     `json:"peakLent"`
	PeakWaiting     int32     `json:"peakWaiting"`
	AcquireTimeouts int64     `json:"acquireTimeouts"`
	Wait            Histogram `json:"wait"`

	// Reachable is "True", "False" or "Unknown" (not tried yet); Fault says why it is "False".
	Reachable string   `json:"reachable"`
	Fault     *Problem `json:"fault,omitempty"`

	// LookupFault says why users could not be looked up on the server; empty: the last lookup succeeded, or there was none.
	LookupFault string `json:"lookupFault,omitempty"`
}

// Bound is the most connections that the pod has or may open without being told more: what the ledger must charge it.
func (d DestinationState) Bound() int32 { return max(d.Limit, d.Open) }

// Histogram counts durations. Two of the same Bounds merge by adding their counts.
type Histogram struct {
	BoundsMicroseconds []int64 `json:"boundsMicroseconds,omitempty"` // upper bounds, rising
	Counts             []int64 `json:"counts,omitempty"`             // one more than bounds: the last counts what is above all
}
