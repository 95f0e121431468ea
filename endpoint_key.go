package holdfast

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// keyBlocks remembers which keys an endpoint must not use now: those that were rejected, and those that are out of credit or
// over their limit for a while. It is shared by all calls. A changed key begins with a clean slate.
type keyBlocks struct {
	any    atomic.Bool // whether there is anything to look up: nearly always not
	mu     sync.Mutex
	list   map[blocked]keyBlock
	limits map[blocked]*score.Block // rate limits
}

// blocked is what a block applies to: a key, known by its hash, and one model or all ("").
type blocked struct{ key, model string }

type keyBlock struct {
	kind  Kind
	until time.Time // zero: for good
}

// maxBlocks bounds the memory for blocks; models are few.
const maxBlocks = 1024

func (b *keyBlocks) add(key, model string, k Kind, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.list == nil {
		b.list = map[blocked]keyBlock{}
	}
	if len(b.list) >= maxBlocks {
		clear(b.list)
	}
	b.list[blocked{key, model}] = keyBlock{k, until}
	b.any.Store(true)
}

// limited takes in that a key is over its rate limit for a model. A wait of 0 means that the provider did not say how long.
func (b *keyBlocks) limited(key, model string, wait time.Duration, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limits == nil {
		b.limits = map[blocked]*score.Block{}
	}
	l := b.limits[blocked{key, model}]
	if l == nil {
		if len(b.limits) >= maxBlocks {
			clear(b.limits)
		}
		l = new(score.Block)
		b.limits[blocked{key, model}] = l
	}
	l.Limited(now, wait, nil)
	b.any.Store(true)
}

// answered takes in that a request with a key for a model was answered.
func (b *keyBlocks) answered(key, model string) {
	if !b.any.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.limits[blocked{key, model}]; l != nil {
		l.Answered()
	}
}

// find returns the block on a key for a model, if there is one now.
func (b *keyBlocks) find(key, model string, now time.Time) (keyBlock, bool) {
	if !b.any.Load() {
		return keyBlock{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, of := range []blocked{{key, ""}, {key, model}} {
		found, ok := b.list[of]
		if ok && (found.until.IsZero() || now.Before(found.until)) {
			return found, true
		}
		delete(b.list, of)
	}
	if l := b.limits[blocked{key, model}]; l != nil {
		if left := l.Left(now); left > 0 {
			return keyBlock{KindRateLimit, now.Add(left)}, true
		}
		if l.Over(now) {
			delete(b.limits, blocked{key, model})
		}
	}
	b.any.Store(len(b.list)+len(b.limits) > 0)
	return keyBlock{}, false
}

// status lists what is blocked now of a key.
func (b *keyBlocks) status(key string, now time.Time) []Block {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Block
	for of, found := range b.list {
		if of.key == key && (found.until.IsZero() || now.Before(found.until)) {
			all = append(all, Block{Model: of.model, Kind: found.kind, Until: found.until})
		}
	}
	for of, l := range b.limits {
		if left := l.Left(now); left > 0 && of.key == key {
			all = append(all, Block{Model: of.model, Kind: KindRateLimit, Until: now.Add(left)})
		}
	}
	slices.SortFunc(all, func(a, b Block) int { return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Kind, b.Kind)) })
	return all
}

// why says in words what a block is for.
func (b keyBlock) why(now time.Time) string {
	if b.until.IsZero() {
		return fmt.Sprintf("its key was disabled: %s; until the key changes", b.kind)
	}
	return fmt.Sprintf("%s for another %s", b.kind, b.until.Sub(now).Round(time.Second))
}

const (
	// parkWithoutReset is how long a key without credit or quota rests if the provider does not say when it comes back.
	parkWithoutReset = 10 * time.Minute
	// parkModel is how long a model rests that an endpoint does not have.
	parkModel = time.Minute
)

// learn remembers what a failure says of the key. It reports whether an operator should know.
func (e *endpoint) learn(key, model string, err *Error, r rule, now time.Time) (tell bool) {
	switch {
	case r.verdict == disableKey:
		e.blocks.add(key, "", err.Kind, time.Time{})
	case r.verdict == disableModel:
		e.blocks.add(key, model, err.Kind, time.Time{})
	case r.verdict == parkKey:
		wait := err.RetryAfter
		if wait == 0 {
			wait = parkWithoutReset
		}
		e.blocks.add(key, "", err.Kind, now.Add(wait))
	case err.Kind == KindRateLimit:
		e.blocks.limited(key, model, err.RetryAfter, now)
		return false
	case err.Kind == KindModel:
		e.blocks.add(key, model, err.Kind, now.Add(parkModel))
	default:
		return err.Kind == KindFeature
	}
	return true
}
