// Package sse reads a stream of server-sent events as the HTML standard defines them
// (https://html.spec.whatwg.org/multipage/server-sent-events.html), with the liberties that real servers take.
package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
)

// DefaultLimit is the largest event a Reader accepts unless told otherwise: 32 MiB.
const DefaultLimit = 32 << 20

// ErrTooLarge is wrapped by the error for an event larger than the limit.
var ErrTooLarge = errors.New("sse: event larger than the limit")

// Frame is one event. Its bytes are valid until the next call of [Reader.Next].
type Frame struct {
	Event []byte // the event field; nil if the event has none
	Data  []byte // the data lines, joined by a line feed
	// Partial is set on a last event that the body ended without the blank line that completes it. The standard drops such
	// an event; some servers end their last one so.
	Partial bool
}

// Reader reads events from a body. It holds one buffer, which grows only for an event that does not fit. Lines may end in
// LF, CRLF or CR; a byte order mark at the start is skipped; comments and the fields id and retry are read over. How the body
// is cut into reads makes no difference.
// Not safe for concurrent use.
type Reader struct {
	src    io.Reader
	limit  int
	buf    []byte
	pooled *[]byte
	start  int // where the event being read begins
	pos    int // where the next line begins
	end    int
	begun  bool
	skipLF bool // the last line ended in CR: a LF right behind it belongs to it
	err    error
	joined []byte
}

const bufSize = 32 << 10

var (
	buffers = sync.Pool{New: func() any { b := make([]byte, bufSize); return &b }}
	bom     = []byte("\xEF\xBB\xBF")
)

// NewReader returns a Reader over src that refuses events larger than limit bytes; 0 means DefaultLimit. An event is
// measured from its first byte to the end of its last line, line ends between included.
func NewReader(src io.Reader, limit int) *Reader {
	if limit <= 0 {
		limit = DefaultLimit
	}
	limit = min(limit, math.MaxInt-2*bufSize)
	p := buffers.Get().(*[]byte)
	return &Reader{src: src, limit: limit, buf: *p, pooled: p}
}

// Release gives the buffer back. No Frame of r may be used afterwards; Next returns io.EOF.
func (r *Reader) Release() {
	if r.pooled != nil {
		buffers.Put(r.pooled)
	}
	*r = Reader{err: io.EOF}
}

// span is a piece of the event being read, counted from r.start, which survives a move of the buffer.
type span struct{ from, to int }

// Next returns the next event that has data. At the end of the body it returns io.EOF, on a broken body the body's own error.
func (r *Reader) Next() (Frame, error) {
	for !r.begun && r.err == nil {
		r.fill()
	}
	r.start = r.pos
	r.joined = r.joined[:0]
	var name, data span
	lines := 0
	for {
		line, err := r.line()
		if err != nil && (err != io.EOF || lines == 0) {
			return Frame{}, err
		}
		if err != nil || line.from == line.to {
			if lines > 0 {
				return r.frame(name, data, lines, err != nil), nil
			}
			name = span{}
			r.start = r.pos
			continue
		}
		field, value := r.field(line)
		switch string(field) {
		case "data":
			if lines++; lines == 1 {
				data = value
				break
			}
			if lines == 2 {
				r.joined = append(r.joined, r.at(data)...)
			}
			r.joined = append(append(r.joined, '\n'), r.at(value)...)
		case "event":
			name = value
		default:
			if lines == 0 && name == (span{}) {
				r.start = r.pos
			}
		}
	}
}

func (r *Reader) at(s span) []byte { return r.buf[r.start+s.from : r.start+s.to] }

func (r *Reader) frame(name, data span, lines int, partial bool) Frame {
	f := Frame{Data: r.at(data), Partial: partial}
	if lines > 1 {
		f.Data = r.joined
	}
	if name.to > name.from {
		f.Event = r.at(name)
	}
	return f
}

// field splits a line at its first colon. A comment has an empty name.
func (r *Reader) field(line span) ([]byte, span) {
	b := r.at(line)
	n := bytes.IndexByte(b, ':')
	if n < 0 {
		return b, span{line.to, line.to}
	}
	value := span{line.from + n + 1, line.to}
	if n+1 < len(b) && b[n+1] == ' ' {
		value.from++
	}
	return b[:n], value
}

// line takes the next line, without its end. A last line that the body ends without a line end counts as one.
func (r *Reader) line() (span, error) {
	scanned := 0
	for {
		if r.skipLF && r.pos < r.end {
			r.skipLF = false
			if r.buf[r.pos] == '\n' {
				if r.start == r.pos {
					r.start++
				}
				r.pos++
				continue
			}
		}
		rest := r.buf[r.pos:r.end]
		n := lineEnd(rest[scanned:])
		if n < 0 {
			scanned = len(rest)
		} else {
			scanned += n
		}
		if scanned > 0 && r.pos+scanned-r.start > r.limit {
			r.err = fmt.Errorf("%w of %d bytes", ErrTooLarge, r.limit)
			r.pos = r.end
			return span{}, r.err
		}
		if n >= 0 {
			s := span{r.pos - r.start, r.pos - r.start + scanned}
			r.skipLF = rest[scanned] == '\r'
			r.pos += scanned + 1
			return s, nil
		}
		if r.err == nil {
			r.fill()
			continue
		}
		if r.err == io.EOF && len(rest) > 0 {
			s := span{r.pos - r.start, r.end - r.start}
			r.pos = r.end
			return s, nil
		}
		return span{}, r.err
	}
}

// lineEnd finds the first LF or CR. It looks at a window at a time, so that short lines that end in CR do not cost a search for
// LF through the whole buffer each.
func lineEnd(b []byte) int {
	const window = 4 << 10
	for from := 0; from < len(b); from += window {
		w := b[from:min(from+window, len(b))]
		n := bytes.IndexByte(w, '\n')
		if n >= 0 {
			w = w[:n]
		}
		if cr := bytes.IndexByte(w, '\r'); cr >= 0 {
			return from + cr
		}
		if n >= 0 {
			return from + n
		}
	}
	return -1
}

// fill reads more of the body behind what is there, making room first.
func (r *Reader) fill() {
	if r.start > 0 && (r.end == len(r.buf) || r.start == r.end) {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.pos -= r.start
		r.start = 0
	}
	if r.end == len(r.buf) {
		grown := make([]byte, min(2*len(r.buf), r.limit+bufSize))
		copy(grown, r.buf)
		r.buf = grown
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		if r.err = err; n > 0 || err != nil {
			r.byteOrderMark()
			return
		}
	}
	r.err = io.ErrNoProgress
}

// byteOrderMark skips a mark at the very start, which may arrive byte by byte.
func (r *Reader) byteOrderMark() {
	if r.begun {
		return
	}
	switch got := r.buf[:min(r.end, len(bom))]; {
	case !bytes.HasPrefix(bom, got), len(got) < len(bom) && r.err != nil:
		r.begun = true
	case len(got) == len(bom):
		r.begun = true
		r.pos, r.start = len(bom), len(bom)
	}
}
