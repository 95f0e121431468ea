package holdfast

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/holdfast-ai/holdfast/internal/pace"
	"github.com/holdfast-ai/holdfast/internal/score"
)

// routing is what the calls of a client share to decide where each of them goes. Safe for concurrent use.
type routing struct {
	budget    score.Budget
	probes    score.Probes
	parking   score.Parking
	affinity  score.Affinity
	seed      maphash.Seed // of the hashes by which conversations are known
	localMean *score.Mean
	genMean   *score.Mean
	pairs     bool // there are two endpoints to choose from, or more, that are not local
	locals    bool // there are local ones
	clouds    bool // there are others
}

func newRouting(c *Config) *routing {
	r := &routing{seed: maphash.MakeSeed(), localMean: score.NewLocalMean(), genMean: score.NewGenMean()}
	r.probes.Cold, r.probes.Idle, r.probes.Off = c.Probes.Cold, c.Probes.Idle, c.Probes.By == ProbeOff
	for i := range c.Endpoints {
		switch {
		case c.Endpoints[i].Local:
			r.locals = true
		case r.clouds:
			r.pairs = true
		default:
			r.clouds = true
		}
	}
	return r
}

// Parts of a conversation's beginning that are hashed, in bytes, so that long prompts cost little.
const hashedText = 1 << 10

// conversation returns what the request's conversation is known by: its own name for it, else its beginning, which stays the same as it grows.
func (r *routing) conversation(req *ChatRequest) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	if req.Conversation != "" {
		_, _ = h.WriteString(req.Conversation)
		return h.Sum64()
	}
	write := func(text string) {
		_ = h.WriteByte(0)
		_, _ = h.WriteString(text[:min(len(text), hashedText)])
		_, _ = h.WriteString(text[max(0, len(text)-hashedText):])
	}
	_, _ = h.WriteString(req.Model)
	for _, t := range req.System {
		write(t.Text)
	}
	for _, part := range req.Messages[0].Parts {
		if t, ok := part.(*Text); ok {
			write(t.Text)
		}
	}
	return h.Sum64()
}

// hold is what keeps a candidate from being asked now, beside its health: the state of its key.
type hold struct {
	against string
	limited time.Duration // for so long it is over its rate limit
	pace    time.Duration // for so long it would be, if it were asked now
	pacer   *pace.Pacer
}

// wait is how long the rate limit keeps the call away.
func (h *hold) wait() time.Duration { return max(h.limited, h.pace) }

// blockNow returns the key, and whether it is blocked for a model. The key's source is asked only if the key that was used last is blocked: it may
// have another by now.
func (e *endpoint) blockNow(ctx context.Context, model string) (*credentials, keyBlock, bool) {
	cred := e.credentials.Load()
	if cred != nil {
		if b, is := e.blocks.find(cred.id, model, time.Now()); !is {
			return cred, b, false
		}
	}
	cred, err := e.credentialsNow(ctx)
	if err != nil {
		return nil, keyBlock{}, false
	}
	b, is := e.blocks.find(cred.id, model, time.Now())
	return cred, b, is
}

// holds looks up what is known of the candidates' keys. It is called without k.mu: a KeySource may take its time.
func (k *call) holds(ctx context.Context) []hold {
	var list []hold
	for i := range k.field {
		c := &k.field[i]
		if c.endpoint.isKeyless() {
			if list == nil {
				list = make([]hold, len(k.field))
			}
			list[i].against = "its key did not come in time"
			continue
		}
		if !c.endpoint.blocks.any.Load() && !c.endpoint.pacers.any.Load() {
			continue
		}
		cred, b, is := c.endpoint.blockNow(ctx, c.model)
		if cred == nil {
			continue // encode reports it
		}
		now := time.Now()
		pacer := c.endpoint.pacers.find(cred.id, c.model)
		if !is && pacer == nil {
			continue
		}
		if list == nil {
			list = make([]hold, len(k.field))
		}
		switch h := &list[i]; {
		case is && b.kind == KindRateLimit:
			h.limited = b.until.Sub(now)
		case is:
			h.against = b.why(now)
		default:
			if wait := pacer.Wait(now, k.cost); k.waitsFor(wait, now) {
				h.pacer, h.pace = pacer, wait
			}
		}
	}
	return list
}

// group is the candidates of one way to go on, from one index of the field up to another.
type group struct{ from, to int }

// nextGroup returns the group that begins at an index of the field. There is one, unless an answer that broke off is to go on.
func (k *call) nextGroup(from int) group {
	to := from + 1
	for to < len(k.field) && k.field[to].how == k.field[from].how {
		to++
	}
	return group{from, to}
}

// view is what the choice within a group depends on now. k.mu is held.
func (k *call) view(g group, holds []hold, now time.Time) score.Snapshot {
	s := score.Snapshot{
		Candidates: make([]score.Candidate, g.to-g.from), Trials: k.client.routing.probes.Off, Left: k.deadline.Sub(now),
	}
	form := k.form()
	for i := range s.Candidates {
		c, v := &k.field[g.from+i], &s.Candidates[i]
		v.Name, v.Rank, v.Tried, v.Failed, v.Affine = c.endpoint.Name, int(c.rank), c.tried, c.failed, c.affine
		v.State = c.health.State(now, form)
		if h := c.endpoint.limits.Hedge; h > 0 {
			v.Hedge = h
		}
		v.Against = c.against
		if !c.silent.IsZero() && v.LastOK >= 0 && v.LastOK < now.Sub(c.silent) {
			v.Against = "" // it speaks again
		}
		v.BlockedFor = max(0, c.resumes.Sub(now))
		if holds != nil {
			v.BlockedFor = max(v.BlockedFor, holds[g.from+i].wait())
			if v.Against == "" {
				v.Against = holds[g.from+i].against
			}
		}
	}
	s.Hurry()
	return s
}
