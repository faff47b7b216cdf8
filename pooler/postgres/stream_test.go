package postgres

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
)

// dribble passes on what is written in pieces, and counts them.
type dribble struct {
	net.Conn
	piece int
}

func (d dribble) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n, err := d.Conn.Write(rest[:min(d.piece, len(rest))])
		if err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(b), nil
}

func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tcpPair is a connection: a client's end, and ours.
func tcpPair(t *testing.T) (theirs, ours net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	theirs, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	ours, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return theirs, ours
}

// secured is a connection with TLS whose handshake is done: a client's end that blocks, in pieces, and ours.
func secured(t *testing.T, version uint16, piece int) (*tls.Conn, net.Conn) {
	t.Helper()
	theirs, ours := tcpPair(t)
	client := tls.Client(dribble{theirs, piece}, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	server := tls.Server(&pipe{Conn: ours}, &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return client, server
}

// collector reads a stream until it has as many bytes as it wants, and sends them back.
type collector struct {
	stream
	want int
	got  []byte
	done chan error
}

func (c *collector) Ready(ready loop.Interest) {
	if ready&loop.Write != 0 {
		c.flush()
	}
	if ready&loop.Read != 0 {
		n, err := c.read(c.lane.in)
		if gone(err) {
			c.done <- err
			c.socket.Close()
			return
		}
		c.got = append(c.got, c.lane.in[:n]...)
		if n > 0 && len(c.got) == c.want {
			c.write(c.got)
			c.end()
			c.done <- nil
		}
	}
	c.watch(true)
}

// What crypto/tls does with an error that is temporary, which no document promises, is what streams rest on.
func TestTLSWorksOnWhateverPartOfARecordHasCome(t *testing.T) {
	lane, err := newLane(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lane.Close)
	text := make([]byte, 300_000)
	rand.Read(text)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, piece := range []int{7, 1000, 1 << 20} {
			client, server := secured(t, version, piece)
			sent := text[:min(len(text), 1000*piece)]
			c := &collector{want: len(sent), done: make(chan error, 2)}
			fd, err := c.take(server)
			if err != nil {
				t.Fatal(err)
			}
			lane.Post(func() {
				c.lane = lane
				if err := c.socket.Open(lane.Loop, fd, c); err != nil {
					c.done <- err
				}
				c.watch(true)
			})
			go client.Write(sent)
			back, err := readUntilEnd(client)
			if err != nil || !bytes.Equal(back, sent) {
				t.Errorf("%s in pieces of %d: of %d bytes %d come back (%v)", tls.VersionName(version), piece, len(sent), len(back), err)
			}
			if err := <-c.done; err != nil {
				t.Error(err)
			}
			client.Close()
			<-c.done // the end is seen, too
		}
	}
}

func readUntilEnd(c net.Conn) ([]byte, error) {
	var all bytes.Buffer
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, err := all.ReadFrom(c)
	return all.Bytes(), err
}
