package score

import (
	"sync"
	"testing"
)

func TestParkingHasRoomFor256(t *testing.T) {
	t.Parallel()
	var p Parking
	for i := range 257 {
		if got := p.Enter(); got != (i < 256) {
			t.Fatalf("request %d: got %v", i, got)
		}
	}
	p.Leave()
	if !p.Enter() || p.Enter() {
		t.Error("want room for one after one left")
	}
}

func TestParkingWakesAll(t *testing.T) {
	t.Parallel()
	var p Parking
	p.Wake()
	var all sync.WaitGroup
	for range 10 {
		woken := p.Woken()
		all.Go(func() { <-woken })
	}
	p.Wake()
	all.Wait()
	select {
	case <-p.Woken():
		t.Error("got a wake that was before")
	default:
	}
}

func TestParked(t *testing.T) {
	t.Parallel()
	var p Parking
	if p.Enter(); p.Parked() != 1 {
		t.Errorf("got %d", p.Parked())
	}
	if p.Leave(); p.Parked() != 0 {
		t.Errorf("got %d", p.Parked())
	}
}
