package loop

import (
	"syscall"
	"unsafe"
)

// epollWait waits without telling the scheduler, which must get the processor back soon.
func epollWait(epoll int, events []syscall.EpollEvent, milliseconds int) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(milliseconds), 0, 0)
	return int(n), err
}

// epollSleep waits for as long as it takes; the scheduler uses the processor meanwhile.
func epollSleep(epoll int, events []syscall.EpollEvent) (int, syscall.Errno) {
	const forever = ^uintptr(0)
	n, _, err := syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), forever, 0, 0)
	return int(n), err
}

// receive, send, accept and shut do not block, so that the scheduler need not know of them either.
func receive(fd int32, b []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		syscall.MSG_DONTWAIT, 0, 0)
	return int(n), err
}

func send(fd int32, b []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	return int(n), err
}

func accept(fd int32) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(fd), 0, 0, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
	return int(n), err
}

// shut closes a socket, whose last bytes are sent in the background.
func shut(fd int32) { _, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0) }

func eventfd() (int, error) {
	fd, _, err := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != 0 {
		return 0, err
	}
	return int(fd), nil
}

// ring wakes who waits for an eventfd, still does until it is hushed.
func ring(fd int) {
	one := [8]byte{1}
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&one)), 8)
}

func hush(fd int) {
	var count [8]byte
	_, _, _ = syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&count)), 8)
}
