package score

import "sync"

const mostParked = 256

// Parking is where requests wait for any endpoint to become usable. The zero Parking is empty; one serves a process. Safe for
// concurrent use.
type Parking struct {
	mu     sync.Mutex
	parked int
	woken  chan struct{}
}

// Enter parks a request, and reports whether there was room. One that entered must Leave.
func (p *Parking) Enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parked >= mostParked {
		return false
	}
	p.parked++
	return true
}

// Leave ends the wait of a request that entered.
func (p *Parking) Leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parked = max(0, p.parked-1)
}

// Woken returns a channel that the next Wake closes. It is asked for before the snapshot on which the request decides to wait, lest
// it miss what happens between.
func (p *Parking) Woken() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.woken == nil {
		p.woken = make(chan struct{})
	}
	return p.woken
}

// Wake lets all that are parked look again: an endpoint answered, or a probe of one did.
func (p *Parking) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.woken != nil {
		close(p.woken)
		p.woken = nil
	}
}

// Parked returns how many are parked.
func (p *Parking) Parked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.parked
}
