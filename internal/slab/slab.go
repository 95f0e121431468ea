// Package slab collects text that arrives in pieces, and hands out each piece as a string without an allocation of its own.
package slab

import (
	"slices"
	"unicode/utf8"
	"unsafe"
)

// Text grows by Append. The strings it hands out point into its memory, which is never written again once handed out.
// The zero Text is ready. Not safe for concurrent use.
type Text struct {
	buf  []byte
	tail [utf8.UTFMax]byte // the beginning of a character whose rest has not arrived
	held int
}

// Append adds b and returns it as a string: valid UTF-8, in which a byte that belongs to no character stands as U+FFFD.
// The beginning of a character at the end of b is held back until its rest arrives.
func (t *Text) Append(b []byte) string {
	if t.held > 0 {
		b = append(t.tail[:t.held:t.held], b...)
		t.held = 0
	}
	if !utf8.Valid(b) {
		return t.mend(b)
	}
	t.grow(len(b))
	start := len(t.buf)
	t.buf = append(t.buf, b...)
	return view(t.buf[start:])
}

// leastSize is the least room that is made.
const leastSize = 128

// grow makes room for n more bytes. The room doubles each time, also where append would be content with a quarter more: a
// long text is then copied once on average, not four times.
func (t *Text) grow(n int) {
	if cap(t.buf)-len(t.buf) < n {
		t.buf = slices.Grow(t.buf, max(n, cap(t.buf), leastSize))
	}
}

// AppendString adds s, as Append does.
func (t *Text) AppendString(s string) string {
	return t.Append(unsafe.Slice(unsafe.StringData(s), len(s)))
}

func (t *Text) mend(b []byte) string {
	t.grow(len(b))
	start := len(t.buf)
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size <= 1 {
			if !utf8.FullRune(b) {
				t.held = copy(t.tail[:], b)
				break
			}
			t.buf = append(t.buf, "\uFFFD"...)
			b = b[1:]
			continue
		}
		t.buf = append(t.buf, b[:size]...)
		b = b[size:]
	}
	return view(t.buf[start:])
}

// Flush gives up waiting for the rest of a character: each byte that was held back becomes one U+FFFD, as it would have in the
// middle of a text, and they are returned. Else "".
func (t *Text) Flush() string {
	start := len(t.buf)
	for ; t.held > 0; t.held-- {
		t.buf = append(t.buf, "\uFFFD"...)
	}
	return view(t.buf[start:])
}

// Fork returns a text that goes on from here by itself. It shares what is there so far and leaves out what is held back.
func (t *Text) Fork() Text { return Text{buf: t.buf[:len(t.buf):len(t.buf)]} }

// Holds reports whether the beginning of a character is held back.
func (t *Text) Holds() bool { return t.held > 0 }

// String returns all text so far, without copying it.
func (t *Text) String() string { return view(t.buf) }

// Len returns the number of bytes so far.
func (t *Text) Len() int { return len(t.buf) }

func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
