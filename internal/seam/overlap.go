package seam

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// MaxOverlap is how many bytes at the end of the shown text are looked at for an overlap.
const MaxOverlap = 2048

const (
	leastOverlap = 4  // bytes; fewer count only where they can hardly be chance
	leastBehind  = 12 // bytes of an overlap behind an ellipsis
	maxLead      = 16 // bytes of an ellipsis and the white space around it
)

// overlap holds the second half back while some place of the shown text reads like all of it so far, for then a longer
// overlap than any seen may still come.
//
// Each piece costs one search for what is held in the tail, and the decision as many comparisons as the tail has bytes:
// for the worst of texts, one letter again and again, a millisecond or two altogether.
type overlap struct {
	held   []byte
	plain  match
	behind match // an overlap behind an ellipsis
}

func newOverlap(shown string) *overlap {
	at := max(0, len(shown)-MaxOverlap)
	for at < len(shown) && !utf8.RuneStart(shown[at]) {
		at++
	}
	tail := []byte(shown[at:])
	return &overlap{plain: match{tail: tail, counts: speaks}, behind: match{tail: tail, counts: speaksBehind}}
}

func (o *overlap) take(piece []byte) ([]byte, bool, error) {
	if len(piece) == 0 {
		return nil, false, nil
	}
	o.held = append(o.held, piece...)
	lead, open := lead(o.held)
	if open || o.plain.grows(o.held) || lead > 0 && o.behind.grows(o.held[lead:]) {
		return nil, false, nil
	}
	out, err := o.flush()
	return out, true, err
}

func (o *overlap) flush() ([]byte, error) {
	drop := o.plain.longest(o.held)
	if n, _ := lead(o.held); n > 0 {
		if more := o.behind.longest(o.held[n:]); more > 0 {
			drop = max(drop, n+more)
		}
	}
	return o.held[drop:], nil
}

// lead returns how many bytes at the beginning of text are an ellipsis with the white space around it, 0 if there is no
// ellipsis. While it is open, more text may change that.
func lead(text []byte) (n int, open bool) {
	text = text[:min(len(text), maxLead)]
	room := len(text) < maxLead
	rest := bytes.TrimLeftFunc(text, unicode.IsSpace)
	for _, dots := range [...]string{"…", "..."} {
		if after, found := bytes.CutPrefix(rest, []byte(dots)); found {
			after = bytes.TrimLeftFunc(after, unicode.IsSpace)
			return len(text) - len(after), room && len(after) == 0
		}
		open = open || room && bytes.HasPrefix([]byte(dots), rest)
	}
	return 0, open
}

// match looks for a beginning of the second half in the tail of the shown text.
type match struct {
	tail   []byte
	counts func(tail []byte, at int) bool // whether tail[at:] would be an overlap
	at     int                            // before it, no place that counts reads like all of the second half so far
}

// grows reports whether begin, with more behind it, may become a longer overlap. Calls are for ever longer beginnings.
func (m *match) grows(begin []byte) bool {
	for ; m.at < len(m.tail); m.at++ {
		i := bytes.Index(m.tail[m.at:len(m.tail)-1], begin)
		if i < 0 {
			return false
		}
		m.at += i
		if m.counts(m.tail, m.at) {
			return true
		}
	}
	return false
}

// longest returns the length of the longest overlap with the beginning of text.
func (m *match) longest(text []byte) int {
	for n := min(len(m.tail), len(text)); n > 0; n-- {
		at := len(m.tail) - n
		if bytes.Equal(m.tail[at:], text[:n]) && m.counts(m.tail, at) {
			return n
		}
	}
	return 0
}

// speaks reports whether tail[at:] says enough to be taken for an overlap.
func speaks(tail []byte, at int) bool {
	end := tail[at:]
	if len(end) >= leastOverlap || len(bytes.TrimSpace(end)) == 0 {
		return true
	}
	first, _ := utf8.DecodeRune(end)
	before, _ := utf8.DecodeLastRune(tail[:at])
	return !unicode.IsSpace(first) && (at == 0 || unicode.IsSpace(before))
}

func speaksBehind(tail []byte, at int) bool { return len(tail)-at >= leastBehind }
