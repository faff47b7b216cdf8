package pool

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// dials is what a pool knows from its dials so far.
type dials struct {
	window   int           // parallel dials that the server is thought to take, if that is less than Config.MaxDials
	fails    int           // in a row
	err      error         // the last failure
	failedAt time.Duration // of err, on the group's clock
	failing  time.Time     // since when, if fails > 0
	rounds   int           // of backoff in a row; dials that fail together are one
	backoff  bool          // no dial until retry fires
	retryAt  time.Duration
	retry    *time.Timer
}

// room is how many dials may begin now as far as this pool is concerned; what its parties may comes on top.
func (p *Pool[C]) room() int {
	if p.closed || p.paused || p.dials.backoff {
		return 0
	}
	return max(0, min(min(p.dials.window, p.cfg.MaxDials)-p.tally[dialing], p.most()-p.open()))
}

// need is how many dials the waiting clients want now of a party, as far as the others allow. They take whatever comes first,
// so what is on its way counts, and what others will release soon. That the budget of a group allows it is not asked.
func (p *Pool[C]) need(of *party[C]) int {
	room := p.room()
	if t := p.tenant(); t != nil && t != of {
		room = min(room, max(0, t.spare()))
	}
	want := p.wanting() - p.tally[dialing] - p.tally[resetting] - p.tally[idle]
	if room == 0 || want <= 0 {
		return 0
	}
	if hope := p.hope(); hope > 0 {
		want = max(0, want-hope)
		if want == 0 && p.tally[dialing] == 0 && p.overdue() {
			want = 1
		}
	}
	return min(want, room)
}

// stock dials for Min and MinIdle, with what no waiting client needs.
func (p *Pool[C]) stock() {
	if p.cfg.Min == 0 && p.cfg.MinIdle == 0 {
		return
	}
	lacking := max(p.cfg.Min-p.held(),
		p.cfg.MinIdle+p.wanting()-p.tally[idle]-p.tally[dialing]-p.tally[resetting])
	p.fill(lacking)
}

// fill begins n more dials, as far as its limits allow, and tells how many.
func (p *Pool[C]) fill(n int) (begun uint64) {
	n = min(n, p.room())
	for _, t := range p.parties {
		n = min(n, t.spare())
	}
	for ; n > 0; n-- {
		p.grow()
		begun++
	}
	return begun
}

// grow takes a place and starts to dial.
func (p *Pool[C]) grow() {
	g := p.group
	g.wake()
	g.grants++
	p.granted = g.grants
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.DialTimeout)
	e := &entry[C]{pool: p, generation: p.generation, jitter: 0.9 + 0.1*rand.Float64(), cancel: cancel}
	p.all[e] = struct{}{}
	p.move(e, dialing)
	go p.dial(ctx, e)
}

// dial runs the Dial hook for e and brings the outcome in.
func (p *Pool[C]) dial(ctx context.Context, e *entry[C]) {
	start := time.Now()
	var conn C
	err := attempt("Dial", func() (err error) { conn, err = p.hooks.Dial(ctx); return err })
	took := time.Since(start)
	var final, refused bool
	if err != nil {
		p.hooks.event(Event{Kind: DialFailed, Err: err, Took: took})
		final, refused = says("Final", p.hooks.Final, err), says("Refused", p.hooks.Refused, err)
	} else {
		p.hooks.event(Event{Kind: Dialed, Took: took})
	}

	defer p.group.lock().unlock()
	e.back()
	e.conn = conn
	calledOff := e.state == closing
	switch {
	case err == nil && calledOff:
		p.stat.Dialed++
		go p.closeConn(e)
	case err == nil:
		p.dialed(e, took)
	case calledOff:
		p.drop(e)
		p.serve()
	default:
		p.dialFailed(e, err, final, refused)
	}
}

// dialed takes a new connection in. The server answers: the window widens and a retry need not wait.
func (p *Pool[C]) dialed(e *entry[C], took time.Duration) {
	p.stat.Dialed++
	p.stat.Dial.Observe(took)
	p.stat.LastDialed = time.Now()
	p.calm()
	mean(&p.size.dial, took)
	p.dials.fails = 0
	if p.dials.window < p.cfg.MaxDials {
		p.dials.window++
	}
	e.born = p.group.now
	e.setExpiry()
	p.settle(e)
}

// dialFailed frees the place of e and arms one retry. If the error is final, clients that wait are told, unless connections
// are there that they can have (those of before a password was changed, say); if it is a refusal, the ceiling falls.
func (p *Pool[C]) dialFailed(e *entry[C], err error, final, refused bool) {
	d, now := &p.dials, p.group.now
	p.stat.DialFailed++
	p.drop(e)
	if d.fails == 0 {
		d.failing = time.Now()
	}
	d.err, d.failedAt, d.window = err, now, 1
	d.fails++
	if final {
		p.final = err
		for w := p.queue.oldest(); w != nil && p.held() == p.tally[dialing]; w = p.queue.oldest() {
			p.stat.Refused++
			p.fail(w, err)
		}
	}
	if refused {
		p.lower()
		go p.hooks.event(Event{Kind: Lowered, Err: err, Ceiling: p.size.ceiling})
	}
	if !d.backoff && !p.closed { // of dials that fail together one counts
		p.backOff()
	}
	p.serve()
}

// backOff keeps the pool from dialing for a while that doubles with each failure.
func (p *Pool[C]) backOff() {
	d := &p.dials
	wait := min(lastRetry, firstRetry<<min(d.rounds, 6))
	d.rounds++
	wait = time.Duration((0.5 + rand.Float64()/2) * float64(wait))
	d.backoff, d.retryAt = true, p.group.now+wait
	arm(&d.retry, wait, p.retry)
}

// retry ends a backoff.
func (p *Pool[C]) retry() {
	defer p.group.lock().unlock()
	if p.dials.backoff && p.group.now >= p.dials.retryAt {
		p.dials.backoff, p.final = false, nil
		p.serve()
	}
}

// calm ends a backoff: a dial succeeded, or something changed that may let the next one. The caller serves.
func (p *Pool[C]) calm() {
	p.dials.rounds, p.dials.backoff, p.final = 0, false, nil
	if p.dials.retry != nil {
		p.dials.retry.Stop()
	}
}
