package score

import (
	"math"
	"time"
)

const (
	halfLife    = 20.0 // seconds until a count weighs a half
	priorWeight = 2    // attempts that what is expected weighs as much as
)

// tally counts attempts that ended well and badly, and forgets them by halves.
type tally struct {
	ok, bad float64
	at      time.Time // of the last decay
}

func (t *tally) decay(now time.Time) {
	f := t.weight(now)
	t.ok, t.bad, t.at = t.ok*f, t.bad*f, now
}

// share returns which share of attempts fails, where expected is what was expected at first.
func (t *tally) share(now time.Time, expected float64) float64 {
	f := t.weight(now)
	ok, bad := t.ok*f, t.bad*f
	return (bad + priorWeight*expected) / (ok + bad + priorWeight)
}

// weight returns what is left of a count of 1.
func (t *tally) weight(now time.Time) float64 {
	if t.ok == 0 && t.bad == 0 {
		return 1
	}
	return math.Exp2(-since(now, t.at).Seconds() / halfLife)
}
