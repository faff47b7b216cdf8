package lookup

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

const age = 30 * time.Second

// source counts what is fetched.
type source struct {
	fetched int
	value   string
	found   bool
	err     error
	old     string
}

func (s *source) fetch(old string) (string, bool, error) {
	s.fetched++
	s.old = old
	return s.value, s.found, s.err
}

func find(t *testing.T, c *Cache[string], user string, s *source) (string, bool) {
	t.Helper()
	value, found, err := c.Find(t.Context(), user, age, s.fetch)
	if err != nil {
		t.Fatal(err)
	}
	return value, found
}

func TestWhatIsFoundIsRememberedForAWhile(t *testing.T) {
	for name, found := range map[string]bool{"a user": true, "a name of nobody": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := NewCache[string](), &source{value: "one", found: found}
				find(t, c, "u", s)
				time.Sleep(age - 1)
				if _, got := find(t, c, "u", s); got != found || s.fetched != 1 {
					t.Errorf("found %v, fetched %d times", got, s.fetched)
				}
				time.Sleep(time.Nanosecond)
				find(t, c, "u", s)
				if s.fetched != 2 || s.old != "one" {
					t.Errorf("fetched %d times, the last with %q", s.fetched, s.old)
				}
			})
		})
	}
}

func TestWhatIsDoubtedIsFetchedAgainButNotAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := NewCache[string](), &source{found: true}
		find(t, c, "u", s)
		c.Doubt("u")
		c.Doubt("nobody")
		find(t, c, "u", s)
		if s.fetched != 1 {
			t.Error("fetched again at once")
		}
		time.Sleep(doubtAfter)
		find(t, c, "u", s)
		time.Sleep(doubtAfter)
		find(t, c, "u", s)
		if s.fetched != 2 {
			t.Errorf("fetched %d times", s.fetched)
		}
	})
}

func TestAnErrorIsNotRememberedAndWhatWasKnownStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := NewCache[string](), &source{value: "one", found: true}
		find(t, c, "u", s)
		c.Age()
		s.err = errors.New("the server is down")
		if _, _, err := c.Find(t.Context(), "u", age, s.fetch); err != s.err {
			t.Errorf("error %v", err)
		}
		if value, found := c.Last("u"); value != "one" || !found {
			t.Errorf("last known: %q, %v", value, found)
		}
		s.err = nil
		find(t, c, "u", s)
		if s.fetched != 3 {
			t.Errorf("fetched %d times", s.fetched)
		}
	})
}

func TestClientsThatComeAtOnceShareAFlightAndMayLeaveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string]()
		begun, land := 0, make(chan struct{})
		fetch := func(string) (string, bool, error) {
			begun++
			<-land
			return "one", true, nil
		}
		errLeft := errors.New("left")
		leaves, leave := context.WithCancelCause(t.Context())
		outcomes := make(chan error, 3)
		for _, ctx := range []context.Context{leaves, t.Context(), t.Context()} {
			go func() {
				_, _, err := c.Find(ctx, "u", age, fetch)
				outcomes <- err
			}()
		}
		synctest.Wait()
		leave(errLeft)
		if err := <-outcomes; err != errLeft {
			t.Errorf("who leaves is told %v", err)
		}
		close(land)
		for range 2 {
			if err := <-outcomes; err != nil {
				t.Error(err)
			}
		}
		if begun != 1 {
			t.Errorf("%d flights", begun)
		}
	})
}

func TestFlightsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string]()
		now, land := make(chan struct{}, 100), make(chan struct{})
		fetch := func(string) (string, bool, error) {
			now <- struct{}{}
			<-land
			return "", false, nil
		}
		done := make(chan struct{})
		for i := range MaxFlights + 5 {
			go func() {
				c.Find(t.Context(), fmt.Sprint(i), age, fetch)
				done <- struct{}{}
			}()
		}
		synctest.Wait()
		if len(now) != MaxFlights {
			t.Errorf("%d flights at a time", len(now))
		}
		ctx, leave := context.WithCancelCause(t.Context())
		leave(context.DeadlineExceeded)
		if _, _, err := c.Find(ctx, "one more", age, fetch); err != context.DeadlineExceeded {
			t.Errorf("who waits for a place and leaves is told %v", err)
		}
		close(land)
		for range MaxFlights + 5 {
			<-done
		}
		if len(now) != MaxFlights+5 {
			t.Errorf("%d flights in all", len(now))
		}
	})
}

func TestNamesMadeUpDoNotPushOutUsersAndWhoIsHeldStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string]()
		user, nobody := &source{found: true}, &source{}
		find(t, c, "held", user)
		find(t, c, "user", user)
		release := c.Hold("held")
		c.Hold("nobody we know")()
		for i := range MaxUnknown + 10 {
			find(t, c, fmt.Sprint("x", i), nobody)
		}
		if _, found := c.Last("user"); !found || c.Len() != MaxUnknown+2 {
			t.Errorf("the user is known: %v, %d are remembered", found, c.Len())
		}
		for i := range MaxKnown {
			find(t, c, fmt.Sprint("y", i), user)
		}
		if _, found := c.Last("user"); found || c.Len() != MaxUnknown+MaxKnown+1 {
			t.Errorf("the user who was found first is known: %v, %d are remembered", found, c.Len())
		}
		if _, found := c.Last("held"); !found {
			t.Error("who is held is not known any more")
		}
		release()
		release()
		if _, found := c.Last("held"); !found || c.Len() != MaxUnknown+MaxKnown {
			t.Errorf("who was held last is known: %v, %d are remembered", found, c.Len())
		}
		find(t, c, "z", user)
		if c.Len() != MaxUnknown+MaxKnown {
			t.Errorf("%d are remembered", c.Len())
		}
	})
}
