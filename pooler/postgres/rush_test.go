package postgres

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsGivenBackWhenARushOfLoginsIsOver(t *testing.T) {
	for name, c := range map[string]struct {
		each  []int // logins, one number for each second
		after int   // seconds until memory is given back; 0: it is not
	}{
		"a few logins are none":                  {[]int{rushLogins - 1, 0, 0}, 0},
		"many at once":                           {[]int{rushLogins}, 1},
		"many in a row":                          {[]int{rushLogins, 100, 100, 0}, 3},
		"a few may still come":                   {[]int{rushLogins, rushEnd}, 1},
		"it waits for as long as many come":      {[]int{rushLogins, 100, 100, 100, 100}, 5},
		"those of half a rush and another count": {[]int{rushLogins / 2, 0, rushLogins / 2}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, at := time.Now(), 0
				r := rush{release: func() { at = int(time.Since(began).Round(time.Second) / time.Second) }}
				for _, n := range c.each {
					for range n {
						r.saw()
					}
					time.Sleep(rushLook - rushLook/100) // what comes next is seen at the next look
					synctest.Wait()
				}
				time.Sleep(2 * rushLook)
				synctest.Wait()
				if at != c.after {
					t.Errorf("memory was given back after %d s, want %d", at, c.after)
				}
			})
		})
	}
}
