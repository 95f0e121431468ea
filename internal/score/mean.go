package score

import (
	"sync"
	"time"
)

// Mean is a running mean of times, in which a new one has a fixed weight. Safe for concurrent use.
type Mean struct {
	mu     sync.Mutex
	value  time.Duration
	weight float64
}

// NewLocalMean returns the mean of how long the local model takes to answer as a whole: three seconds until something is learned.
func NewLocalMean() *Mean { return &Mean{value: 3 * time.Second, weight: 0.1} }

// NewGenMean returns the mean of how long answers take from their first content to their end: two seconds until something is learned.
func NewGenMean() *Mean { return &Mean{value: 2 * time.Second, weight: 0.05} }

// Learn takes in a time. More than an hour counts as an hour, and less than nothing not at all.
func (m *Mean) Learn(x time.Duration) {
	if x < 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.value += scaled(min(x, longest)-m.value, m.weight)
}

// Value returns the mean.
func (m *Mean) Value() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.value
}
