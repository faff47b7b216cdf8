package postgres

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// askSystem returns what the system knows; nothing if it does not tell.
func askSystem(nc net.Conn) (a answerless) {
	socket, ok := nc.(syscall.Conn)
	if !ok {
		return a
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return a
	}
	_ = raw.Control(func(fd uintptr) { // fails if it is closed
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			a.retries = max(info.Retransmits, info.Probes)
			a.silence = time.Duration(info.Last_ack_recv) * time.Millisecond
		}
	})
	return a
}
