package pace

import (
	"math"
	"time"
)

const (
	// leastReserve is the share of a limit that is the reserve of one who is alone, and mostReserve that of one among many.
	leastReserve, mostReserve = 0.1, 0.8
	// dampened is less than 1, so that among those who share a limit the one who takes less is held back less than in proportion, and catches up.
	dampened = 0.7
	// enough is which share of a limit must have been taken lately to tell how it is shared.
	enough = 0.05
	// mostCrowd is how many times as much as we take all may take.
	mostCrowd = 100
	// forgets is how many times what was learned fades to 1/e while the limit fills once.
	forgets = 4
)

// crowd tells how large a part of what is taken of a limit others take. All is told as a share of the limit.
type crowd struct {
	limit     float64
	order     int64 // of the last news; 0: nothing is known
	sent      time.Duration
	used, own float64
	all, mine float64 // taken lately
}

// saw takes in an answer, and returns which reserve the limit needs: the more others take unseen, the more.
func (c *crowd) saw(n news, fills float64) float64 {
	used, own := n.used/n.limit, n.own/n.limit
	back := (n.sent - c.sent).Seconds() / fills // what came back since the last
	switch {
	case c.order == 0 || c.limit != n.limit:
		c.all, c.mine = 0, 0
	case back < c.used: // or it was full in between, and more came back than there was room for
		fades := math.Exp(-forgets * back)
		c.all = max(0, c.all*fades+used-c.used+back)
		c.mine = c.mine*fades + own - c.own
	}
	c.limit, c.order, c.sent, c.used, c.own = n.limit, n.order, n.sent, used, own
	return c.reserve()
}

func (c *crowd) reserve() float64 {
	if c.all < enough {
		return leastReserve
	}
	times := c.all / max(c.mine, c.all/mostCrowd)
	return min(max(leastReserve, leastReserve*math.Pow(times, dampened)), mostReserve)
}
