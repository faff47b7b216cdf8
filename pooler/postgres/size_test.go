package postgres

import (
	"testing"
	"unsafe"
)

// The allocator hands out 576 bytes and then 640, and keeps 8 of them for itself.
func TestAnIdleClientIsSmall(t *testing.T) {
	const most = 576 - 8
	if size := unsafe.Sizeof(client{}); size > most {
		t.Errorf("a client takes %d bytes, want at most %d: each of ten thousand does", size, most)
	}
}
