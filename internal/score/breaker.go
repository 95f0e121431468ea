package score

import (
	"fmt"
	"slices"
	"time"
)

const (
	tripsAt      = 3 // failures in a row
	closesAt     = 2 // good probes in a row
	leastBackoff = time.Second
	mostBackoff  = 10 * time.Second
	shortly      = 500 * time.Millisecond // from one good probe to the next
	probeSpread  = 0.25                   // of a backoff, either way
	soundAfter   = time.Minute            // for so long after it closed, a breaker that opens again keeps its backoff
	hurry        = 4                      // where nobody else can be asked, this part of an endpoint's absence lies between two probes

	// ProbeTimeout is how long a probe may take, and MostProbeTimeout how long at an endpoint that takes long when it is well.
	ProbeTimeout     = 5 * time.Second
	MostProbeTimeout = 30 * time.Second
	// lostAfter is when a probe whose outcome nobody reported is forgotten.
	lostAfter = 2 * MostProbeTimeout
)

// Position is what a breaker lets through, the most first.
type Position uint8

// The positions.
const (
	Closed  Position = iota // all
	Suspect                 // open, but the endpoint answered within five seconds: what nobody else can take
	Open                    // nothing but probes
)

// suspectFor is how long an answer keeps an open breaker from shutting all out.
const suspectFor = 5 * time.Second

var positionNames = [...]string{"closed", "suspect", "open"}

// String returns the position in a word.
func (p Position) String() string { return positionNames[min(p, Open)] }

// MarshalText returns the position in a word.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a position.
func (p *Position) UnmarshalText(text []byte) error {
	i := slices.Index(positionNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("score: a breaker cannot be %q", text)
	}
	*p = Position(i)
	return nil
}

// breaker keeps requests away from an endpoint after three failures in a row, until two probes in a row went well. What requests meet there in the
// meantime neither closes it nor keeps it open.
type breaker struct {
	open      bool
	failures  int // in a row
	good      int // probes in a row
	backoff   time.Duration
	nextProbe time.Time
	rests     time.Time // since then, until nextProbe
	closedAt  time.Time
	probe     Probe // under way
	probeAt   time.Time
}

// trip opens the breaker if there were failures enough.
func (b *breaker) trip(now time.Time, random func() float64) {
	if b.open || b.failures < tripsAt {
		return
	}
	if b.closedAt.IsZero() || since(now, b.closedAt) > soundAfter {
		b.backoff = leastBackoff
	}
	b.open, b.good = true, 0
	b.postpone(now, random)
}

// probed takes in a good probe, and reports whether it closed the breaker.
func (b *breaker) probed(now time.Time) bool {
	if !b.open {
		return false
	}
	b.good++
	if b.good < closesAt {
		b.nextProbe = now.Add(shortly)
		return false
	}
	b.open, b.failures, b.closedAt = false, 0, now
	return true
}

func (b *breaker) probeFailed(now time.Time, random func() float64) {
	b.good = 0
	b.backoff = min(2*b.backoff, mostBackoff)
	b.postpone(now, random)
}

// postpone puts the next probe off by the backoff.
func (b *breaker) postpone(now time.Time, random func() float64) {
	b.rests = now
	b.nextProbe = now.Add(scaled(b.backoff, between(1-probeSpread, 1+probeSpread, random)))
}

// probeIn returns how long it is until the next probe is due.
func (b *breaker) probeIn(now time.Time) time.Duration {
	if !b.open {
		return 0
	}
	return until(now, b.nextProbe, scaled(mostBackoff, 1+probeSpread))
}

// urgentIn is probeIn where nobody else can be asked: then an endpoint is not left alone for long that answered a short time ago.
func (b *breaker) urgentIn(now, lastOK time.Time) time.Duration {
	in := b.probeIn(now)
	if lastOK.IsZero() || in == 0 {
		return in
	}
	rest := min(max(leastBackoff, since(b.rests, lastOK)/hurry), mostBackoff)
	return min(in, until(now, b.rests.Add(rest), mostBackoff))
}

// probing reports whether a probe is under way.
func (b *breaker) probing(now time.Time) bool {
	return b.probe != NoProbe && since(now, b.probeAt) < lostAfter
}

func (b *breaker) due(now, lastOK time.Time, urgent bool) bool {
	if !b.open || b.probing(now) {
		return false
	}
	return b.probeIn(now) == 0 || urgent && b.urgentIn(now, lastOK) == 0
}

func (b *breaker) position(now, lastOK time.Time) Position {
	switch {
	case !b.open:
		return Closed
	case !lastOK.IsZero() && since(now, lastOK) < suspectFor:
		return Suspect
	}
	return Open
}
