package holdfast

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// exhausted is the error when no candidate is left.
func (k *call) exhausted(ctx context.Context) error {
	if e := contextError(ctx); e != nil {
		return k.failed(e)
	}
	k.tellStates(ctx)
	if k.last != nil {
		return k.failed(k.last)
	}
	e := k.limited(ctx)
	if e == nil {
		e = k.unavailable(ctx)
	}
	if e == nil {
		e = k.refused
	}
	if e == nil {
		e = &Error{Kind: KindNoEndpoint, Phase: PhaseBeforeSend, Message: skippedInWords(k.trail.Skipped)}
		if len(k.field) == 0 && slices.ContainsFunc(k.trail.Skipped, func(s Skip) bool { return strings.HasPrefix(s.Why, residencyWords) }) {
			e.Field = residencyWords
		}
	}
	return k.failed(e)
}

// unavailable is the error of a call that nobody was asked for, since those who may take it are ill or over their rate limits.
func (k *call) unavailable(ctx context.Context) *Error {
	holds, now := k.holds(ctx), time.Now()
	var e *Error
	for g := k.nextGroup(0); g.from < len(k.field); g = k.nextGroup(g.to) {
		s := k.view(g, holds, now)
		for i := range s.Candidates {
			v := &s.Candidates[i]
			if v.Against != "" {
				continue
			}
			if in := max(v.BlockedFor, v.ProbeIn, time.Second); e == nil || in < e.RetryAfter {
				e = &Error{Kind: KindUnavailable, Phase: PhaseBeforeSend, RetryAfter: in}
			}
		}
	}
	if e != nil {
		e.Message = skippedInWords(k.trail.Skipped)
	}
	return e
}

// limited is the error of a call that nobody was asked for, since a rate limit is in the way everywhere, or at all that can take the request.
func (k *call) limited(ctx context.Context) *Error {
	holds := k.holds(ctx)
	first := -1
	for i := range holds {
		switch wait := holds[i].wait(); {
		case k.field[i].against != "":
		case wait <= 0:
			return nil
		case first < 0 || wait < holds[first].wait():
			first = i
		}
	}
	if first < 0 {
		return nil
	}
	c := &k.field[first]
	return &Error{
		Kind: KindRateLimit, Endpoint: c.endpoint.Name, Provider: c.endpoint.dialect.Name, Model: c.model, RetryAfter: holds[first].wait(),
		Phase: PhaseBeforeSend, Message: "nothing is left for now, as earlier answers said",
	}
}

// tellStates adds to the Trail of a call that fails in which state each endpoint is that was not asked.
func (k *call) tellStates(ctx context.Context) {
	holds := k.holds(ctx)
	now := time.Now()
	for g := k.nextGroup(0); g.from < len(k.field); g = k.nextGroup(g.to) {
		s := k.view(g, holds, now)
		for i := range s.Candidates {
			if v := &s.Candidates[i]; !k.wasAsked(v.Name) {
				k.passOver(v.Name, s.Why(score.Choice{Index: -1, Reserve: -1}, i))
			}
		}
	}
}
