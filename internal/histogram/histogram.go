// Package histogram keeps the distribution of positive numbers, such as seconds or ratios, in a fixed amount of memory.
package histogram

import "math"

const (
	perOctave = 16  // buckets, 4.4 % from one to the next; the powers of 2 lie in the middle of theirs
	octaves   = 25  // from 2^least on
	least     = -12 // 0.00024, so that up to 8,192 is told apart
)

// Histogram counts numbers by their size. What is smaller than 0.00024, or no number, counts as 0.00024, and what is larger than 8,192 as 8,192.
// The zero Histogram is empty. It takes 1.6 KB. Not safe for concurrent use.
type Histogram struct {
	n      uint32
	counts [octaves*perOctave + 1]uint32
}

// Add counts x.
func (h *Histogram) Add(x float64) {
	i := 0
	if x > 0 {
		place := math.Round((math.Log2(x) - least) * perOctave)
		i = int(min(max(place, 0), float64(len(h.counts)-1)))
	}
	h.n++
	h.counts[i]++
}

// Merge adds all that other has counted.
func (h *Histogram) Merge(other *Histogram) {
	h.n += other.n
	for i, n := range &other.counts {
		h.counts[i] += n
	}
}

// Len returns how many numbers were counted.
func (h *Histogram) Len() int { return int(h.n) }

// Median returns the number in the middle, of two the smaller one, to within 2.2 %; 0 if nothing was counted.
func (h *Histogram) Median() float64 {
	if h.n == 0 {
		return 0
	}
	before := uint32(0)
	for i, n := range &h.counts {
		if before += n; before > (h.n-1)/2 {
			return math.Exp2(least + float64(i)/perOctave)
		}
	}
	return 0
}
