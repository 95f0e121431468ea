package score

import (
	"testing"
	"time"
)

func TestMeans(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		mean  *Mean
		times []time.Duration
		want  time.Duration
	}{
		"of the local model":     {NewLocalMean(), nil, 3 * second},
		"a tenth of the news":    {NewLocalMean(), []time.Duration{13 * second}, 4 * second},
		"and of the next":        {NewLocalMean(), []time.Duration{13 * second, 14 * second}, 5 * second},
		"of writing":             {NewGenMean(), nil, 2 * second},
		"a twentieth":            {NewGenMean(), []time.Duration{22 * second}, 3 * second},
		"down too":               {NewGenMean(), []time.Duration{0}, 1900 * ms},
		"negative times":         {NewGenMean(), []time.Duration{-1, -1 << 63}, 2 * second},
		"an hour is the longest": {NewLocalMean(), []time.Duration{1<<63 - 1}, 362_700 * ms},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, x := range c.times {
				c.mean.Learn(x)
			}
			if got := c.mean.Value(); !near(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
