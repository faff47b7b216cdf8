package postgres

import (
	"time"

	"golang.org/x/sys/unix"
)

// askSystem returns what the system knows about a socket's other side; nothing if it does not tell.
func askSystem(fd int) (a answerless) {
	if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		a.retries = max(info.Retransmits, info.Probes)
		a.silence = time.Duration(info.Last_ack_recv) * time.Millisecond
	}
	return a
}
