package health

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReadinessSaysWhyNotAndLivenessDoesNotCare(t *testing.T) {
	var reasons []string
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "numbers") })
	server := New(func() []string { return reasons }, metrics, slog.New(slog.DiscardHandler))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	client := &http.Client{Transport: &http.Transport{}}
	expect := func(path string, status int, says string) {
		t.Helper()
		response, err := client.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != status || string(body) != says {
			t.Errorf("%s: %d %q %v, want %d %q", path, response.StatusCode, body, err, status, says)
		}
	}
	expect("/readyz", http.StatusOK, "ready\n")
	expect("/healthz", http.StatusOK, "ok\n")
	expect("/metrics", http.StatusOK, "numbers")
	reasons = []string{"the pod leaves", "no limit"}
	expect("/readyz", http.StatusServiceUnavailable, "not ready:\n- the pod leaves\n- no limit\n")
	expect("/healthz", http.StatusOK, "ok\n")
	expect("/other", http.StatusNotFound, "404 page not found\n")

	client.CloseIdleConnections()
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
