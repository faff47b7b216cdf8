package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/controllers/pods/podtest"
)

// fleet is all pods behind one port: a connection begins with a line that names the address of the pod it is for.
type fleet struct {
	listener net.Listener
	tls      *tls.Config
	accepted chan net.Conn
	server   *http.Server

	mu   sync.Mutex
	pods map[string]*pod // by address
}

type pod struct {
	*podtest.Pod
	handler http.Handler
}

type podKey struct{}

func newFleet() (*fleet, error) {
	certificate, err := selfMade()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &fleet{
		listener: listener, accepted: make(chan net.Conn), pods: map[string]*pod{},
		tls: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true},
	}
	f.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Context().Value(podKey{}).(*pod).handler.ServeHTTP(w, r)
		}),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, podKey{}, conn.(*tls.Conn).NetConn().(*forPod).pod)
		},
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	go f.accept()
	go func() { _ = f.server.Serve(f) }()
	return f, nil
}

func (f *fleet) address() string { return f.listener.Addr().String() }

func (f *fleet) close() {
	_ = f.listener.Close()
	_ = f.server.Close()
}

// add makes a pod at an address.
func (f *fleet) add(address, uid string) *podtest.Pod {
	p := podtest.New(uid)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pods[address] = &pod{Pod: p, handler: p.Handler()}
	return p
}

// accept leads connections to their pods.
func (f *fleet) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			close(f.accepted)
			return
		}
		go func() {
			reader := bufio.NewReaderSize(conn, 64)
			address, err := reader.ReadString('\n')
			f.mu.Lock()
			p := f.pods[strings.TrimSpace(address)]
			f.mu.Unlock()
			if err != nil || p == nil {
				_ = conn.Close()
				return
			}
			f.accepted <- tls.Server(&forPod{Conn: conn, reader: reader, pod: p}, f.tls)
		}()
	}
}

// Accept, Close and Addr make the fleet a net.Listener of connections that have found their pods.
func (f *fleet) Accept() (net.Conn, error) {
	conn, ok := <-f.accepted
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (f *fleet) Close() error   { return f.listener.Close() }
func (f *fleet) Addr() net.Addr { return f.listener.Addr() }

// forPod is a connection of which the first line was read.
type forPod struct {
	net.Conn
	reader *bufio.Reader
	pod    *pod
}

func (c *forPod) Read(b []byte) (int, error) { return c.reader.Read(b) }

// dialFleet is how the operator dials pods.
func dialFleet(fleet string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, fleet)
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Fprintln(conn, address); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

func selfMade() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fleet"}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
