package score

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// parked is a line of n, of whom the first had their turn, in vain.
func parked(t *testing.T, n int) (*Parking, []*Place) {
	t.Helper()
	p := &Parking{}
	list := make([]*Place, n)
	for i := range list {
		if list[i] = p.Enter(); list[i] == nil {
			t.Fatalf("request %d: no room", i)
		}
		if !hasTurn(list[i]) {
			t.Fatalf("request %d: got no turn at first", i)
		}
		list[i].Back()
	}
	return p, list
}

// hasTurn reports whether the turn has come.
func hasTurn(l *Place) bool {
	select {
	case <-l.Turn():
		return true
	default:
		return false
	}
}

// turns returns whose turn has come.
func turns(list []*Place) (got []int) {
	for i, l := range list {
		if hasTurn(l) {
			got = append(got, i)
		}
	}
	return got
}

func upTo(from, to int) (list []int) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

func (p *Parking) mustBeEmpty(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.line) != 0 || p.out != 0 || p.carried != 0 {
		t.Errorf("got %d in the line, %d out and %d answered, want none", len(p.line), p.out, p.carried)
	}
}

func TestParkingHasRoomFor256(t *testing.T) {
	t.Parallel()
	p, list := parked(t, 256)
	if p.Enter() != nil {
		t.Fatal("got room for one more")
	}
	if got := p.Parked(); got != 256 {
		t.Errorf("got %d parked", got)
	}
	list[7].Leave()
	list[7].Leave()
	if p.Enter() == nil || p.Parked() != 255 { // its turn came at once
		t.Error("want room for one after one left")
	}
}

func TestParkingWakesOthers(t *testing.T) {
	t.Parallel()
	var p Parking
	p.Wake(true)
	var all sync.WaitGroup
	for range 10 {
		woken := p.Woken()
		all.Go(func() { <-woken })
	}
	p.Wake(true)
	all.Wait()
	select {
	case <-p.Woken():
		t.Error("got a wake that was before")
	default:
	}
}

// The first few look; with each that is answered come more, and with one that is refused no more than there is room for.
func TestParkingLine(t *testing.T) {
	t.Parallel()
	p, list := parked(t, 40)
	expect := func(want ...int) {
		t.Helper()
		if got := turns(list); !slices.Equal(got, want) {
			t.Fatalf("got the turns of %v, want %v", got, want)
		}
	}
	p.Wake(true)
	expect(upTo(0, 8)...)
	p.Wake(true)
	expect() // they are out
	list[0].Answers()
	list[0].Answers()
	expect(8, 9)
	list[1].Refused()
	list[2].Answers() // ten are out, and the window is of eight
	expect()
	list[3].Back() // refused; it goes before the others, and there is news since it looked
	expect(3)
	list[3].Back()
	expect(10)
	for _, i := range []int{4, 5, 6, 7, 8, 9, 10, 1} {
		list[i].Answers()
	}
	expect(upTo(11, 27)...)
	list[11].Refused() // as many as have content, and those who are out for now are more
	list[12].Stalls()
	list[12].Answers() // too late to count
	list[12].Refused()
	for _, l := range list[13:27] {
		l.Back()
	}
	expect() // eleven are out, ten of them with content
	for _, i := range []int{0, 2, 4} {
		list[i].Leave() // two of the line are invited
	}
	expect(3, 13)
	for _, l := range list {
		l.Leave()
	}
	p.mustBeEmpty(t)
	if late := p.Enter(); !hasTurn(late) {
		t.Error("want a turn in an empty line")
	}
}

func TestParkingWantAndForce(t *testing.T) {
	t.Parallel()
	p, list := parked(t, 20)
	p.Wake(true)
	turns(list)
	list[19].Want() // the first eight are out
	if list[12].Force(); hasTurn(list[12]) || hasTurn(list[19]) {
		t.Error("got a turn beyond the window")
	}
	list[0].Back()
	list[0].Back()
	list[0].Want()
	if got := turns(list); got != nil {
		t.Fatalf("got the turns of %v, want none: nine were out", got)
	}
	for _, l := range list[1:8] {
		l.Back()
	}
	if got, want := turns(list), []int{0, 8, 9, 10, 11, 13, 14}; !slices.Equal(got, want) {
		t.Fatalf("got the turns of %v, want %v", got, want)
	}
	list[15].Want()
	list[15].Force()
	list[15].Force() // its turn may have come at the same moment
	list[15].Back()
	if got, want := turns(list), []int(nil); !slices.Equal(got, want) {
		t.Fatalf("got the turns of %v, want %v", got, want)
	}
	for _, l := range list {
		l.Leave()
	}
	p.mustBeEmpty(t)
}

// A turn tells whether there is good news, for which an attempt is free.
func TestParkingNews(t *testing.T) {
	t.Parallel()
	var p Parking
	l := p.Enter()
	if <-l.Turn() {
		t.Error("got news at first")
	}
	l.Back()
	l.Want()
	if <-l.Turn() {
		t.Error("got news of a probe that is due")
	}
	p.Wake(true) // while it looks
	l.Back()
	if !<-l.Turn() {
		t.Error("want the news of what happened while it looked")
	}
	p.Wake(false)
	l.Back()
	if <-l.Turn() {
		t.Error("got good news of a probe that failed")
	}
	other := p.Enter()
	<-other.Turn()
	other.Answers()
	l.Back()
	if hasTurn(l) {
		t.Error("got a turn without news")
	}
	other.Leave()
	if !<-l.Turn() {
		t.Error("want the news of an answer that is whole")
	}
}

func TestNilPlace(t *testing.T) {
	t.Parallel()
	var l *Place
	for _, f := range []func(){l.Want, l.Force, l.Back, l.Answers, l.Refused, l.Stalls, l.Leave} {
		f()
	}
}

// Whatever requests do, and in whatever order, nobody is counted twice or left behind.
func TestParkingAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		var p Parking
		var list []*Place
		for range 500 {
			if len(list) < 30 && r.IntN(3) == 0 {
				list = append(list, p.Enter())
			}
			if len(list) == 0 {
				continue
			}
			i := r.IntN(len(list))
			l := list[i]
			switch r.IntN(9) {
			case 0:
				l.Want()
			case 1:
				l.Force()
			case 2, 3:
				l.Back()
			case 4:
				l.Answers()
			case 5:
				l.Refused()
			case 6:
				l.Stalls()
			case 7:
				p.Wake(true)
			default:
				l.Leave()
				list = slices.Delete(list, i, i+1)
			}
			p.mustAddUp(t, list)
		}
		for _, l := range list {
			l.Leave()
		}
		p.mustBeEmpty(t)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// mustAddUp checks that the counts are those of the places, that the line is in order, and that nobody who has something to look at waits while there is room.
func (p *Parking) mustAddUp(t *testing.T, list []*Place) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	waits, out, answered := 0, 0, 0
	for _, l := range list {
		switch l.state {
		case placeWaits:
			waits++
			if p.out < p.window && (l.wants || l.invited || l.seen != p.news) {
				t.Error("one waits while there is room")
			}
		case placeAnswered:
			answered++
			out++
		case placeOut:
			out++
		}
	}
	if waits != len(p.line) || out != p.out || answered != p.carried {
		t.Errorf("got %d, %d and %d, want %d, %d and %d", len(p.line), p.out, p.carried, waits, out, answered)
	}
	if !slices.IsSortedFunc(p.line, func(a, b *Place) int { return int(a.number) - int(b.number) }) {
		t.Error("the line is not in order")
	}
}
