package holdfast

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-ai/holdfast/internal/pace"
	"github.com/holdfast-ai/holdfast/internal/score"
)

// pacers mirror the rate limits of an endpoint's accounts, for each key and model apart, as its answers tell of them. Safe for concurrent use.
type pacers struct {
	any atomic.Bool // whether there is one
	mu  sync.Mutex
	of  map[blocked]*pace.Pacer
}

// find returns the pacer of a key and model, nil if its provider tells of no limits.
func (p *pacers) find(key, model string) *pace.Pacer {
	if !p.any.Load() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[blocked{key, model}]
}

// make returns the pacer of a key and model, a new one if need be.
func (p *pacers) make(key, model string) *pace.Pacer {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := p.of[blocked{key, model}]
	if found != nil {
		return found
	}
	if p.of == nil || len(p.of) >= maxBlocks {
		p.of = map[blocked]*pace.Pacer{}
	}
	found = new(pace.Pacer)
	p.of[blocked{key, model}] = found
	p.any.Store(true)
	return found
}

const (
	mediaTokens = 1000 // what an image or a page takes, about
	usualOutput = 500  // of an answer that is not bounded
)

// cost estimates what the request takes of its provider's limits.
func (r *ChatRequest) cost() pace.Cost {
	size, media := 0, 0
	for _, t := range r.System {
		size += len(t.Text)
	}
	for i := range r.Tools {
		size += len(r.Tools[i].Description) + len(r.Tools[i].Schema)
	}
	for i := range r.Messages {
		s, m := r.Messages[i].Parts.size()
		size, media = size+s, media+m
	}
	output := r.MaxOutputTokens
	if output == 0 {
		output = usualOutput
	}
	return pace.Cost{Input: size/bytesPerToken + media*mediaTokens, Output: output}
}

// size returns how long the text of all parts is, in bytes, and how many parts are no text.
func (parts Parts) size() (text, media int) {
	for _, part := range parts {
		switch p := part.(type) {
		case *Text:
			text += len(p.Text)
		case *ToolCall:
			text += len(p.Args)
		case *ToolResult:
			t, m := p.Parts.size()
			text, media = text+t, media+m
		case *Thinking:
			text += len(p.Text)
		default:
			media++
		}
	}
	return text, media
}

// takePace takes what the attempt costs from the mirror of its account's limits, if that was not done when it was chosen.
func (k *call) takePace(x *exchange) {
	if c := x.candidate; c.paced {
		x.run.mark, c.paced = c.mark, false
		return
	}
	if p := x.endpoint.pacers.find(x.credentials.id, x.target.Model); p != nil {
		x.run.mark = p.Took(time.Now(), k.cost)
	}
}

// seeLimits learns what an answer's head says of the account's limits.
func (k *call) seeLimits(x *exchange, h http.Header) {
	now := time.Now()
	limits, count := readLimits(h, now)
	if count == 0 {
		return
	}
	p := x.endpoint.pacers.make(x.credentials.id, x.target.Model)
	for _, l := range limits[:count] {
		p.Saw(now, x.run.mark, l.kind, l.limit, l.remaining, l.reset)
	}
	if share, ok := p.Share(now); ok {
		x.candidate.health.Headroom(now, share)
	}
}

// maxPace is the longest that a call is held back for what an answer's head said. Beyond, the provider is asked: a 429 of its own is more to be
// believed.
const maxPace = 10 * time.Second

// waitsFor reports whether the call is held back for so long. One that has not the time, and has not waited yet, asks: the estimate may be too high, and
// only the provider knows.
func (k *call) waitsFor(wait time.Duration, now time.Time) bool {
	return wait <= maxPace && (k.waited > 0 || wait == 0 || wait < k.deadline.Sub(now)-k.client.routing.genMean.Value())
}

// spillAfter is how long a call waits in all, before it leaves a tier or asks the last resort, for an account that is about to have room again.
const spillAfter = 250 * time.Millisecond

// shortWait returns the endpoint that is better than the chosen one and lacks but a moment until its account has room. k.mu is held.
func (k *call) shortWait(g group, holds []hold, s *score.Snapshot, choice score.Choice) (index int, wait time.Duration) {
	index = -1
	if holds == nil {
		return index, 0
	}
	for i := range s.Candidates {
		v := &s.Candidates[i]
		wait := holds[g.from+i].pace
		if wait <= 0 || v.BlockedFor != wait || v.Against != "" || v.Tried || v.Local || v.Breaker != score.Closed {
			continue
		}
		better := choice.Index < 0 || isBehind(&s.Candidates[choice.Index], v)
		if better && k.waited+wait <= spillAfter && wait < s.Left/4 && (index < 0 || wait < s.Candidates[index].BlockedFor) {
			index = i
		}
	}
	if index < 0 {
		return -1, 0
	}
	return index, s.Candidates[index].BlockedFor
}
