package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Version is a protocol version, the major number in the upper 16 bits. Requests
// that come in place of a startup packet have versions of their own.
type Version uint32

// Versions that a startup packet may name.
const (
	Version30 Version = 3 << 16
	Version32 Version = 3<<16 | 2

	SSLRequest    Version = 1234<<16 | 5679
	GSSENCRequest Version = 1234<<16 | 5680
	CancelRequest Version = 1234<<16 | 5678
)

// Major returns the major number.
func (v Version) Major() int { return int(v >> 16) }

// Minor returns the minor number.
func (v Version) Minor() int { return int(v & 0xffff) }

// ErrStartupLength says that a startup packet claims a length that PostgreSQL does
// not accept either: the connection is closed without an answer.
var ErrStartupLength = errors.New("invalid length of startup packet")

// StartupSize returns the size in bytes of the startup packet that buf begins
// with, which may be more than buf holds; 0 if buf is too short to tell.
func StartupSize(buf []byte) (int, error) {
	if len(buf) < 4 {
		return 0, nil
	}
	size := binary.BigEndian.Uint32(buf)
	if size < 8 || size > MaxStartupBody+4 {
		return 0, ErrStartupLength
	}
	return int(size), nil
}

// StartupVersion returns the version of a startup packet of StartupSize bytes.
func StartupVersion(packet []byte) Version {
	return Version(binary.BigEndian.Uint32(packet[4:]))
}

// ParseStartup returns the parameters of a startup packet in their order.
func ParseStartup(packet []byte) ([]Param, error) {
	var params []Param
	rest := packet[8:]
	for len(rest) > 0 && rest[0] != 0 {
		name, after, ok := cutText(rest)
		value, after, ok2 := cutText(after)
		if !ok || !ok2 {
			break
		}
		params = append(params, Param{Name: string(name), Value: string(value)})
		rest = after
	}
	if len(rest) != 1 {
		return nil, &ProtocolError{Message: "invalid startup packet layout: expected terminator as last byte"}
	}
	return params, nil
}

// ParseCancelRequest returns the process ID and the key of a CancelRequest. The
// key is a part of the packet.
func ParseCancelRequest(packet []byte) (pid uint32, key []byte, err error) {
	if len(packet) < 12+MinCancelKey || len(packet) > 12+MaxCancelKey {
		return 0, nil, ErrStartupLength
	}
	return binary.BigEndian.Uint32(packet[8:]), packet[12:], nil
}

// AppendStartup appends a StartupMessage: user, database, then params in order.
func AppendStartup(dst []byte, version Version, user, database string, params []Param) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(version))
	dst = appendText(appendText(dst, "user"), user)
	dst = appendText(appendText(dst, "database"), database)
	for _, p := range params {
		dst = appendText(appendText(dst, p.Name), p.Value)
	}
	return Finish(append(dst, 0), at)
}

// AppendSSLRequest appends an SSLRequest.
func AppendSSLRequest(dst []byte) []byte { return appendRequest(dst, SSLRequest) }

// AppendGSSENCRequest appends a GSSENCRequest.
func AppendGSSENCRequest(dst []byte) []byte { return appendRequest(dst, GSSENCRequest) }

func appendRequest(dst []byte, version Version) []byte {
	dst = append(dst, 0, 0, 0, 8)
	return binary.BigEndian.AppendUint32(dst, uint32(version))
}

// AppendCancelRequest appends a CancelRequest with the values of a BackendKeyData.
func AppendCancelRequest(dst []byte, pid uint32, key []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(12+len(key)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(CancelRequest))
	dst = binary.BigEndian.AppendUint32(dst, pid)
	return append(dst, key...)
}

// cutText splits b behind its first zero byte.
func cutText(b []byte) (text, rest []byte, ok bool) {
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		return nil, nil, false
	}
	return b[:end], b[end+1:], true
}
