package score

import (
	"math"
	"testing"
	"time"
)

// A blocking happens so long after the beginning.
type blocking struct {
	at      time.Duration
	happens func(b *Block, now time.Time, random func() float64)
}

func limited(retryAfter time.Duration) func(*Block, time.Time, func() float64) {
	return func(b *Block, now time.Time, random func() float64) { b.Limited(now, retryAfter, random) }
}

func answered(b *Block, _ time.Time, _ func() float64) { b.Answered() }

func TestBlock(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		u      float64
		events []blocking
		at     time.Duration
		want   time.Duration
	}{
		"none":                        {0, nil, 0, 0},
		"as long as it says":          {0, []blocking{{0, limited(10 * second)}}, 0, 10 * second},
		"or a tenth longer":           {1, []blocking{{0, limited(10 * second)}}, 0, 11 * second},
		"runs out":                    {0, []blocking{{0, limited(10 * second)}}, 4 * second, 6 * second},
		"has run out":                 {0, []blocking{{0, limited(10 * second)}}, 10 * second, 0},
		"a minute at most":            {1, []blocking{{0, limited(time.Hour)}}, 0, 66 * second},
		"a second if it does not say": {0, []blocking{{0, limited(0)}}, 0, second},
		"or a tenth longer too":       {0.5, []blocking{{0, limited(-1)}}, 0, 1050 * ms},
		"doubles":                     {0, []blocking{{0, limited(0)}, {second, limited(0)}}, second, 2 * second},
		"doubles up to half a minute": {0, []blocking{
			{0, limited(0)},
			{100 * second, limited(0)},
			{200 * second, limited(0)},
			{300 * second, limited(0)},
			{400 * second, limited(0)},
			{500 * second, limited(0)},
			{600 * second, limited(0)},
		}, 600 * second, 30 * second},
		"not for what was under way": {0, []blocking{{0, limited(0)}, {500 * ms, limited(0)}, {900 * ms, limited(0)}}, second, 0},
		"an answer begins the doubling anew": {0, []blocking{
			{0, limited(0)}, {second, limited(0)}, {3 * second, answered}, {4 * second, limited(0)},
		}, 4 * second, second},
		"an answer does not lift it":         {0, []blocking{{0, limited(10 * second)}, {second, answered}}, second, 9 * second},
		"the later end counts":               {0, []blocking{{0, limited(10 * second)}, {0, limited(2 * second)}}, 0, 10 * second},
		"a longer one extends it":            {0, []blocking{{0, limited(2 * second)}, {second, limited(10 * second)}}, second, 10 * second},
		"what it says keeps the step":        {0, []blocking{{0, limited(0)}, {second, limited(5 * second)}, {6 * second, limited(0)}}, 6 * second, 2 * second},
		"a clock set back frees":             {0, []blocking{{time.Hour, limited(10 * second)}}, 0, 0},
		"and a new one counts then":          {0, []blocking{{time.Hour, limited(10 * second)}, {0, limited(4 * second)}}, 0, 4 * second},
		"random numbers beyond their bounds": {math.NaN(), []blocking{{0, limited(10 * second)}}, 0, 10 * second},
		"above":                              {math.Inf(1), []blocking{{0, limited(10 * second)}}, 0, 11 * second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b Block
			for _, e := range c.events {
				e.happens(&b, begin.Add(e.at), always(c.u))
			}
			if got := b.Left(begin.Add(c.at)); !near(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestBlockOver(t *testing.T) {
	t.Parallel()
	var none, said, unsaid Block
	said.Limited(begin, 2*second, always(0))
	unsaid.Limited(begin, 0, always(0))
	for name, c := range map[string]struct {
		b    *Block
		at   time.Duration
		want bool
	}{
		"none":                           {&none, 0, true},
		"under way":                      {&said, second, false},
		"passed":                         {&said, 2 * second, true},
		"passed, but it doubles":         {&unsaid, 2 * second, false},
		"passed for as long as it takes": {&unsaid, 32 * second, true},
	} {
		if got := c.b.Over(begin.Add(c.at)); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
