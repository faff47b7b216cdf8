package loop_test

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
)

// A minute is longer than tests may take: if a loop's wait could not be interrupted, this would not end in time.
func TestTheWorldStopsWhileLoopsWaitWithoutTellingTheScheduler(t *testing.T) {
	for range 2 {
		l, err := loop.NewRaw(60_000)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		on(l, func() {}) // then it waits
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			runtime.GC()
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("a garbage collection waits for a loop")
	}
}

// With one processor a goroutine gets it only when the loop gives it up.
func TestGoroutinesGetTheOnlyProcessorWhileALoopWaits(t *testing.T) {
	l, err := loop.NewRaw(60_000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	old := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 10 {
			on(l, func() {})
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("a goroutine waits for the processor that a loop holds")
	}
}

// Here no signal asks a loop for its processor, so that only its own consideration can let go of it.
func TestLoopsLetGoOfTheProcessorWhileGoroutinesWork(t *testing.T) {
	const there = "WEIR_TEST_NO_SIGNALS"
	if os.Getenv(there) != "" {
		done := loop.Work()
		l, err := loop.NewRaw(60_000)
		if err != nil {
			t.Fatal(err)
		}
		runtime.GOMAXPROCS(1)
		for range 10 {
			on(l, func() {})
			runtime.Gosched() // to the loop, which waits
		}
		l.Close()
		done()
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$")
	again.Env = append(os.Environ(), there+"=1", "GODEBUG=asyncpreemptoff=1")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("a goroutine waits for the processor that a loop holds: %v\n%s", err, out)
	}
}

func TestWhoRestsDoesNotWork(t *testing.T) {
	before := loop.Working()
	done := loop.Work()
	resume := loop.Rest()
	resting := loop.Working()
	resume()
	again := loop.Working()
	done()
	if resting != before || again != before+1 || loop.Working() != before {
		t.Errorf("%d, then %d and %d count as working, where %d did before", resting, again, loop.Working(), before)
	}
}

func TestALoopIsGivenAProcessorMoreThanThereAreLoops(t *testing.T) {
	old := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
	start(t)
	if n := runtime.GOMAXPROCS(0); n < 2 {
		t.Errorf("with one loop there are %d processors", n)
	}
}
