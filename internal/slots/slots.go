// Package slots bounds how many do something at once, and lets the others wait in order of arrival.
package slots

import (
	"context"
	"slices"
	"sync"
)

// Slots is a semaphore, first come first served. Safe for concurrent use.
type Slots struct {
	mu      sync.Mutex
	free    int
	waiting []chan struct{}
}

// New returns n slots; of fewer than one, one.
func New(n int) *Slots { return &Slots{free: max(n, 1)} }

// TryTake takes a slot if one is free and nobody waits for it.
func (s *Slots) TryTake() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free == 0 || len(s.waiting) > 0 {
		return false
	}
	s.free--
	return true
}

// Ticket is a place in the line for a slot. It must be used up: by its turn, or by Leave.
type Ticket struct {
	slots *Slots
	turn  chan struct{}
}

// Join takes a place at the end of the line. If a slot is free, its turn is at once.
func (s *Slots) Join() Ticket {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Ticket{s, make(chan struct{})}
	if s.free > 0 && len(s.waiting) == 0 {
		s.free--
		close(t.turn)
	} else {
		s.waiting = append(s.waiting, t.turn)
	}
	return t
}

// Turn returns a channel that is closed when the slot is taken.
func (t Ticket) Turn() <-chan struct{} { return t.turn }

// Leave leaves the line, and gives the slot back if the turn came at the same moment.
func (t Ticket) Leave() {
	s := t.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, t.turn); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	} else {
		s.give()
	}
}

// Take takes a slot, waiting for one until ctx ends; then it returns the context's error and has taken none.
func (s *Slots) Take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.TryTake() {
		return nil
	}
	t := s.Join()
	select {
	case <-t.Turn():
		return nil
	case <-ctx.Done():
		t.Leave()
		return ctx.Err()
	}
}

// Give gives a slot back: to whoever waits longest, if anybody does.
func (s *Slots) Give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.give()
}

// give does it with the lock held.
func (s *Slots) give() {
	if len(s.waiting) == 0 {
		s.free++
		return
	}
	close(s.waiting[0])
	s.waiting = slices.Delete(s.waiting, 0, 1)
}

// Waiting returns how many wait.
func (s *Slots) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}
