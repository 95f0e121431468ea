package holdfast

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/seam"
)

// joint is where the rest of an answer is joined to a beginning that another attempt wrote.
type joint struct {
	joined bool
	mute   bool       // the rest's thinking is no part of the answer: it belongs to the request for the rest
	block  *block     // the text that broke off; nil once it goes on, or if a text had just ended
	seam   *seam.Seam // what the next text passes through; nil once it is certain
	torn   error      // why the rest does not fit
	before Usage      // of the attempts that wrote the beginning
	length int        // of the beginning, in bytes
}

// errWithdrawn tears a rest that its provider took back.
var errWithdrawn = errors.New("the provider withdrew it")

// mark is how far an answer had come when its provider gave a mark from which it can go on.
type mark struct {
	set  bool
	open *block // the text that was being written
	text int    // how much of it, in bytes
	next int    // the index of the next block
}

// Checkpoint notes that all that was written so far need not come again if the provider resumes the answer. A codec whose decoder is
// [Resumable] calls it whenever the decoder's mark changes.
func (w *AnswerWriter) Checkpoint() {
	open := cmp.Or(w.open, w.joint.block)
	calling := slices.ContainsFunc(w.blocks, func(b *block) bool { return !b.ended && b != open })
	w.mark = mark{set: w.joint.seam == nil && !calling, open: open, next: w.next}
	if open == nil {
		return
	}
	w.mark.text = open.text.Len()
	if _, text := open.part.(*Text); !text || open.void {
		w.mark.set = false
	}
}

// sinceCheckpoint returns the text that was written behind the last checkpoint. It reports false if there was no checkpoint, or more than
// text behind it.
func (w *AnswerWriter) sinceCheckpoint() (string, bool) {
	m := w.mark
	if !m.set || w.next > m.next+1 || (w.next > m.next && m.open != nil) {
		return "", false
	}
	if m.open != nil {
		return m.open.text.String()[m.text:], true
	}
	if w.next == m.next {
		return "", true
	}
	last := w.blocks[len(w.blocks)-1]
	_, text := last.part.(*Text)
	return last.text.String(), text
}

// partialText returns the text of an answer that broke off, if a continuation can follow it: nothing but text, with finished thinking
// before it.
func (w *AnswerWriter) partialText() (string, bool) {
	var text strings.Builder
	for _, b := range w.blocks {
		switch b.part.(type) {
		case *Text:
			text.WriteString(b.text.String())
			if b.text.Len() == 0 {
				text.WriteString(b.part.(*Text).Text) // it came in one piece
			}
		case *Thinking:
			if text.Len() > 0 || !b.ended {
				return "", false
			}
		default:
			return "", false
		}
	}
	return text.String(), strings.TrimSpace(text.String()) != ""
}

// appendTexts adds the texts of the answer as far as they have come, arguments of tool calls included.
func (w *AnswerWriter) appendTexts(all []string) []string {
	for _, b := range w.blocks {
		all = append(Parts{b.part}.appendTexts(all), b.text.String())
	}
	return all
}

// goOn returns a writer for the rest of the answer that w holds the beginning of. Its first text goes on where the last one broke off,
// with what the seam lets through.
func (w *AnswerWriter) goOn(a AIServiceAdapter, from Target, s *seam.Seam) *AnswerWriter {
	n := newAnswerWriter(a, from, w.shows)
	n.blocks, n.next, n.size = slices.Clone(w.blocks), w.next, w.size
	n.joint = joint{joined: true, seam: s, before: w.joint.before.plus(w.spent()), length: w.length()}
	n.mark = w.mark
	if i := len(n.blocks) - 1; i >= 0 {
		if last := n.blocks[i]; !last.ended {
			n.joint.block = &block{index: last.index, part: last.snapshot(), text: last.text.Fork()}
			n.blocks[i] = n.joint.block
			if n.mark.open == last {
				n.mark.open = n.joint.block
			}
		}
	}
	return n
}

// startOver returns a writer for another answer in the place of w's.
func (w *AnswerWriter) startOver(a AIServiceAdapter, from Target) *AnswerWriter {
	n := newAnswerWriter(a, from, w.shows)
	n.next = w.next
	return n
}

// bytesPerToken is the rule of thumb for what was not counted.
const bytesPerToken = 4

// spent returns the token count of an answer that broke off. What the provider did not count is estimated from the length of the text.
func (w *AnswerWriter) spent() Usage {
	u := w.usage
	if u.Exact {
		return u
	}
	written := w.length() - w.joint.length
	if n := (written + bytesPerToken - 1) / bytesPerToken; n > u.Output {
		u.Output, u.Estimated = n, true
	}
	return u
}

// length returns how many bytes of text the blocks hold.
func (w *AnswerWriter) length() (n int) {
	for _, b := range w.blocks {
		n += b.text.Len()
	}
	return n
}

// plus adds up the counts of attempts that wrote one answer.
func (u Usage) plus(v Usage) Usage {
	if u.Input == 0 && u.Output == 0 {
		return v
	}
	return Usage{
		Input: u.Input + v.Input, CacheRead: u.CacheRead + v.CacheRead, CacheWrite: u.CacheWrite + v.CacheWrite,
		CacheWriteLong: u.CacheWriteLong + v.CacheWriteLong, Output: u.Output + v.Output, Reasoning: u.Reasoning + v.Reasoning,
		Exact: u.Exact && v.Exact, Estimated: u.Estimated || v.Estimated,
	}
}

// voids reports whether a part is written for nothing.
func (w *AnswerWriter) voids(p Part) bool {
	_, thinking := p.(*Thinking)
	return thinking && w.joint.mute
}

// rejoin lets a text go on where the last one broke off, and ends that one if anything else comes.
func (w *AnswerWriter) rejoin(p Part) bool {
	if w.joint.block == nil || w.done || w.voids(p) {
		return false
	}
	if _, text := p.(*Text); !text {
		w.endJoint()
		return false
	}
	w.open, w.joint.block = w.joint.block, nil
	if had, now := w.open.part.(*Text), p.(*Text); now.Extra == nil {
		now.Extra, now.Origin = had.Extra, had.Origin
	}
	w.open.part = p
	return true
}

func (w *AnswerWriter) endJoint() {
	if b := w.joint.block; b != nil {
		w.joint.block = nil
		w.end(b)
	}
}

// takeSeam passes a piece of the rest through the seam.
func (w *AnswerWriter) takeSeam(piece []byte) []byte {
	out, err := w.joint.seam.Take(piece)
	if err != nil {
		w.joint.torn = err
		return nil
	}
	if w.joint.seam.Settled() {
		w.joint.seam = nil
	}
	return out
}

// flushSeam ends the first text of the rest: what the seam still holds is no repetition.
func (w *AnswerWriter) flushSeam(b *block) {
	s := w.joint.seam
	if s == nil {
		return
	}
	w.joint.seam = nil
	out, err := s.Flush()
	if err != nil {
		w.joint.torn = err
		return
	}
	delta := b.text.Append(out)
	w.event(Event{Type: EventText, Block: b.index, Delta: delta})
}
