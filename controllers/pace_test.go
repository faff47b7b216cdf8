package controllers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// roundTrips counts what comes through.
type roundTrips int

func (r *roundTrips) RoundTrip(*http.Request) (*http.Response, error) {
	*r++
	return &http.Response{Body: io.NopCloser(strings.NewReader(""))}, nil
}

// took is how long n writes take.
func took(t *testing.T, p *Pace, ctx context.Context, n int) time.Duration {
	t.Helper()
	begin := time.Now()
	for range n {
		done, err := p.wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		done()
	}
	return time.Since(begin)
}

func TestWritesKeepThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(100)
		if first := took(t, p, t.Context(), 100); first != 0 {
			t.Errorf("the first 100 took %s", first)
		}
		if next := took(t, p, t.Context(), 200); next != 2*time.Second {
			t.Errorf("200 more took %s", next)
		}
		time.Sleep(time.Hour)
		if again := took(t, p, t.Context(), 200); again != time.Second {
			t.Errorf("200 after an hour took %s", again)
		}
	})
}

func TestACrowdOfPatientWritesLetsOthersGoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(100)
		ctx, stop := context.WithCancel(patient(t.Context()))
		for range 1000 {
			go func() {
				for {
					done, err := p.wait(ctx)
					if err != nil {
						return
					}
					done()
				}
			}()
		}
		time.Sleep(10 * time.Second)
		if prompt := took(t, p, t.Context(), 20); prompt != 0 {
			t.Errorf("20 took %s", prompt)
		}
		if many := took(t, p, t.Context(), 105); many > time.Second {
			t.Errorf("105 more took %s", many)
		}
		stop()
		synctest.Wait()
	})
}

func TestPatientWritesGetAllThatNobodyElseWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(100)
		ctx := patient(t.Context())
		if first := took(t, p, ctx, 75); first != 0 {
			t.Errorf("the first 75 took %s", first)
		}
		if next := took(t, p, ctx, 500); next != 5*time.Second {
			t.Errorf("500 more took %s", next)
		}
	})
}

func TestFewPatientWritesAreUnderWayWhileOthersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(100)
		ctx, stop := context.WithCancel(patient(t.Context()))
		begun := 0
		var mu sync.Mutex
		for range 10 {
			go func() {
				if _, err := p.wait(ctx); err == nil { // and the API server does not answer
					mu.Lock()
					begun++
					mu.Unlock()
				}
			}()
		}
		synctest.Wait()
		mu.Lock()
		if begun != underWay {
			t.Errorf("%d are under way", begun)
		}
		mu.Unlock()
		if prompt := took(t, p, t.Context(), 20); prompt != 0 {
			t.Errorf("20 others took %s", prompt)
		}
		stop()
		synctest.Wait()
	})
}

func TestOnlyWritesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var through roundTrips
		p := NewPace(1)
		transport := p.Wrap(&through)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for _, method := range []string{http.MethodPatch, http.MethodGet, http.MethodGet} {
			request, _ := http.NewRequestWithContext(ctx, method, "http://api", nil)
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
		}
		request, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://api", strings.NewReader("x"))
		response, err := transport.RoundTrip(request)
		if !errors.Is(err, context.DeadlineExceeded) || through != 3 {
			t.Errorf("a write went without a token: %v", err)
			_ = response.Body.Close()
		}
	})
}
