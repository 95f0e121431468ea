// Package seam is the place where a text that broke off is joined to its second half.
package seam

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

// ErrMismatch tells that the second half is not the one that was asked for: it does not repeat what it must.
var ErrMismatch = errors.New("seam: the second half does not repeat the first")

// A Seam joins two halves of a text. The first was shown to a reader and stays as it is; of the second, which comes in pieces,
// it drops what repeats the first. It holds back no more than it must to be certain, so how the second half is cut into
// pieces makes no difference to what is passed on.
//
// Texts and pieces are valid UTF-8. The zero Seam drops nothing. Not safe for concurrent use.
type Seam struct {
	half half // nil once the Seam is settled
	err  error
}

// half is a second half of which something is still to be decided.
type half interface {
	// take returns what of piece, and of what was held back, can be passed on; done means that all that follows can, too.
	take(piece []byte) (out []byte, done bool, err error)
	// flush returns what is held back and no repetition.
	flush() ([]byte, error)
}

// Echo is the seam of a second half that begins with repeat, byte for byte: a provider resumes from a checkpoint, and what was
// shown behind it comes again. Anything else is ErrMismatch, also an end within repeat: a text that ends there is shorter than
// what was shown. A second half that broke off itself is not flushed.
func Echo(repeat string) *Seam {
	if repeat == "" {
		return &Seam{}
	}
	return &Seam{half: &echo{repeat}}
}

// Space is the seam of a second half that was asked for without the white space at the end of the first, since some providers
// refuse a text that ends so. It may begin with that white space again: what it has in common with the beginning of stripped,
// in whole characters, is dropped.
func Space(stripped string) *Seam {
	if stripped == "" {
		return &Seam{}
	}
	return &Seam{half: &space{stripped}}
}

// Overlap is the seam of a second half by a model that was asked in words to go on: it often begins with the last words of
// shown. What is both the end of shown and the beginning of the second half is dropped, the longest such text of at most
// [MaxOverlap] bytes.
//
// A short one is more likely chance ("book" + "keeping"). Below 4 bytes it counts only if it is white space, or begins a
// word of shown. An ellipsis at the beginning of the second half, with the white space around it, is dropped together with
// an overlap that follows, if that has at least 12 bytes.
func Overlap(shown string) *Seam {
	if shown == "" {
		return &Seam{}
	}
	return &Seam{half: newOverlap(shown)}
}

// Take adds a piece of the second half and returns what can be shown now. That is valid until the next call, and as long as
// piece is not changed. After an error, which only an Echo has, every call returns it again.
func (s *Seam) Take(piece []byte) ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.half == nil {
		return piece, nil
	}
	out, done, err := s.half.take(piece)
	return s.end(out, done, err)
}

// Flush returns what is still held back and no repetition: the second half ended. A Seam is settled by it.
func (s *Seam) Flush() ([]byte, error) {
	if s.half == nil {
		return nil, s.err
	}
	out, err := s.half.flush()
	return s.end(out, true, err)
}

func (s *Seam) end(out []byte, done bool, err error) ([]byte, error) {
	if done || err != nil {
		s.half, s.err = nil, err
	}
	return out, err
}

// Settled reports whether everything passes from now on.
func (s *Seam) Settled() bool { return s.half == nil && s.err == nil }

type echo struct {
	rest string // of the repetition, not yet come
}

func (e *echo) take(piece []byte) ([]byte, bool, error) {
	n := min(len(piece), len(e.rest))
	if string(piece[:n]) != e.rest[:n] {
		return nil, false, ErrMismatch
	}
	e.rest = e.rest[n:]
	return piece[n:], e.rest == "", nil
}

func (e *echo) flush() ([]byte, error) { return nil, ErrMismatch }

type space struct {
	rest string // of the stripped white space, not yet come
}

func (s *space) take(piece []byte) ([]byte, bool, error) {
	for len(piece) > 0 && s.rest != "" {
		_, n := utf8.DecodeRune(piece)
		if !bytes.HasPrefix([]byte(s.rest), piece[:n]) {
			return piece, true, nil
		}
		piece, s.rest = piece[n:], s.rest[n:]
	}
	return piece, s.rest == "", nil
}

func (s *space) flush() ([]byte, error) { return nil, nil }
