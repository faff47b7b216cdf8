package sizing

import "time"

// State is where the limit of a destination is. The zero State is that of one that was not sized before.
type State struct {
	Limit  int32  `json:"limit"`
	Reason Reason `json:"reason"`
	Since  int64  `json:"since"` // when Limit was last changed, in seconds since 1970

	// LowSince is when a lower limit came in sight, in seconds since 1970; 0: none is. LowPeak is the most that was desired
	// since then.
	LowSince int64 `json:"lowSince,omitempty"`
	LowPeak  int32 `json:"lowPeak,omitempty"`
}

// Reason is why the limit is what it is.
type Reason string

// Reasons; they are those of a condition, too.
const (
	Begun            Reason = "Begun"            // sizing began at the top
	RaisedForWaiting Reason = "RaisedForWaiting" // clients waited while all connections were in use
	RaisedForUse     Reason = "RaisedForUse"     // more than the target was in use
	Lowered          Reason = "Lowered"          // less was in use for the whole stabilization time
	Bounded          Reason = "Bounded"          // what is allowed has changed
)

// Bounds are what the limit may be. Floor <= Ceiling.
type Bounds struct {
	Floor, Ceiling int32
	TargetPercent  int32         // of the limit that should be in use at most
	Stabilization  time.Duration // how long a lower limit must have been enough
}

// Observed is what pods said, summed up.
type Observed struct {
	PeakInUse int32 // the most in use lately
	InUse     int32
	Waiting   int32 // clients
	Calm      bool  // all pods report, and nobody holds their clients back: low numbers can be trusted
}

// stepEvery is the shortest time between two steps up.
const stepEvery = time.Second

// Next is the State after what was observed.
func Next(s State, b Bounds, o Observed, now time.Time) State {
	switch {
	case s.Limit == 0:
		return State{Limit: b.Ceiling, Reason: Begun, Since: now.Unix()}
	case s.Limit < b.Floor || s.Limit > b.Ceiling:
		return State{Limit: min(max(s.Limit, b.Floor), b.Ceiling), Reason: Bounded, Since: now.Unix()}
	}
	desired := Desired(b, o)
	waits := o.Waiting > 0 && o.InUse >= s.Limit
	switch {
	case waits:
		return s.raise(min(2*s.Limit, b.Ceiling), RaisedForWaiting, now)
	case desired > s.Limit+slack(s.Limit):
		return s.raise(min(desired, b.Ceiling), RaisedForUse, now)
	case desired < s.Limit-slack(s.Limit) && s.Limit > b.Floor && o.Calm && o.Waiting == 0:
		return s.lower(max(desired, b.Floor), b.Stabilization, now)
	}
	s.LowSince, s.LowPeak = 0, 0
	return s
}

// Desired is the limit of which the target was in use.
func Desired(b Bounds, o Observed) int32 {
	percent := int64(max(b.TargetPercent, 1))
	return int32(min((100*int64(o.PeakInUse)+percent-1)/percent, int64(b.Ceiling)*2))
}

// Wants says whether clients would get a higher limit if that were allowed.
func (s State) Wants(b Bounds, o Observed) bool {
	return s.Limit >= b.Ceiling && (Desired(b, o) > b.Ceiling || o.Waiting > 0 && o.InUse >= s.Limit)
}

// slack is the difference that is none.
func slack(limit int32) int32 { return limit / 10 }

func (s State) raise(limit int32, why Reason, now time.Time) State {
	s.LowSince, s.LowPeak = 0, 0
	if limit > s.Limit && now.Sub(time.Unix(s.Since, 0)) >= stepEvery {
		s.Limit, s.Reason, s.Since = limit, why, now.Unix()
	}
	return s
}

// lower waits for the stabilization time. A clock that runs back only makes that longer.
func (s State) lower(limit int32, stabilization time.Duration, now time.Time) State {
	if s.LowSince == 0 || now.Unix() < s.LowSince {
		s.LowSince, s.LowPeak = now.Unix(), 0
	}
	s.LowPeak = max(s.LowPeak, limit)
	if now.Sub(time.Unix(s.LowSince, 0)) < stabilization {
		return s
	}
	return State{Limit: s.LowPeak, Reason: Lowered, Since: now.Unix()}
}
