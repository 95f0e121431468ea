package holdfast

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/holdfast-ai/holdfast/internal/score"
	"github.com/holdfast-ai/holdfast/internal/seam"
)

// Rescue says how far to go when an answer breaks off after some of it was shown. Each way down the ladder is tried only where the ones
// before cannot help:
//
//  1. the provider itself resumes the answer (Gemini 4, and OpenAI's background responses);
//  2. a model that takes a prefill goes on from exactly where the text stopped;
//  3. a model is asked in words to go on, and what it repeats is cut out;
//  4. the answer begins anew, announced by an [EventReset];
//  5. the call ends with the error and with what arrived, in [Error].Partial.
//
// A text is continued only if it is all that was shown, beside thinking before it: a refusal, a tool call, structured output and thinking that
// broke off are begun anew or given up.
type Rescue string

// How far to go.
const (
	// RescueExact is the default: ways 1 and 2, which show neither a gap nor a word twice.
	RescueExact Rescue = "exact"
	// RescueOff ends the call when the answer breaks off.
	RescueOff Rescue = "off"
	// RescueContinue adds way 3. The seam is clean, but the text behind it is another model's idea of what was to come.
	RescueContinue Rescue = "continue"
	// RescueReset adds way 4 to 1 and 2, for readers that discard what they have shown at an EventReset.
	RescueReset Rescue = "reset"
	// RescueAll allows every way.
	RescueAll Rescue = "all"
)

const rescueNames = `"exact", "off", "continue", "reset" or "all"`

func (r Rescue) valid() bool {
	return slices.Contains([]Rescue{"", RescueExact, RescueOff, RescueContinue, RescueReset, RescueAll}, r)
}

// rung is one way to go on with an answer that broke off.
type rung uint8

// The rungs of the ladder, best first.
const (
	rungNone    rung = iota // nothing broke off
	rungResume              // the provider's own resumption
	rungPrefill             // as a prefill
	rungTurn                // asked in words
	rungRestart             // anew
)

// rungWords say what an attempt is to do.
var rungWords = [...]string{"", "to resume the answer", "to continue it as a prefill", "to continue it in a turn of the user's", "to begin anew"}

// rescue is what is known of an answer that broke off.
type rescue struct {
	from *AnswerWriter // what there is of it
	text string        // its text, if that can be continued
	mark string        // from where the provider can resume it, "" if it cannot
	echo string        // what it then repeats
	by   *exchange     // where it broke off

	prefill string // what the caller let it begin with
}

// newRescue looks at an answer that broke off, or that its provider ended so that it can be resumed. One that was resumed already, and broke
// before there was another mark, can be resumed from the mark before, which was before's; nil if nothing broke off earlier.
func newRescue(x *exchange, req *ChatRequest, before *rescue) *rescue {
	r := &rescue{from: x.run.answer, by: x, prefill: ownPrefill(req)}
	if req.Output.Format != "" && !r.from.IsDone() {
		return r // half a document is nobody's to complete
	}
	if text, ok := r.from.partialText(); ok {
		r.text = text
	}
	mark := ""
	if decoder, can := x.run.live.resumable(); can {
		mark = decoder.Mark()
	} else if x.candidate.how == rungResume && !r.from.IsDone() {
		mark = before.mark
	}
	if _, does := x.adapter.(Resumer); mark == "" || !does {
		return r
	}
	if echo, ok := r.from.sinceCheckpoint(); ok {
		r.mark, r.echo = mark, echo
	}
	return r
}

// goOn looks for another attempt to go on with an answer that broke off. It returns the call's error if there is none: the one that broke the
// answer, whatever became of the attempts to rescue it, unless the call's own time or the caller's patience ended meanwhile.
func (k *call) goOn(ctx context.Context, e *Error) error {
	e = k.broken(e)
	r := k.judge(k.used, e)
	k.learn(k.used, e, r)
	if r.verdict == giveUp || r.verdict == stop || e.Kind == KindAnswerTooLarge || k.isSpent() && !k.hasResort() {
		return k.failed(e)
	}
	k.rescue = newRescue(k.used, k.request, k.rescue)
	k.field = k.ladder(e, r)
	if k.climb(ctx, e) == nil {
		return nil
	}
	if ended := contextError(ctx); ended != nil {
		ended.Phase, ended.Sent, ended.Partial = PhaseMidStream, true, e.Partial
		e = ended
	}
	return k.failed(e)
}

// resume goes on with an answer that its provider ended in order to be asked for the rest. It reports false if there is no such rest; if it
// cannot be had, the caller sees the answer as the provider gave it, with a token to go on in its Extra.
func (k *call) resume(ctx context.Context) bool {
	x := k.used
	policy := k.rescuePolicy()
	if x.run.answer.Stopped().Reason != StopResumable || policy == RescueOff || k.isSpent() {
		return false
	}
	k.rescue = newRescue(x, k.request, k.rescue)
	if k.rescue.mark == "" {
		return false
	}
	c := x.candidate.afresh()
	c.how, c.why = rungResume, rungWords[rungResume]+", which the provider ended to be asked for the rest; "+x.endpoint.where
	k.field = []candidate{c}
	return k.climb(ctx, nil) == nil
}

// hasResort reports whether a local endpoint may be asked beyond the attempts that are counted.
func (k *call) hasResort() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mayAskLocal() && slices.ContainsFunc(k.field, func(c candidate) bool { return c.endpoint.Local })
}

// climb runs the attempts that are queued to go on with the answer in k.used.
func (k *call) climb(ctx context.Context, e *Error) error {
	by := k.used
	by.finish()
	k.mu.Lock()
	k.used, k.last, k.final, k.leader, k.over = nil, e, nil, nil, false
	k.pauses, k.parked, k.waited, k.asksAt, k.free = 0, 0, 0, time.Time{}, false
	if k.guardDue = false; k.guard != nil {
		s := score.Snapshot{Left: time.Until(k.deadline), LocalMean: k.client.routing.localMean.Value()}
		k.guard.Reset(max(s.Guard(), s.Left/guardShare))
	}
	again := !slices.ContainsFunc(k.field, func(c candidate) bool { return !c.failed })
	k.mu.Unlock()
	if k.breaks++; again && k.breaks > 1 { // and nobody else is there: not at once, time after time
		sleep(ctx, score.Pause(k.breaks-2, nil))
	}
	err := k.run(ctx)
	if err != nil {
		k.used = by
	}
	return err
}

// rescuePolicy is how far this call may go.
func (k *call) rescuePolicy() Rescue {
	return cmp.Or(k.request.Rescue, k.client.config.Retry.Rescue, RescueExact)
}

// ladder lists the ways to go on with an answer, best first.
func (k *call) ladder(e *Error, r rule) []candidate {
	policy := k.rescuePolicy()
	if policy == RescueOff && k.events {
		return nil
	}
	var list []candidate
	add := func(how rung, candidates ...candidate) {
		for _, c := range candidates {
			c.how, c.why = how, rungWords[how]+"; "+c.why
			list = append(list, c)
		}
	}
	others := k.candidatesAfter(e, r)
	if policy != RescueOff {
		if k.rescue.mark != "" {
			add(rungResume, k.only(others)...)
		}
		if k.rescue.text != "" {
			add(rungPrefill, others...)
		}
		if k.rescue.text != "" && (policy == RescueContinue || policy == RescueAll) {
			add(rungTurn, others...)
		}
	}
	if policy == RescueReset || policy == RescueAll || !k.events {
		add(rungRestart, others...)
	}
	return list
}

// only returns the candidate whose answer broke off.
func (k *call) only(candidates []candidate) []candidate {
	i := slices.IndexFunc(candidates, func(c candidate) bool { return c.endpoint == k.rescue.by.endpoint })
	if i < 0 {
		return nil
	}
	return candidates[i : i+1]
}

// maxFailures is how often an endpoint may fail a call before one of another tier is asked to go on.
const maxFailures = 2

// candidatesAfter lists who may go on. Within a tier, those that failed the call come behind those that did not; who failed too often comes
// behind all others, lest a tier that breaks every answer uses up the attempts.
func (k *call) candidatesAfter(e *Error, r rule) []candidate {
	f := k.filter()
	all, _ := f.allowed(nil)
	by := k.rescue.by.candidate
	failures := func(c *candidate) (n int) {
		for _, a := range k.trail.Attempts {
			if a.Endpoint == c.endpoint.Name && a.Kind != KindLost {
				n++
			}
		}
		return n
	}
	if r.verdict == otherModel {
		all = slices.DeleteFunc(all, func(c candidate) bool {
			return c.model == by.model && c.endpoint.dialect.Name == by.endpoint.dialect.Name
		})
	}
	for i := range all {
		c := &all[i]
		n := failures(c)
		c.failed = n > 0 || c.endpoint == by.endpoint
		if i := slices.IndexFunc(k.field, func(old candidate) bool { return old.endpoint == c.endpoint }); i >= 0 {
			c.resumes = k.field[i].resumes
		}
		if n >= maxFailures {
			c.rank += rankWorn
		}
	}
	return all
}

// request returns what is asked to go on with the answer. r may be nil.
func (r *rescue) request(how rung, req *ChatRequest) *ChatRequest {
	if how != rungPrefill && how != rungTurn {
		return req
	}
	next := *req
	next.Messages = slices.Clip(req.Messages)
	said := AssistantText(strings.TrimRightFunc(r.text, unicode.IsSpace))
	if last := len(req.Messages) - 1; req.Messages[last].Role == RoleAssistant { // the answer was a continuation itself
		said = follow(req.Messages[last], said.Text())
		next.Messages = slices.Clip(req.Messages[:last])
	}
	next.Messages = append(next.Messages, said)
	if how == rungTurn {
		next.Messages = append(next.Messages, UserText(continuePrompt(r.text)))
	}
	if next.MaxOutputTokens > 0 {
		next.MaxOutputTokens = max(next.MaxOutputTokens-r.from.joint.before.plus(r.from.spent()).Output, leastOutput)
	}
	return &next
}

// follow returns a message with a text behind its last part.
func follow(m Message, text string) Message {
	parts := slices.Clone(m.Parts)
	if last, ok := parts[len(parts)-1].(*Text); ok {
		parts[len(parts)-1] = &Text{Text: last.Text + text}
	} else {
		parts = append(parts, &Text{Text: text})
	}
	return Message{Role: m.Role, Parts: parts}
}

const (
	// leastOutput is the least bound on the rest of an answer; OpenAI's Responses takes none below 16 (unverified).
	leastOutput = 16
	// reminder is how much of the end of a text the model is reminded of, in bytes.
	reminder = 200
)

// continuePrompt asks a model to go on, in the way that Anthropic's migration guides advise for models without prefill.
func continuePrompt(text string) string {
	end := text[max(0, len(text)-reminder):]
	return "Your previous response was interrupted. It ends with:\n\n" + strings.ToValidUTF8(end, "") +
		"\n\nContinue from exactly where it stopped, beginning with the very next character. Do not repeat anything, " +
		"do not comment on the interruption, and do not start over."
}

// encode encodes the request for one endpoint. r may be nil.
func (r *rescue) encode(dst []byte, x *exchange, req *ChatRequest) (Encoded, error) {
	switch x.candidate.how {
	case rungResume:
	case rungPrefill:
		if continues(x) == NoContinuation {
			return Encoded{}, Unsupported("messages", "this model continues no message of the assistant")
		}
		fallthrough
	default:
		return x.adapter.Encode(dst, req, x.target)
	}
	resumer, ok := x.adapter.(Resumer)
	if !ok {
		return Encoded{}, Unsupported("", "this provider resumes no answer")
	}
	return resumer.Resume(dst, req, x.target, r.mark)
}

func continues(x *exchange) Continuation {
	if c, ok := x.adapter.(Continuer); ok {
		return c.Continues(x.target)
	}
	return NoContinuation
}

// writer returns where an answer is written: by itself, or behind what there is. r may be nil.
func (r *rescue) writer(x *exchange, s shows, req *ChatRequest) *AnswerWriter {
	switch x.candidate.how {
	case rungNone:
		w := newAnswerWriter(x.adapter, x.target, s)
		w.joint.seam = ownPrefillSeam(x, req)
		return w
	case rungRestart:
		w := r.from.startOver(x.adapter, x.target)
		w.joint.seam = ownPrefillSeam(x, req)
		return w
	}
	w := r.from.goOn(x.adapter, x.target, r.seam(x))
	w.joint.mute = x.candidate.how != rungResume
	return w
}

// ownPrefill returns what the caller himself let the answer begin with.
func ownPrefill(req *ChatRequest) string {
	if last := req.Messages[len(req.Messages)-1]; last.Role == RoleAssistant {
		return last.Text()
	}
	return ""
}

// ownPrefillSeam takes the caller's own prefill off an answer that says it again, nil if there is none.
func ownPrefillSeam(x *exchange, req *ChatRequest) *seam.Seam {
	said := ownPrefill(req)
	if said == "" || continues(x) != ContinuesAnew {
		return nil
	}
	sent := strings.TrimRightFunc(said, unicode.IsSpace)
	return seam.Again(sent, said[len(sent):])
}

// seam returns what the rest passes through before it is shown.
func (r *rescue) seam(x *exchange) *seam.Seam {
	switch x.candidate.how {
	case rungResume:
		return seam.Echo(r.echo)
	case rungTurn:
		return seam.Retold(r.text)
	}
	sent := strings.TrimRightFunc(r.text, unicode.IsSpace)
	if continues(x) == ContinuesAnew {
		return seam.Again(r.prefill+sent, r.text[len(sent):])
	}
	return seam.Space(r.text[len(sent):])
}

// seamError is the error of an attempt whose rest of an answer does not fit what was shown.
func seamError(err error) *Error {
	return &Error{Kind: KindMalformed, Phase: PhaseFirstEvent, Message: "the rest of the answer does not fit its beginning", Err: err}
}
