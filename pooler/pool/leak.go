package pool

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// site is where a lease was acquired.
type site [24]uintptr

// here notes the callers of Acquire. Those of this package are left out when they are told.
func here() *site {
	s := new(site)
	runtime.Callers(2, s[:])
	return s
}

// String lists the functions as a stack trace does.
func (s *site) String() string {
	n := 0
	for n < len(s) && s[n] != 0 {
		n++
	}
	var b strings.Builder
	frames, own := runtime.CallersFrames(s[:n]), true
	for more := n > 0; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if own = own && ours(f.Function); !own {
			fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
	}
	return b.String()
}

// ours reports whether a function belongs to this package.
func ours(function string) bool {
	_, name, _ := strings.Cut(function, "/pooler/pool.")
	return name != ""
}

// leaks reports each lease that is held for too long, once.
func (p *Pool[C]) leaks() {
	now := p.group.now
	for e := range p.all {
		if held := now - e.lentAt; e.state == lent && e.site != nil && held >= p.cfg.LeakAfter {
			p.stat.Leaked++
			go p.reportLeak(e.site, held)
			e.site = nil
		}
	}
}

func (p *Pool[C]) reportLeak(s *site, held time.Duration) {
	p.hooks.event(Event{Kind: Leaked, Took: held, Where: s.String()})
}
