package score

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// parkingLot is a line whose time passes.
type parkingLot struct {
	*testing.T
	Parking
	now  time.Time
	list []*Place
}

// parked is a line of n, of whom each had a turn, in vain.
func parked(t *testing.T, n int) *parkingLot {
	t.Helper()
	p := &parkingLot{T: t, now: begin}
	for i := range n {
		l := p.Enter(p.now)
		if l == nil {
			t.Fatalf("request %d: no room", i)
		}
		p.list = append(p.list, l)
		p.turns(i)
		p.back(false, i)
	}
	return p
}

func (p *parkingLot) back(unused bool, list ...int) {
	p.Helper()
	for _, i := range list {
		p.list[i].Back(p.now, unused)
	}
}

func (p *parkingLot) answers(list ...int) {
	for _, i := range list {
		p.list[i].Answers(p.now)
	}
}

func (p *parkingLot) leave(list ...int) {
	for _, i := range list {
		p.list[i].Leave(p.now, false)
	}
}

func (p *parkingLot) leaveAll() {
	p.Helper()
	for _, l := range p.list {
		l.Leave(p.now, false)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.line) != 0 || len(p.asking) != 0 || p.carried != 0 || p.living != 0 {
		p.Errorf("got %d in the line, %d that ask and %d answered, want none", len(p.line), len(p.asking), p.carried)
	}
}

// turns checks whose turns came since they were looked at last. Those that are invited are told as negative, less one.
func (p *parkingLot) turns(want ...int) {
	p.Helper()
	var got []int
	for i, l := range p.list {
		select {
		case invited := <-l.Turn():
			if invited {
				i = -i - 1
			}
			got = append(got, i)
		default:
		}
	}
	if !slices.Equal(got, want) {
		p.Fatalf("got the turns of %v, want %v", got, want)
	}
}

func from(a, b int) (list []int) {
	for i := a; i < b; i++ {
		list = append(list, i)
	}
	return list
}

func TestParkingHasRoomFor256(t *testing.T) {
	t.Parallel()
	p := parked(t, 256)
	if p.Enter(p.now) != nil {
		t.Fatal("got room for one more")
	}
	if got := p.Parked(); got != 256 {
		t.Errorf("got %d parked", got)
	}
	p.Wake(p.now, NewsBad)
	p.turns(from(0, 8)...)
	if p.Enter(p.now) != nil {
		t.Error("got the room of one that may come back")
	}
	p.leave(7, 7)
	if p.list = append(p.list, p.Enter(p.now)); p.list[256] == nil || p.Enter(p.now) != nil {
		t.Error("want room for one after one left")
	}
	p.answers(0)
	if p.list = append(p.list, p.Enter(p.now)); p.list[257] == nil || p.Enter(p.now) != nil {
		t.Error("want room for one after one was answered")
	}
	p.back(false, 0)
	if p.Enter(p.now) != nil {
		t.Error("got room after one came back")
	}
	p.leaveAll()
}

func TestParkingWakesOthers(t *testing.T) {
	t.Parallel()
	var p Parking
	p.Wake(begin, NewsAnswered)
	var all sync.WaitGroup
	for range 10 {
		woken := p.Woken()
		all.Go(func() { <-woken })
	}
	p.Wake(begin, NewsBad)
	all.Wait()
	select {
	case <-p.Woken():
		t.Error("got a wake that was before")
	default:
	}
}

// The first look, and ask if they are invited; the more are answered, the more follow.
func TestParkingGrows(t *testing.T) {
	t.Parallel()
	p := parked(t, 60)
	p.Wake(p.now, NewsBad)
	p.turns(from(0, 8)...)
	p.Wake(p.now, NewsClosed) // they ask; the next eight of the line are invited
	p.turns()
	if p.Moves(p.now) {
		t.Error("got that somebody is answered")
	}
	p.answers(0, 0) // once
	p.turns(-9, -10)
	p.answers(1, 2, 3)
	p.turns(-11, -12, -13, -14, -15, -16)
	if !p.Moves(p.now) {
		t.Error("want that somebody is answered")
	}
	p.leave(0) // its room, and that of those that are invited for it
	p.turns(-17)
	p.leaveAll()
}

// Who is not refused keeps nobody waiting for long, and lets others follow; its answer counts when it comes.
func TestParkingOfTheSlow(t *testing.T) {
	t.Parallel()
	p := parked(t, 60)
	p.Wake(p.now, NewsBad)
	p.turns(from(0, 8)...)
	p.now = p.now.Add(askTime - 1)
	p.list[59].Want(p.now)
	p.turns()
	p.now = p.now.Add(1)
	p.list[59].Want(p.now) // each of the eight invites one, and 24 may ask
	p.turns(-9, -10, -11, -12, -13, -14, -15, -16, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31)
	p.answers(0) // late
	if !p.Moves(p.now) {
		t.Error("want that it counts")
	}
	p.turns(-33)
	p.leaveAll()
}

// A refusal shows how many there is room for: those that have content, and one that finds out whether there is more. When one is over, one is invited.
func TestParkingIsTight(t *testing.T) {
	t.Parallel()
	p := parked(t, 60)
	p.Wake(p.now, NewsBad)
	p.turns(from(0, 8)...)
	p.answers(0, 1)
	p.turns(-9, -10, -11, -12)
	p.list[2].Refused()
	p.now = p.now.Add(askTime)
	p.list[59].Want(p.now) // all are late, and two are answered: one may ask
	p.turns(12)
	p.leave(0)
	p.turns(-14)
	p.answers(13)
	p.turns()
	p.now = p.now.Add(askTime)
	p.list[59].Want(p.now)
	p.turns(14)
	for i := 14; i < 14+enough-1; i++ { // with the one before as many as tell that there is room again
		p.answers(i)
		p.now = p.now.Add(askTime)
		p.list[59].Want(p.now)
	}
	p.turns(15, 16, 17, 18, 19, 20, 21, -23, -24, -25, -26, 26, 27, 28)
	p.leaveAll()
}

func TestParkingWantForceAndBack(t *testing.T) {
	t.Parallel()
	p := parked(t, 20)
	p.Wake(p.now, NewsBad)
	p.turns(from(0, 8)...)
	p.list[19].Want(p.now)
	p.list[12].Force(p.now) // beyond the window
	p.list[12].Force(p.now)
	p.turns()
	p.back(false, 0, 0) // nothing is new to it
	p.list[0].Want(p.now)
	p.turns()
	p.back(false, 1)
	p.turns(0) // the first of the line
	p.back(false, 2)
	p.turns(8)
	p.list[9].Want(p.now)
	p.back(false, 3)
	p.list[9].Force(p.now) // its turn came at the same moment
	p.back(false, 9)
	p.turns(10)
	p.leaveAll()
}

// A few are invited by good news; who cannot use it invites the next of the line.
func TestParkingInvites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		news []News
		want []int // who is invited
	}{
		"bad":                 {[]News{NewsBad}, nil},
		"probed":              {[]News{NewsProbed}, from(0, 2)},
		"answered":            {[]News{NewsAnswered}, from(0, 2)},
		"closed":              {[]News{NewsClosed}, from(0, 8)},
		"closed in vain":      {[]News{NewsClosed, NewsProbed, NewsClosed}, from(0, 9)},
		"closed, then others": {[]News{NewsClosed, NewsAnswered, NewsProbed}, from(0, 8)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := parked(t, 30)
			p.window = 0 // nobody has a turn
			for _, news := range c.news {
				p.Wake(p.now, news)
			}
			var got []int
			for i, l := range p.list {
				invited := l.invited
				select {
				case invited = <-l.Turn():
				default:
				}
				if invited {
					got = append(got, i)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			p.leaveAll()
		})
	}
	p := parked(t, 4)
	p.Wake(p.now, NewsAnswered)
	p.turns(-1, -2, 2, 3)
	p.back(false, 2, 3)
	p.back(true, 0)
	p.turns(-3)
	p.leave(1) // while it asks: that may be of use
	p.Wake(p.now, NewsAnswered)
	p.turns(-1, -4)
	p.leaveAll()
	p = parked(t, 3)
	p.window = 0
	p.Wake(p.now, NewsAnswered)
	p.leave(0) // whoever leaves the line leaves the invitation
	if !p.list[2].invited {
		t.Error("want that the next one is invited")
	}
	p.leaveAll()
	p = parked(t, 12)
	p.Wake(p.now, NewsAnswered)
	p.turns(-1, -2, 2, 3, 4, 5, 6, 7)
	p.list[0].Leave(p.now, true) // the invitation goes to the next that waits
	p.turns(-9)
	p.list[2].Refused() // others are answered, and those of the line are not
	p.Wake(p.now, NewsAnswered)
	for _, l := range p.list {
		if l.invited {
			t.Error("got an invitation after a refusal")
		}
	}
	p.leaveAll()
}

func TestParkingMoves(t *testing.T) {
	t.Parallel()
	p := parked(t, 1)
	p.list[0].Want(p.now)
	p.turns(0)
	if p.answers(0); !p.Moves(p.now.Add(time.Hour)) {
		t.Error("want that it moves while an answer comes")
	}
	p.leave(0)
	if !p.Moves(p.now.Add(movesFor-1)) || p.Moves(p.now.Add(movesFor)) {
		t.Error("want that it moves for a while after an answer")
	}
}

func TestNilPlace(t *testing.T) {
	t.Parallel()
	var l *Place
	l.Answers(begin)
	l.Refused()
}

// Whatever requests do, and in whatever order, nobody is counted twice or left behind.
func TestParkingAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		p := &parkingLot{T: t, now: begin}
		for range 500 {
			p.now = p.now.Add(time.Duration(r.IntN(200)) * ms)
			if len(p.list) < 30 && r.IntN(3) == 0 {
				p.list = append(p.list, p.Enter(p.now))
			}
			if len(p.list) == 0 {
				continue
			}
			i := r.IntN(len(p.list))
			l := p.list[i]
			switch r.IntN(8) {
			case 0:
				l.Want(p.now)
			case 1:
				l.Force(p.now)
			case 2, 3:
				l.Back(p.now, r.IntN(2) == 0)
			case 4:
				l.Answers(p.now)
			case 5:
				l.Refused()
			case 6:
				p.Wake(p.now, News(r.IntN(4)))
			default:
				l.Leave(p.now, r.IntN(2) == 0)
				p.list = slices.Delete(p.list, i, i+1)
			}
			p.mustAddUp()
		}
		p.leaveAll()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// mustAddUp checks that the counts are those of the places, that the line is in order, and that nobody who has something to look at waits while there is room.
func (p *parkingLot) mustAddUp() {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	waits, asks, answered, living := 0, 0, 0, 0
	for _, l := range p.list {
		if l.state != placeAnswered && l.state != placeOver {
			living++
		}
		switch l.state {
		case placeWaits:
			waits++
			if len(p.asking)+p.carried < p.window && (l.wants || l.invited || l.seen != p.news) {
				p.Error("one waits while there is room")
			}
		case placeAnswered:
			answered++
		case placeAsks:
			asks++
		}
	}
	if waits != len(p.line) || asks != len(p.asking) || answered != p.carried || living != p.living {
		p.Errorf("got %d, %d, %d and %d, want %d, %d, %d and %d", len(p.line), len(p.asking), p.carried, p.living, waits, asks, answered, living)
	}
	if !slices.IsSortedFunc(p.line, func(a, b *Place) int { return int(a.number) - int(b.number) }) {
		p.Error("the line is not in order")
	}
}

func TestParkedPause(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]time.Duration{-1: 500 * ms, 0: 500 * ms, 1: second, 4: 8 * second, 5: 8 * second, 99: 8 * second} {
		if got := ParkedPause(n, false, always(0.5)); got != want {
			t.Errorf("%d: got %v, want %v", n, got, want)
		}
		if got := ParkedPause(n, true, always(0.5)); got != 8*second {
			t.Errorf("%d: got %v while others are answered, want 8 s", n, got)
		}
	}
}
