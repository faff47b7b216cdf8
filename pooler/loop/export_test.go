package loop

// Working is how many goroutines work, as Work says.
func Working() int { return int(working.Load()) }

// NewRaw starts a loop that waits for so many milliseconds without telling the scheduler.
func NewRaw(milliseconds int) (*Loop, error) { return start(milliseconds) }
