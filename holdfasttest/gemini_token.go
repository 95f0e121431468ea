package holdfasttest

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// continuable reports whether a model gives tokens in the middle of its answers.
func (m geminiModel) continuable() bool { return m.version >= 400 }

func (f geminiForm) key(a *answer) string {
	if a.StopReason == Paused || a.Checkpoints > 0 && f.model.continuable() {
		return geminiKey(a.ask.server, a.n)
	}
	return ""
}

func geminiKey(server int64, n int) string { return fmt.Sprintf("%d %d", server, n) }

const tokenPrefix = "holdfasttest continuation "

// token stands for what an answer says behind its first k pieces of content.
func (geminiForm) token(a *answer, k int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s%d %d %d", tokenPrefix, a.ask.server, a.n, k))
}

// length returns how many pieces of content a speech is.
func (f geminiForm) length(s speech) int {
	n := len(s.chunks) + len(s.calls)
	if f.show {
		n += len(fragments(s.thinking, thought))
	}
	return n
}

// split cuts a speech behind its first k pieces.
func (f geminiForm) split(s speech, k int) (before, behind speech) {
	before, behind = s, s
	before.refusal, before.stop = "", Paused
	behind.thinking = ""
	if f.show {
		thoughts := fragments(s.thinking, thought)
		n := min(k, len(thoughts))
		before.thinking, behind.thinking = strings.Join(thoughts[:n], ""), strings.Join(thoughts[n:], "")
		k -= n
	}
	n := min(k, len(s.chunks))
	before.chunks, behind.chunks = s.chunks[:n], s.chunks[n:]
	n = min(k-n, len(s.calls))
	before.calls, behind.calls = s.calls[:n], s.calls[n:]
	return before, behind
}

func (f geminiForm) pause(a *answer) {
	if a.PauseAfter > 0 && a.PauseAfter < f.length(a.whole) && f.model.continuable() {
		before, _ := f.split(a.whole, a.PauseAfter)
		a.say(before)
	}
}

// goOn finds what is left of the answer that a request's token stands for: nil if nothing is, because the answer was scripted
// to pause there.
func (gemini) goOn(s *Server, token, model string) (*answer, *problem) {
	b, err := base64.StdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(token))
	if err != nil {
		return nil, geminiInvalid("Invalid value at 'continuation_token' (TYPE_BYTES), Base64 decoding failed for %q", token)
	}
	var server int64
	var n, k int
	_, err = fmt.Sscanf(string(b), tokenPrefix+"%d %d %d", &server, &n, &k)
	kept := s.recall(geminiKey(server, n))
	if err != nil || kept == nil || kept.ask.model != model || k < 0 {
		return nil, geminiInvalid("The continuation token is invalid or has expired.") // (unverified)
	}
	f, _ := kept.ask.form.(geminiForm)
	left := &answer{Reply: Reply{Model: kept.Model, Checkpoints: kept.Checkpoints}}
	_, rest := f.split(kept.whole, k)
	if left.say(rest); f.length(rest) == 0 && rest.stop == Paused {
		return nil, nil
	}
	return left, nil
}
