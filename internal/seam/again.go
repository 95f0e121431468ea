package seam

// Again is the seam of a second half by a provider that may say the first all over before it goes on. If the second half begins with
// whole, that is dropped; if it differs anywhere from it, nothing is. What follows is joined as by [Space].
func Again(whole, stripped string) *Seam {
	if whole == "" {
		return Space(stripped)
	}
	return &Seam{half: &again{whole: whole, space: space{stripped}}}
}

type again struct {
	whole string
	held  int // bytes of whole that came
	space space
	past  bool
}

func (a *again) take(piece []byte) ([]byte, bool, error) {
	if a.past {
		return a.space.take(piece)
	}
	rest := a.whole[a.held:]
	n := min(len(piece), len(rest))
	switch {
	case string(piece[:n]) != rest[:n]: // another text: what was held back of it reads like whole
		piece = append([]byte(a.whole[:a.held]), piece...)
	case n < len(rest):
		a.held += n
		return nil, false, nil
	default:
		piece = piece[n:]
	}
	a.past = true
	return a.space.take(piece)
}

func (a *again) flush() ([]byte, error) {
	if a.past {
		return nil, nil
	}
	out, _, err := a.space.take([]byte(a.whole[:a.held]))
	return out, err
}
