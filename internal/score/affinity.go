package score

import (
	"sync"
	"time"
)

const (
	affinityLife      = 300 * time.Second
	mostConversations = 1 << 14 // in one generation
)

// Affinity remembers which endpoint served a conversation last, for five minutes. Conversations are known by a hash: two that share one
// only share a preference. It keeps two generations, and forgets the older when the younger is full or old. The zero Affinity remembers
// nothing yet. Safe for concurrent use.
type Affinity struct {
	mu         sync.Mutex
	young, old map[uint64]served
	youngFrom  time.Time // when the younger generation began
}

type served struct {
	endpoint string
	at       time.Time
}

// Served reports that an endpoint served a conversation.
func (a *Affinity) Served(now time.Time, conversation uint64, endpoint string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.age(now)
	a.young[conversation] = served{endpoint, now}
}

// age begins a new generation where one is due.
func (a *Affinity) age(now time.Time) {
	switch {
	case a.young == nil:
	case len(a.young) >= mostConversations || since(now, a.youngFrom) >= affinityLife:
		a.old = a.young
	default:
		return
	}
	a.young, a.youngFrom = map[uint64]served{}, now
}

// Last returns the endpoint that served a conversation last, or "".
func (a *Affinity) Last(now time.Time, conversation uint64) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.young[conversation]
	if !ok {
		s = a.old[conversation]
	}
	if s.endpoint == "" || since(now, s.at) >= affinityLife {
		return ""
	}
	return s.endpoint
}
