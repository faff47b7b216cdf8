package postgres

import (
	"io"
	"sync"
)

// largeInput is what a client's input takes when it is in the middle of something large.
const largeInput = 16 << 10

var largeInputs = sync.Pool{New: func() any { return new([largeInput]byte) }}

// input is what a client has sent and nobody has used yet. An idle client holds the small array only.
type input struct {
	small    [512]byte
	large    *[largeInput]byte // nil: small is in use
	from, to int
	filled   bool // the last read filled the buffer: more is likely to be there
}

func (in *input) buffer() []byte {
	if in.large != nil {
		return in.large[:]
	}
	return in.small[:]
}

func (in *input) bytes() []byte { return in.buffer()[in.from:in.to] }

// roomy says that there is room for more.
func (in *input) roomy() bool { return in.to-in.from < largeInput }

func (in *input) use(n int) { in.from += n }

// read reads once, and so that there is room for want bytes in all.
func (in *input) read(r io.Reader, want int) error {
	in.makeRoom(want)
	buf := in.buffer()[in.to:]
	n, err := r.Read(buf)
	in.to += n
	in.filled = n == len(buf)
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

func (in *input) makeRoom(want int) {
	left := in.bytes()
	switch {
	case in.large == nil && (in.filled || want > len(in.small)):
		in.large = largeInputs.Get().(*[largeInput]byte)
	case in.large != nil && !in.filled && max(len(left)+1, want) <= len(in.small):
		large := in.large
		in.large = nil
		in.from, in.to = 0, copy(in.small[:], left)
		largeInputs.Put(large)
		return
	case in.from == 0:
		return
	}
	in.from, in.to = 0, copy(in.buffer(), left)
}

// inputOf is an input that holds b, of largeInput bytes at most.
func inputOf(b []byte) *input {
	in := new(input)
	in.makeRoom(len(b))
	in.to = copy(in.buffer(), b)
	return in
}

// drop gives the memory up.
func (in *input) drop() {
	if in.large != nil {
		largeInputs.Put(in.large)
	}
	in.large, in.from, in.to = nil, 0, 0
}
