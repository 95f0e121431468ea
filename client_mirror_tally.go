package holdfast

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/holdfast-ai/holdfast/internal/histogram"
)

// tally counts what became of copies.
type tally struct {
	sampled, excluded, unable, copied, answered int

	dropped     MirrorDrops
	failures    map[Kind]int
	form        MirrorForm
	tools, same MirrorShare
	cost        MirrorCost
	spent       [2]float64 // tokens times price: the users', the candidate's
	length      histogram.Histogram
	first       [2]histogram.Histogram // seconds
	whole       [2]histogram.Histogram
}

// add adds what another tally has counted.
func (t *tally) add(other *tally) {
	for _, n := range [...]struct {
		sum *int
		n   int
	}{
		{&t.sampled, other.sampled},
		{&t.excluded, other.excluded},
		{&t.unable, other.unable},
		{&t.copied, other.copied},
		{&t.answered, other.answered},
		{&t.dropped.Busy, other.dropped.Busy},
		{&t.dropped.Budget, other.dropped.Budget},
		{&t.dropped.Resting, other.dropped.Resting},
		{&t.dropped.Closed, other.dropped.Closed},
		{&t.form.Of, other.form.Of},
		{&t.form.User, other.form.User},
		{&t.form.Candidate, other.form.Candidate},
		{&t.tools.Of, other.tools.Of},
		{&t.tools.Same, other.tools.Same},
		{&t.same.Of, other.same.Of},
		{&t.same.Same, other.same.Same},
		{&t.cost.Of, other.cost.Of},
	} {
		*n.sum += n.n
	}
	for kind, n := range other.failures {
		t.failed(kind, n)
	}
	t.cost.UserTokens += other.cost.UserTokens
	t.cost.CandidateTokens += other.cost.CandidateTokens
	t.length.Merge(&other.length)
	for i := range t.spent {
		t.spent[i] += other.spent[i]
		t.first[i].Merge(&other.first[i])
		t.whole[i].Merge(&other.whole[i])
	}
}

func (t *tally) failed(kind Kind, n int) {
	if t.failures == nil {
		t.failures = map[Kind]int{}
	}
	t.failures[kind] += n
}

// tell fills in a verdict's counts.
func (t *tally) tell(v *MirrorVerdict) {
	v.Sampled, v.Excluded, v.Unable, v.Dropped = t.sampled, t.excluded, t.unable, t.dropped
	v.Copied, v.Answered, v.Failures = t.copied, t.answered, t.failures
	v.Form, v.Tools, v.Same, v.Cost = t.form, t.tools, t.same, t.cost
	if t.spent[0] > 0 {
		v.Cost.Ratio = digits3(t.spent[1] / t.spent[0])
	}
	v.Length = MirrorRatio{t.length.Len(), digits3(t.length.Median())}
	v.FirstContent, v.Whole = timesOf(&t.first), timesOf(&t.whole)
}

func timesOf(h *[2]histogram.Histogram) MirrorTimes {
	median := func(h *histogram.Histogram) time.Duration {
		return time.Duration(digits3(h.Median() * float64(time.Second)))
	}
	return MirrorTimes{h[0].Len(), median(&h[0]), median(&h[1])}
}

// digits3 rounds to three digits: more would be an exactness that a histogram does not have.
func digits3(x float64) float64 {
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', 3, 64), 64)
	return x
}

// panicKind is how a panic is counted among the kinds of failures.
const panicKind Kind = "panic"

// ended takes in what became of a copy.
func (m *mirror) ended(p *mirrorCopy, o *mirrorOutcome) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	m.moved.Broadcast()
	t, e := &m.young, o.failure
	switch {
	case e != nil && e.Kind == KindCanceled: // only Close ends a copy
		t.dropped.Closed++
		return
	case e != nil && e.Kind == KindBusy:
		t.dropped.Busy++
		return
	case e != nil && e.Phase == PhaseBeforeSend && (e.Kind == KindUnsupported || e.Kind == KindInvalid):
		t.unable++
		return
	}
	m.count(now, p, o)
	if t.copied >= m.config.Window {
		m.old, m.young = m.young, tally{}
	}
}

// count counts a copy that was answered or failed. m.mu is held.
func (m *mirror) count(now time.Time, p *mirrorCopy, o *mirrorOutcome) {
	t := &m.young
	t.copied++
	switch e := o.failure; {
	case o.panicked:
		t.failed(panicKind, 1)
		m.differs(now, p, MirrorDifference{Kind: panicKind})
	case e != nil:
		t.failed(e.Kind, 1)
		m.differs(now, p, MirrorDifference{Kind: e.Kind, CandidateID: e.RequestID})
		if until := now.Add(mirrorRest(e)); until.After(m.rests) {
			m.rests = until
		}
	default:
		t.answer(m, &p.user, &o.candidate, o.compared)
		if d := o.compared.differs(m.config.Promote.MostLength); d != nil {
			m.differs(now, p, MirrorDifference{Differs: d, CandidateID: o.candidate.RequestID})
		}
		m.charge(now, countedTokens(o.candidate.Usage)-countedTokens(p.user.Usage))
	}
}

const (
	restAfterLimit   = 10 * time.Second
	restAfterRefusal = time.Minute
	maxMirrorRest    = 10 * time.Minute
)

// mirrorRest is how long the candidate is left alone after a failure that further copies would only repeat: they may use up a limit that the
// account of users' calls shares.
func mirrorRest(e *Error) time.Duration {
	switch e.Kind {
	case KindRateLimit, KindOverloaded:
		return min(cmp.Or(e.RetryAfter, restAfterLimit), maxMirrorRest)
	case KindKey, KindPermission, KindBilling, KindQuota:
		return min(cmp.Or(e.RetryAfter, restAfterRefusal), maxMirrorRest)
	}
	return 0
}

// charge takes tokens beyond what was expected from the budget, a minute's worth at most. m.mu is held.
func (m *mirror) charge(now time.Time, more int) {
	if more > 0 {
		m.tokens.ReserveN(now, min(more, m.config.MaxTokensPerMinute))
	}
}

// maxDifferences bounds the memory for differences.
const maxDifferences = 10

// differs remembers a difference. m.mu is held.
func (m *mirror) differs(now time.Time, p *mirrorCopy, d MirrorDifference) {
	d.At, d.Endpoint, d.Model, d.RequestID = now, p.user.Endpoint, p.request.Model, p.user.RequestID
	if len(m.differences) == maxDifferences {
		m.differences = slices.Delete(m.differences, 0, 1)
	}
	m.differences = append(m.differences, d)
}

// answer counts an answer of the candidate.
func (t *tally) answer(m *mirror, user, candidate *measured, c comparison) {
	t.answered++
	if c.form {
		t.form.Of++
		t.form.User += one(c.userKept)
		t.form.Candidate += one(c.kept)
	}
	if c.tools {
		t.tools.Of++
		t.tools.Same += one(c.equalTools)
	}
	if c.judged {
		t.same.Of++
		t.same.Same += one(c.same)
	}
	if c.text {
		t.length.Add(c.length)
	}
	addTimes(&t.first, user.first, candidate.first)
	addTimes(&t.whole, user.whole, candidate.whole)
	if a, b := countedTokens(user.Usage), countedTokens(candidate.Usage); a > 0 && b > 0 {
		t.cost.Of++
		t.cost.UserTokens += int64(a)
		t.cost.CandidateTokens += int64(b)
		t.spent[0] += float64(a) * m.prices[user.Endpoint]
		t.spent[1] += float64(b) * m.endpoint.price()
	}
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// addTimes adds the times of one call, if both are known.
func addTimes(h *[2]histogram.Histogram, user, candidate time.Duration) {
	if user > 0 && candidate > 0 {
		h[0].Add(user.Seconds())
		h[1].Add(candidate.Seconds())
	}
}
