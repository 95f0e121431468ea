package holdfast

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// keyBlocks remembers which keys an endpoint must not use now: those that were rejected, and those that are out of credit or
// over their limit for a while. It is shared by all calls. A changed key begins with a clean slate.
type keyBlocks struct {
	any  atomic.Bool // whether there is anything to look up: nearly always not
	mu   sync.Mutex
	list map[blocked]keyBlock
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
	b.any.Store(len(b.list) > 0)
	return keyBlock{}, false
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
	// maxRateBlock is the longest that a rate limit blocks; limits often end earlier than announced.
	maxRateBlock = time.Minute
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
	case err.Kind == KindRateLimit && err.RetryAfter > 0:
		e.blocks.add(key, model, err.Kind, now.Add(min(err.RetryAfter, maxRateBlock)))
		return false
	default:
		return err.Kind == KindFeature
	}
	return true
}
