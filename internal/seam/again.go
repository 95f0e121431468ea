package seam

// Again is the seam of a second half by a provider that may say the first all over before it goes on. If the second half begins with
// whole, that is dropped; if it differs anywhere from it, nothing is. What follows is joined as by [Space].
func Again(whole, stripped string) *Seam {
	if whole == "" {
		return Space(stripped)
	}
	return &Seam{half: &again{whole: whole, repeated: &space{stripped}, other: &space{stripped}}}
}

// Retold is [Overlap] for a model that may also start all over: if the second half begins with all of shown, that is dropped, however
// long it is.
func Retold(shown string) *Seam {
	if len(shown) <= MaxOverlap {
		return Overlap(shown)
	}
	return &Seam{half: &again{whole: shown, repeated: &space{}, other: newOverlap(shown)}}
}

type again struct {
	whole           string
	held            int  // bytes of whole that came
	repeated, other half // what follows, if all of whole came and if not
	rest            half // which of them; nil before that is known
}

func (a *again) take(piece []byte) ([]byte, bool, error) {
	if a.rest != nil {
		return a.rest.take(piece)
	}
	expected := a.whole[a.held:]
	n := min(len(piece), len(expected))
	switch {
	case string(piece[:n]) != expected[:n]: // another text: what was held back of it reads like whole
		a.rest = a.other
		return a.rest.take(append([]byte(a.whole[:a.held]), piece...))
	case n < len(expected):
		a.held += n
		return nil, false, nil
	}
	a.rest = a.repeated
	return a.rest.take(piece[n:])
}

func (a *again) flush() ([]byte, error) {
	if a.rest != nil {
		return a.rest.flush()
	}
	out, done, err := a.other.take([]byte(a.whole[:a.held]))
	if done || err != nil {
		return out, err
	}
	more, err := a.other.flush()
	return append(out, more...), err
}
