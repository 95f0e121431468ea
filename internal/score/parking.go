package score

import (
	"slices"
	"sync"
	"time"
)

const (
	mostParked = 256
	fewAsk     = 8 // requests that ask at once, of those that waited, before anything is known of what the endpoints carry
	moreAsk    = 2 // so many more for each that is answered, or not refused for a while
	enough     = 8 // answers in a row without a refusal, after which there may be room for more again

	// ParkedLook is how often a parked request is to say that it wants to look, in case that nothing else tells it that there is something to see.
	ParkedLook = 500 * time.Millisecond
	// movesFor is how long after the last answer the line counts as moving.
	movesFor = 5 * time.Second
	// askTime is how long one that asks may keep others from it: a refusal is there by then, and content need not be.
	askTime = 500 * time.Millisecond
)

// Parking is where requests wait for any endpoint to become usable, in the order of their arrival. When one may be, the first of them look for it,
// and the more of them that are answered the more follow: an endpoint that recovers is not buried under all that waited meanwhile. What it
// refuses shows how many it carries at once. The zero Parking is empty; one serves a process. Safe for concurrent use.
type Parking struct {
	mu      sync.Mutex
	line    []*Place  // that wait, by number
	asking  []*Place  // that had their turn, by when it was
	carried int       // that have content
	living  int       // of all states but placeAnswered and placeOver
	window  int       // how many may ask or have content
	last    uint64    // number
	news    uint64    // how often there was something to look at
	vain    bool      // a breaker closed, and none of the line was answered since
	tight   bool      // one of the line was refused: one more for each that is over, rather than for each that is answered
	row     int       // answers since the last refusal
	moved   time.Time // when one of the line was answered last
	woken   chan struct{}
}

// Place is a request's place in the line. It must Leave in the end. A nil Place is that of a request that never waited: Answers and Refused
// do nothing. Safe for concurrent use.
type Place struct {
	parking *Parking
	turn    chan bool
	number  uint64
	state   placeState
	seen    uint64    // news, when it had its turn
	wants   bool      // to look, though there may be nothing new
	invited bool      // to ask, beside the retry budget
	since   time.Time // when it had its turn
	refused bool      // since then
}

type placeState uint8

const (
	placeWaits    placeState = iota // in the line
	placeAsks                       // looks for an endpoint, or asks one
	placeLate                       // the same, for so long that it keeps nobody else from it
	placeAnswered                   // has content
	placeOver                       // not counted any more
)

// Enter parks a request, and returns its place; nil if there is no room. Its first turn comes as soon as others leave it one.
func (p *Parking) Enter(now time.Time) *Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.living >= mostParked {
		return nil
	}
	p.living++
	if len(p.line) == 0 { // a new trouble: how many were carried before it says nothing of how many will be
		p.window, p.tight = p.carried+fewAsk, false
	}
	p.last++
	l := &Place{parking: p, turn: make(chan bool, 1), number: p.last, seen: p.news, wants: true}
	p.line = append(p.line, l)
	p.release(now)
	return l
}

// release lets those look that want to, the first of the line first.
func (p *Parking) release(now time.Time) {
	p.expire(now)
	for i := 0; i < len(p.line) && len(p.asking)+p.carried < p.window; {
		l := p.line[i]
		if !l.wants && !l.invited && l.seen == p.news {
			i++
			continue
		}
		invited := l.invited
		p.letOut(i, now)
		l.turn <- invited
	}
}

// expire forgets those that asked long ago. Such of them that were not refused say that more may ask, as answers do.
func (p *Parking) expire(now time.Time) {
	for len(p.asking) > 0 && since(now, p.asking[0].since) >= askTime {
		l := p.asking[0]
		l.end()
		l.state = placeLate
		p.living++
		if !l.refused && !p.tight {
			p.window += moreAsk
			p.invite(1, 0)
		}
	}
}

// letOut lets the ith of the line out.
func (p *Parking) letOut(i int, now time.Time) {
	l := p.line[i]
	p.line = slices.Delete(p.line, i, i+1)
	l.state, l.seen, l.wants, l.invited, l.since, l.refused = placeAsks, p.news, false, false, now, false
	p.asking = append(p.asking, l)
}

// invite tells so many of the line, from a number on, that an attempt of theirs is of use.
func (p *Parking) invite(n int, from uint64) {
	for _, l := range p.line {
		if n > 0 && l.number >= from && !l.invited {
			l.invited = true
			n--
		}
	}
}

// Turn returns a channel that is sent to when the request may look for an endpoint: true if it is invited to ask, beside the retry budget. A few are
// invited by each answer, by good probes, and when those before them are not refused for a while.
func (l *Place) Turn() <-chan bool { return l.turn }

// Want says that there may be something to look at for this request.
func (l *Place) Want(now time.Time) {
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	l.wants = l.wants || l.state == placeWaits
	p.release(now)
}

// Force is a turn at once: the request's time is up, and it looks for the last time. If its turn came at the same moment, that is the one.
func (l *Place) Force(now time.Time) {
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.line, l); i >= 0 {
		p.letOut(i, now)
	}
}

// Back returns a request to its place that found nobody to ask, or was refused. It looks again when there is news. If it did not use its
// invitation, somebody behind it is invited.
func (l *Place) Back(now time.Time, unused bool) {
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	l.passOn(unused)
	l.end()
	l.state = placeWaits
	p.living++
	i := len(p.line)
	for i > 0 && p.line[i-1].number > l.number {
		i--
	}
	p.line = slices.Insert(p.line, i, l)
	p.release(now)
}

// passOn gives the place's invitation, if there is one, to somebody behind it: one that was not used, or came with a turn at the same moment as
// something else.
func (l *Place) passOn(unused bool) {
	invited := l.invited
	select {
	case invited = <-l.turn:
	default:
	}
	l.invited = false
	if unused || invited {
		l.parking.invite(1, l.number+1)
	}
}

// Answers reports that the request has content.
func (l *Place) Answers(now time.Time) {
	if l == nil {
		return
	}
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.state != placeAsks && l.state != placeLate {
		return
	}
	l.end()
	l.state = placeAnswered
	p.carried++
	p.vain, p.moved = false, now
	if p.row++; p.row >= enough {
		p.tight = false
	}
	if p.tight {
		p.window = max(p.window, p.carried+1)
	} else {
		p.window += moreAsk
		p.invite(moreAsk, 0)
	}
	p.release(now)
}

// Refused reports that an attempt of the request failed: there is room for those that have content, and for one that finds out whether there is for
// more.
func (l *Place) Refused() {
	if l == nil {
		return
	}
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.state == placeAsks || l.state == placeLate {
		l.refused = true
		p.window, p.tight, p.row = p.carried+1, true, 0
	}
}

// Leave ends all that the place stands for. unused is as for Back. It may be called again.
func (l *Place) Leave(now time.Time, unused bool) {
	p := l.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	l.passOn(unused)
	switch {
	case l.state == placeAnswered && p.tight: // there is room, for one that was refused too
		p.invite(1, 0)
	case l.state == placeAnswered:
		p.invite(moreAsk, 0)
	}
	l.end()
	p.release(now)
}

// end takes a place out of where it is counted.
func (l *Place) end() {
	p := l.parking
	is := func(other *Place) bool { return other == l }
	if l.state != placeAnswered && l.state != placeOver {
		p.living--
	}
	switch l.state {
	case placeWaits:
		p.line = slices.DeleteFunc(p.line, is)
	case placeAsks:
		p.asking = slices.DeleteFunc(p.asking, is)
	case placeAnswered:
		p.carried--
	}
	l.state = placeOver
}

// Moves reports whether those that waited are being answered.
func (p *Parking) Moves(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.carried > 0 || !p.moved.IsZero() && since(now, p.moved) < movesFor
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

// News is what Wake tells.
type News uint8

// The news.
const (
	NewsBad      News = iota // a probe failed: those who wait must know when the next one is due
	NewsProbed               // a probe was answered
	NewsClosed               // and closed a breaker
	NewsAnswered             // a request was answered
)

// Wake lets all that wait look again, those that are parked when it is their turn. If the news is good, a few are invited to ask: but none, or one, if
// the last were in vain or refused, since endpoints may answer probes, or others, and not them.
func (p *Parking) Wake(now time.Time, news News) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.woken != nil {
		close(p.woken)
		p.woken = nil
	}
	p.news++
	switch {
	case news == NewsClosed && p.vain:
		p.invite(1, 0)
	case news == NewsClosed:
		p.vain = true
		p.window, p.tight = max(p.window, p.carried+fewAsk), false
		p.invite(fewAsk, 0)
	case news != NewsBad && !p.vain && !p.tight:
		p.invite(moreAsk, 0)
	}
	p.release(now)
}

// Parked returns how many wait for their turn.
func (p *Parking) Parked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.line)
}

// ParkedPause returns how long a parked request that was refused for the nth time, from 0, waits before it asks again uninvited: the longest at once if
// others are answered, since it will be invited. random is as for [NewHealth].
func ParkedPause(n int, moves bool, random func() float64) time.Duration {
	const most = 4 // times doubled
	if moves {
		n = most
	}
	return scaled(ParkedLook<<min(max(n, 0), most), between(0.75, 1.25, random))
}
