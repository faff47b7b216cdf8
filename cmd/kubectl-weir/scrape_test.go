package main

import (
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/weir-dev/weir/pooler/agent"
	"github.com/weir-dev/weir/pooler/metrics"
	"github.com/weir-dev/weir/pooler/podapi"
)

// What a pod really exports is scraped, so that a metric that is renamed there is missed here.
func TestTopReadsWhatPodsExport(t *testing.T) {
	snapshot := agent.Snapshot{Destinations: []agent.DestinationStats{{Name: "main", Stats: agent.Stats{
		Limit: 10, Idle: 2, Lent: 3, Closing: 1, Waiting: 4, Clients: 20, Pinned: 1, Counters: agent.Counters{Transactions: 100},
		Wait: podapi.Histogram{BoundsMicroseconds: []int64{1000, 10_000}, Counts: []int64{100, 0, 0}},
	}}}}
	pod := httptest.NewServer(metrics.Handler("test", func() agent.Snapshot { return snapshot }))
	defer pod.Close()
	s := newScraper(pod.URL)
	ctx := t.Context()

	got, err := s.scrape(ctx)
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	if row := got[0].row("pod-a"); !slices.Equal(row, []string{"main", "pod-a", "10", "6", "3", "4", "20", "1", "-", "-"}) {
		t.Errorf("the first look: got %q", row)
	}

	stats := &snapshot.Destinations[0].Stats
	stats.Counters.Transactions, stats.Wait.Counts = 300, []int64{190, 9, 1}
	if got, err = s.scrape(ctx); err != nil {
		t.Fatal(err)
	}
	if wait := got[0].row("pod-a")[8]; wait != "<=10ms" {
		t.Errorf("90 of 100 new waits took 1ms, 9 took 10ms: got p95 %q", wait)
	}
	if tps := got[0].now.transactions - got[0].before.transactions; tps != 200 || got[0].elapsed <= 0 {
		t.Errorf("got %v transactions in %v", tps, got[0].elapsed)
	}
}

func TestAPodThatAnswersOtherwiseIsAnError(t *testing.T) {
	pod := httptest.NewServer(nil)
	pod.Config.Handler = nil // 404
	defer pod.Close()
	if _, err := newScraper(pod.URL + "/nothing").scrape(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestRowsAreInOrderOfDestinationAndPod(t *testing.T) {
	got := byDestination([][]string{{"b", "1"}, {"a", "2"}, {"a", "1"}})
	if want := [][]string{{"a", "1"}, {"a", "2"}, {"b", "1"}}; !slices.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("got %v", got)
	}
}
