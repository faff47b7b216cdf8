package postgres

import "time"

// moment is a time in the 8 bytes that each of ten thousand clients has for it: nanoseconds since the process began; 0: none.
type moment int64

var began = time.Now()

func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(t.Sub(began))
}

func now() moment { return moment(time.Since(began)) }

func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return began.Add(time.Duration(m))
}

func (m moment) sub(o moment) time.Duration { return time.Duration(m - o) }
func (m moment) age() time.Duration         { return now().sub(m) }
