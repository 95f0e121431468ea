package score

import (
	"slices"
	"sync"
)

const (
	mostParked = 256
	fewOut     = 8 // requests that ask at once, of those that waited, before anything is known of what the endpoints carry
	moreOut    = 2 // and so many more for each that is answered
)

// Parking is where requests wait for any endpoint to become usable, in the order of their arrival. When one may be, the first of them look for it,
// and the more of them that are answered the more follow: an endpoint that recovers is not buried under all that waited meanwhile. What it
// refuses shows how many it carries at once. The zero Parking is empty; one serves a process. Safe for concurrent use.
type Parking struct {
	mu      sync.Mutex
	line    []*Place // by number
	last    uint64   // number
	news    uint64   // how often there was something to look at
	good    uint64   // news, when it was good last
	window  int      // how many may be out
	out     int      // that had their turn and are not over
	carried int      // those of them that have content
	woken   chan struct{}
}

// Place is a request's place in the line. It must Leave in the end. Of a nil Place, which is that of a request that never waited, all methods but
// Turn do nothing.
type Place struct {
	parking *Parking
	turn    chan bool
	number  uint64
	seen    uint64 // news, when it had its turn
	state   placeState
	wants   bool // to look, though there may be nothing new
	invited bool // to look, since somebody was answered
}

type placeState uint8

const (
	placeWaits    placeState = iota // in the line
	placeOut                        // looks for an endpoint, or asks one
	placeAnswered                   // out, and has content
	placeOver                       // not counted any more
)

// Enter parks a request, and returns its place; nil if there is no room. Its first turn comes as soon as others leave it one.
func (p *Parking) Enter() *Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.line) >= mostParked {
		return nil
	}
	if len(p.line) == 0 && p.out == 0 {
		p.window = fewOut
	}
	p.last++
	l := &Place{parking: p, turn: make(chan bool, 1), number: p.last, seen: p.news, wants: true}
	p.line = append(p.line, l)
	p.release()
	return l
}

// release lets those look that want to, the first of the line first.
func (p *Parking) release() {
	for i := 0; i < len(p.line) && p.out < p.window; {
		l := p.line[i]
		if !l.wants && !l.invited && l.seen == p.news {
			i++
			continue
		}
		good := l.invited || l.seen < p.good
		p.leaveLine(i)
		l.turn <- good
	}
}

// leaveLine lets the ith of the line out.
func (p *Parking) leaveLine(i int) {
	l := p.line[i]
	p.line = slices.Delete(p.line, i, i+1)
	l.state, l.wants, l.invited, l.seen = placeOut, false, false, p.news
	p.out++
}

// Turn returns a channel that is sent to when the request may look for an endpoint: true if somebody was answered since it looked last, a probe
// included.
func (l *Place) Turn() <-chan bool { return l.turn }

// Want says that there may be something to look at for this request: a probe is due.
func (l *Place) Want() {
	if l == nil {
		return
	}
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	l.wants = l.wants || l.state == placeWaits
	p.release()
}

// Force is a turn at once: the request's time is up, and it looks for the last time. If its turn came at the same moment, that is the one.
func (l *Place) Force() {
	if l == nil {
		return
	}
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.line, l); i >= 0 {
		p.leaveLine(i)
	}
}

// Back returns a request to its place that found nobody to ask, or was refused. It looks again when there is news.
func (l *Place) Back() {
	if l == nil {
		return
	}
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.state == placeWaits {
		return
	}
	l.end()
	l.state = placeWaits
	select { // of a turn that came at the same moment as something else
	case <-l.turn:
	default:
	}
	i, _ := slices.BinarySearchFunc(p.line, l.number, func(other *Place, n uint64) int {
		if other.number < n {
			return -1
		}
		return 1
	})
	p.line = slices.Insert(p.line, i, l)
	p.release()
}

// Answers reports that the request has content.
func (l *Place) Answers() {
	if l == nil {
		return
	}
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.state != placeOut {
		return
	}
	l.state = placeAnswered
	p.carried++
	p.window += moreOut
	p.release()
}

// Refused reports that an attempt of the request failed: there is room for those that have content, and not for more.
func (l *Place) Refused() {
	if l == nil {
		return
	}
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.state == placeOut {
		p.window = max(fewOut, p.carried)
	}
}

// Stalls reports that the request waits, for content that is late or for a rate limit, which is to keep nobody else.
func (l *Place) Stalls() {
	if l == nil {
		return
	}
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.state == placeOut {
		l.end()
		p.release()
	}
}

// Leave ends all that the place stands for. It may be called again.
func (l *Place) Leave() {
	if l == nil {
		return
	}
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.line, l); i >= 0 {
		p.line = slices.Delete(p.line, i, i+1)
	}
	if l.state == placeAnswered { // there is room, for some that were refused too
		for _, next := range p.line[:min(len(p.line), moreOut)] {
			next.invited = true
		}
	}
	l.end()
	p.release()
}

// end takes a place out of the count.
func (l *Place) end() {
	p := l.parking
	switch l.state {
	case placeAnswered:
		p.carried--
		p.out--
	case placeOut:
		p.out--
	}
	l.state = placeOver
}

// Woken returns a channel that the next Wake closes. It is asked for before the snapshot on which a request decides to wait, lest
// it miss what happens between.
func (p *Parking) Woken() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.woken == nil {
		p.woken = make(chan struct{})
	}
	return p.woken
}

// Wake lets all that wait look again, those that are parked when it is their turn: an endpoint or a probe answered, or, which is not good, a probe failed, so
// that those who wait must know when the next one is due.
func (p *Parking) Wake(good bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.woken != nil {
		close(p.woken)
		p.woken = nil
	}
	p.news++
	if good {
		p.good = p.news
	}
	p.release()
}

// Parked returns how many are parked.
func (p *Parking) Parked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.line)
}
