package holdfast

import (
	"cmp"
	"fmt"
	"strings"
)

// Promotion says what a candidate must show to be promoted. Each demand holds for what it can be asked of: where no answer called a tool,
// nothing is asked of tools. A share of 0.0001, or a bound of 1,000, asks for nothing.
type Promotion struct {
	// LeastCopies is how many copies must have been answered or failed. 0 means 100.
	LeastCopies int `json:"least_copies,omitempty"`
	// LeastAnswered is the share of them that must have been answered. 0 means 0.99.
	LeastAnswered float64 `json:"least_answered,omitempty"`
	// LeastForm is the share of answers that must keep the form which the request's Output asks for. It is enough to keep it as often as
	// the answers that users got. 0 means 0.99.
	LeastForm float64 `json:"least_form,omitempty"`
	// LeastTools is the share of answers that must call the same tools with equal arguments, among those where either answer calls any. 0
	// means 0.9.
	LeastTools float64 `json:"least_tools,omitempty"`
	// LeastSame is the share of answers that [Mirror].Same must take for the same. 0 means 0.9.
	LeastSame float64 `json:"least_same,omitempty"`
	// MostLength is how many times as long as the user's text the candidate's may be, and how many times as short, by the median. 0 means 2.
	MostLength float64 `json:"most_length,omitempty"`
	// MostTime is how many times as long the candidate may take to its first content, and to the end of its answer, each by the medians. 0
	// means 1.5.
	MostTime float64 `json:"most_time,omitempty"`
	// MostCost is how many times as much the candidate's answers may cost together. 0 means 1.5.
	MostCost float64 `json:"most_cost,omitempty"`
}

func (p Promotion) withDefaults() Promotion {
	p.LeastCopies = cmp.Or(p.LeastCopies, 100)
	for _, f := range []struct {
		value   *float64
		without float64
	}{
		{&p.LeastAnswered, 0.99},
		{&p.LeastForm, 0.99},
		{&p.LeastTools, 0.9},
		{&p.LeastSame, 0.9},
		{&p.MostLength, 2},
		{&p.MostTime, 1.5},
		{&p.MostCost, 1.5},
	} {
		*f.value = cmp.Or(*f.value, f.without)
	}
	return p
}

func (p *Promotion) check(fault faultFunc) {
	if p.LeastCopies < 0 {
		fault("least_copies", "must not be negative")
	}
	for field, share := range map[string]float64{
		"least_answered": p.LeastAnswered, "least_form": p.LeastForm, "least_tools": p.LeastTools, "least_same": p.LeastSame,
	} {
		if !(share >= 0 && share <= 1) {
			fault(field, "must lie between 0 and 1")
		}
	}
	if !(p.MostLength == 0 || p.MostLength >= 1) {
		fault("most_length", "must be at least 1: so many times as long, or as short")
	}
	for field, bound := range map[string]float64{"most_time": p.MostTime, "most_cost": p.MostCost} {
		if !(bound >= 0) {
			fault(field, "must not be negative")
		}
	}
}

// judgement collects what a candidate has shown of what is asked for.
type judgement struct {
	all, unmet []string
}

func (j *judgement) demand(met bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if j.all = append(j.all, text); !met {
		j.unmet = append(j.unmet, text)
	}
}

// share demands that something holds for a share of the answers that it can be asked of.
func (j *judgement) share(what string, s MirrorShare, least float64) {
	if s.Of > 0 {
		j.demand(isShare(s.Same, s.Of, least), "%s %d of %d, at least %.4g%% asked for", what, s.Same, s.Of, 100*least)
	}
}

// isShare reports whether n are the least share of all. Shares such as 0.07 are a little more or less in binary.
func isShare(n, of int, least float64) bool { return float64(n) >= least*float64(of)-1e-9 }

// times demands that the candidate is not much slower.
func (j *judgement) times(what string, t MirrorTimes, most float64) {
	if t.Of > 0 {
		met := float64(t.Candidate) <= most*float64(t.User)
		j.demand(met, "%s after %v, users' after %v, at most %.3g times that asked for", what, t.Candidate, t.User, most)
	}
}

// judge says whether a candidate may be promoted, and why or why not.
func (p Promotion) judge(v *MirrorVerdict) (promote bool, why string) {
	var j judgement
	if v.Copied < p.LeastCopies {
		j.demand(false, "%d copies, at least %d asked for", v.Copied, p.LeastCopies)
	}
	j.share("answered", MirrorShare{v.Copied, v.Answered}, p.LeastAnswered)
	if f := v.Form; f.Of > 0 {
		met := isShare(f.Candidate, f.Of, p.LeastForm) || f.Candidate >= f.User
		j.demand(met, "kept the form in %d of %d, users' answers in %d, at least %.4g%% asked for", f.Candidate, f.Of, f.User, 100*p.LeastForm)
	}
	j.share("called the same tools in", v.Tools, p.LeastTools)
	j.share("the same by Mirror.Same in", v.Same, p.LeastSame)
	if l := v.Length; l.Of > 0 {
		j.demand(!outside(l.Median, p.MostLength), "%.3g times as long, %.3g to %.3g asked for", l.Median, 1/p.MostLength, p.MostLength)
	}
	j.times("first content", v.FirstContent, p.MostTime)
	j.times("whole", v.Whole, p.MostTime)
	if c := v.Cost; c.Of > 0 {
		j.demand(c.Ratio <= p.MostCost, "costs %.3g times as much, at most %.3g asked for", c.Ratio, p.MostCost)
	}
	if len(j.unmet) > 0 {
		return false, strings.Join(j.unmet, "; ")
	}
	return true, strings.Join(j.all, "; ")
}

// outside reports whether a ratio is more than most, or less than its inverse.
func outside(ratio, most float64) bool { return ratio > most || ratio*most < 1 }
