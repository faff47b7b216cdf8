package control

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// asker is what asks a pod with an operator's certificate.
func asker(t *testing.T, p *pod) (ask func(query string) <-chan int) {
	ca := newAuthority(t)
	p.trusted.Store(ca.pool())
	url := serve(t, p)
	client := caller(t, ca.client(x509.ExtKeyUsageClientAuth, time.Hour))
	return func(query string) <-chan int {
		answered := make(chan int, 1)
		go func() {
			status, _, err := get(client, url+podapi.PathState+query)
			if err != nil {
				t.Error(err)
			}
			answered <- status
		}()
		return answered
	}
}

func TestAQuestionStaysOpenUntilThereAreNews(t *testing.T) {
	p := &pod{}
	ask := asker(t, p)
	open := ask("?wait=30&seen=")
	for _, query := range []string{"", "?wait=30", "?wait=0&seen=", "?wait=x&seen=", "?wait=30&seen=other"} {
		if status := <-ask(query); status != http.StatusOK {
			t.Errorf("%q is answered with %d", query, status)
		}
	}
	select {
	case <-open:
		t.Fatal("it is answered although there are no news")
	default:
	}
	news := "short: main"
	p.news.Store(&news)
	if status := <-open; status != http.StatusOK {
		t.Errorf("news are answered with %d", status)
	}
}

func TestAQuestionIsAnsweredWhenItsTimeIsOver(t *testing.T) {
	if status := <-asker(t, &pod{})("?wait=1&seen="); status != http.StatusOK {
		t.Errorf("it is answered with %d", status)
	}
}

func TestNobodyWaitsForNewsWhenThePortCloses(t *testing.T) {
	p := &pod{}
	var answered <-chan int
	t.Cleanup(func() { // after the port has closed: cleanups run backwards
		if status := <-answered; status != http.StatusOK {
			t.Errorf("it is answered with %d", status)
		}
	})
	ask := asker(t, p)
	answered = ask("?wait=30&seen=")
	for p.asked.Load() == 0 {
		<-time.After(time.Millisecond)
	}
}

func TestAPodKeepsItsCertificate(t *testing.T) {
	dir := t.TempDir()
	shown := func() []byte {
		server, err := New(&pod{}, dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return server.http.TLSConfig.Certificates[0].Certificate[0]
	}
	first := shown()
	if !bytes.Equal(shown(), first) {
		t.Error("a container that starts again shows another certificate")
	}
	other, err := New(&pod{}, t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(other.http.TLSConfig.Certificates[0].Certificate[0], first) {
		t.Error("two pods show the same certificate")
	}
	if err := os.WriteFile(filepath.Join(dir, certificateFile), []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(&pod{}, dir, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a certificate that cannot be read is replaced: the operator would not know the pod any more")
	}
	if _, err := New(&pod{}, filepath.Join(dir, "missing"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a certificate that cannot be kept is used")
	}
}
