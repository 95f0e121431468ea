package histogram_test

import (
	"math"
	"testing"

	"github.com/holdfast-ai/holdfast/internal/histogram"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of   []float64
		want float64
	}{
		"nothing":             {nil, 0},
		"one":                 {[]float64{1}, 1},
		"two":                 {[]float64{2}, 2},
		"one just below":      {[]float64{0.999}, 1},
		"the middle of three": {[]float64{90, 0.5, 2}, 2},
		"the smaller of two":  {[]float64{8, 0.01}, 0.01},
		"one far off":         {[]float64{3, 3, 3, 1e300}, 3},
		"too small":           {[]float64{1e-9}, 0.000244},
		"nothing positive":    {[]float64{0, -1, math.Inf(-1)}, 0.000244},
		"no number":           {[]float64{math.NaN()}, 0.000244},
		"too large":           {[]float64{math.Inf(1)}, 8192},
	} {
		var h histogram.Histogram
		for _, x := range c.of {
			h.Add(x)
		}
		if got := h.Median(); math.Abs(got-c.want) > 0.023*c.want || h.Len() != len(c.of) {
			t.Errorf("%s: got %v of %d, want about %v", name, got, h.Len(), c.want)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	var a, b histogram.Histogram
	for i := range 1001 {
		h := &a
		if i%2 == 0 {
			h = &b
		}
		h.Add(float64(i))
	}
	a.Merge(&b)
	if got := a.Median(); math.Abs(got-500) > 0.023*500 || a.Len() != 1001 {
		t.Errorf("got %v of %d, want about 500 of 1001", got, a.Len())
	}
}
