package holdfast

import (
	"strconv"
	"strings"
)

// A Continuer is an [AIServiceAdapter] that knows models which go on with a text of theirs: a last message of the assistant, a prefill.
// Without it a last message of the assistant's counts as a finished turn, and answers that break off are not continued there.
type Continuer interface {
	Continues(to Target) Continuation
}

// Continuation says what a model answers behind a last message of the assistant.
type Continuation uint8

// The continuations.
const (
	// NoContinuation: it is a finished turn. Another answer follows, or an error.
	NoContinuation Continuation = iota
	// ContinuesBehind: the answer is what comes behind the text.
	ContinuesBehind
	// ContinuesAnew: the answer begins with the text itself.
	ContinuesAnew
)

// A Resumable is a [StreamDecoder] that can say from where its provider could go on if the stream broke now. Its adapter is a [Resumer].
type Resumable interface {
	// Mark returns the provider's mark, "" if there is none. See [AnswerWriter.Checkpoint].
	Mark() string
}

// A Resumer is an [AIServiceAdapter] whose provider can itself go on with an answer that broke off.
type Resumer interface {
	// Resume encodes the request, as Encode does, for what comes behind a mark that a [Resumable] gave. What was shown since the mark is
	// expected to come again, and is not shown twice.
	Resume(dst []byte, req *ChatRequest, to Target, mark string) (Encoded, error)
}

// Continues implements [Continuer].
func (claudeAdapter) Continues(to Target) Continuation {
	if claudeModelOf(to.Model).prefill {
		return ContinuesBehind
	}
	return NoContinuation
}

// Continues implements [Continuer]. Of models that are not Gemini nothing is known.
func (geminiAdapter) Continues(to Target) Continuation {
	if m := geminiModelOf(to.Model); m.prefill && m.prefix != "" {
		return ContinuesBehind
	}
	return NoContinuation
}

// Resume implements [Resumer]: the same request with the token of the last checkpoint.
func (a geminiAdapter) Resume(dst []byte, req *ChatRequest, to Target, mark string) (Encoded, error) {
	e, err := a.Encode(dst, req, to)
	if err == nil {
		e.Body = append(e.Body[:len(e.Body)-1], `,"continuationToken":`+mark+`}`...)
	}
	return e, err
}

// Mark implements [Resumable]: the last token, as JSON, unless the answer ended for another reason than to be asked for the rest.
func (d *geminiDecoder) Mark() string {
	if d.blocked || d.failure != nil || (d.finish != "" && d.finish != StopResumable) {
		return ""
	}
	return string(d.beside[geminiToken])
}

// Continues implements [Continuer].
func (a chatAdapter) Continues(Target) Continuation {
	switch a.profile.prefill {
	case prefillNever:
		return NoContinuation
	case prefillPrefix: // Mistral repeats the prefix (unverified)
		return ContinuesAnew
	}
	return ContinuesBehind
}

// Resume implements [Resumer] for answers that were asked for in the background and stored, through [ChatRequest].Extra.
func (responsesAdapter) Resume(_ []byte, _ *ChatRequest, to Target, mark string) (Encoded, error) {
	if !to.Stream {
		return Encoded{}, Unsupported("", "only a stream is resumed")
	}
	id, after, _ := strings.Cut(mark, " ")
	return Encoded{Method: "GET", Path: "/responses/" + id + "?stream=true&starting_after=" + after}, nil
}

// checkpoint notes an item's beginning as the place to resume from. It stays at the first text: the end of a resumed answer tells all its
// items again, and of those that were shown before, nothing would be known.
func (d *responsesDecoder) checkpoint(sequence int, out *AnswerWriter) {
	if !d.background || d.id == "" || out.wrote {
		return
	}
	out.End()
	out.Checkpoint()
	d.from = d.id + " " + strconv.Itoa(sequence-1)
}

// responsesPathID returns an id that may stand in a path, "" of any other.
func responsesPathID(id string) string {
	if foldID(id, "_-", 256) != id {
		return ""
	}
	return id
}

// Mark implements [Resumable].
func (d *responsesDecoder) Mark() string { return d.from }
