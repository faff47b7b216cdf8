package pool_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

func TestWhoGivesItsPlaceUpIsToldForWhatItHasWaited(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		impatient := errors.New("impatient")
		none := func(pool.Lease[*conn], error) { t.Error("it is told as well") }
		held, _ := p.Acquire(t.Context())
		ahead := p.AcquireFunc(time.Time{}, func(l pool.Lease[*conn], _ error) { l.Release() })
		place := p.AcquireFunc(time.Time{}, none)
		time.Sleep(time.Second)
		err, left := place.GiveUp(impatient)
		waited := new(pool.WaitError)
		if !left || !errors.As(err, &waited) || !errors.Is(err, impatient) || waited.Waited != time.Second || waited.Ahead != 1 {
			t.Errorf("it is told %v (%v)", err, left)
		}
		if err, left := place.GiveUp(impatient); left || err != nil {
			t.Errorf("the second time it is told %v (%v)", err, left)
		}
		if n := p.Stats().TimedOut; n != 1 {
			t.Errorf("%d are counted", n)
		}
		held.Release()
		if err, left := ahead.GiveUp(impatient); left || err != nil {
			t.Errorf("who was served is told %v (%v)", err, left)
		}
	})
}
