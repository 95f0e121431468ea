package holdfast

import (
	"maps"
	"sync"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// healths is what is known of how well one endpoint answers: to all clients, or, where the way there differs by the client's country, to
// those of each country apart. Safe for concurrent use.
type healths struct {
	prior score.Prior
	all   *score.Health // also of clients whose country is unknown
	apart bool

	mu        sync.Mutex
	byCountry map[string]*score.Health
}

// maxCountries bounds the memory: there are some 250.
const maxCountries = 300

func newHealths(e *Endpoint, apart bool) *healths {
	p := score.Prior{
		Expected: e.ExpectedLatency, Failure: e.ExpectedFailures, Price: e.price(), Tier: e.Tier, Local: e.Local,
	}
	if e.ExpectedLatency > 0 {
		p.ExpectedWhole = e.ExpectedLatency + score.DefaultExpectedWhole - score.DefaultExpected
	}
	return &healths{prior: p, all: score.NewHealth(p, time.Now(), nil), apart: apart}
}

// of returns the health as clients of a country know it.
func (h *healths) of(country string) *score.Health {
	if !h.apart || country == "" {
		return h.all
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	found := h.byCountry[country]
	switch {
	case found != nil:
	case len(h.byCountry) >= maxCountries:
		return h.all
	default:
		if h.byCountry == nil {
			h.byCountry = map[string]*score.Health{}
		}
		found = score.NewHealth(h.prior, time.Now(), nil)
		h.byCountry[country] = found
	}
	return found
}

// countries returns the healths of each country apart.
func (h *healths) countries() map[string]*score.Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.byCountry)
}

// recently returns what happened in the last minutes.
func (e *endpoint) recently(now time.Time) (all []Interval, failures []Failure) {
	for _, b := range e.recent.Recent(now, nil) {
		all = append(all, Interval{Start: b.Start, Answered: b.Answered, Failed: b.Failed, P50: b.P50, P90: b.P90, Max: b.Max})
	}
	for _, f := range e.recent.Failures(nil) {
		failures = append(failures, Failure{At: f.At, Kind: Kind(f.Kind), Status: f.Status})
	}
	return all, failures
}

// form is how answers are asked for, by which latencies are told apart.
func (k *call) form() score.Form {
	if k.stream {
		return score.Streamed
	}
	return score.Whole
}

// lesson is what an attempt taught of its endpoint's health, so that none teaches anything twice.
type lesson uint8

const (
	lessonNone    lesson = iota
	lessonLate           // it waited so long that it counts as failed, whatever comes yet
	lessonContent        // its first content came
)

// hadContent learns that the first content of an attempt, or its whole answer, came. k.mu is held.
func (k *call) hadContent(x *exchange) {
	if k.probing || x.run.lesson == lessonContent {
		return
	}
	x.run.lesson = lessonContent
	now, h, wake, news := time.Now(), x.candidate.health, true, score.NewsAnswered
	if x.candidate.trial {
		x.candidate.trial = false
		if h.Probed(now, k.form(), x.run.ahead) {
			news = score.NewsClosed
		}
	} else {
		wake = h.Content(now, k.form(), x.run.ahead)
	}
	x.endpoint.recent.Answered(now, x.run.ahead)
	k.place.Answers(now)
	x.endpoint.blocks.answered(x.credentials.id, x.target.Model)
	if wake { // who waits may be helped; of an endpoint that is well they know
		k.client.routing.parking.Wake(now, news)
	}
}

// wasLate learns that no content came within three hedge points. k.mu is held.
func (k *call) wasLate(x *exchange) {
	now := time.Now()
	if k.probing || x.run.lesson != lessonNone || !x.candidate.health.IsLate(k.form(), now.Sub(x.run.begun)) {
		return
	}
	x.run.lesson = lessonLate
	if x.candidate.trial {
		k.endTrial(x.candidate, saysSilent, true)
	} else {
		x.candidate.health.Late(now, k.form(), now.Sub(x.run.begun))
	}
	x.endpoint.recent.Failed(now, string(KindStalled), 0)
}

// teach learns from a failure what it says of the endpoint's health. k.mu is held.
func (k *call) teach(x *exchange, e *Error) {
	if k.probing {
		return
	}
	now, h := time.Now(), x.candidate.health
	waited := now.Sub(x.run.begun)
	says := saysOf(e)
	if says == saysFailed || says == saysLimited {
		k.place.Refused()
	}
	if says != saysNothing && says != saysGivenUp && x.run.lesson != lessonLate {
		x.endpoint.recent.Failed(now, string(e.Kind), e.Status)
	}
	switch {
	case x.candidate.trial:
		k.endTrial(x.candidate, says, waited >= x.run.after)
	case says == saysLimited:
		h.Limited(now)
	case x.run.lesson == lessonLate || says == saysNothing:
	case x.run.lesson == lessonContent:
		if says != saysGivenUp {
			h.Broke(now)
		}
	case says == saysGivenUp:
		if h.GivenUp(now, k.form(), waited) {
			x.endpoint.recent.Failed(now, string(KindStalled), 0)
		}
	case says == saysSilent:
		h.Late(now, k.form(), waited)
	default:
		h.Failed(now)
	}
}

// endTrial reports what became of a call in the place of a probe that has no content. k.mu is held.
func (k *call) endTrial(c *candidate, says says, late bool) {
	c.trial = false
	now, h := time.Now(), c.health
	switch {
	case says == saysLimited:
		h.ProbeLimited(now)
	case says == saysNothing || says == saysGivenUp && !late:
		h.ProbeAbandoned(now)
	default:
		h.ProbeFailed(now)
	}
	k.client.routing.parking.Wake(now, score.NewsBad) // those that are parked must know when the next may be made
}

// says is what a failure says of the health of the endpoint where it came from.
type says uint8

const (
	saysFailed  says = iota
	saysNothing      // the request, the key or the caller was at fault
	saysSilent       // one of our clocks ended it
	saysGivenUp      // it was not needed any more, or the call's time was over
	saysLimited
)

// ailments says it for the kinds that are not simply failures.
var ailments = map[Kind]says{
	KindInvalid: saysNothing, KindUnsupported: saysNothing, KindNoEndpoint: saysNothing, KindUnavailable: saysNothing, KindTooLarge: saysNothing, KindCanceled: saysNothing,
	KindClosed: saysNothing, KindFeature: saysNothing, KindContextLength: saysNothing, KindThinking: saysNothing, KindPolicy: saysNothing,
	KindModel: saysNothing, KindRejected: saysNothing, KindKey: saysNothing, KindPermission: saysNothing,
	KindBilling: saysNothing, KindQuota: saysNothing, KindSecret: saysNothing, KindAnswerTooLarge: saysNothing, KindBusy: saysNothing,
	KindHeaderTimeout: saysSilent, KindStalled: saysSilent, KindAttemptTimeout: saysSilent,
	KindLost: saysGivenUp, KindDeadline: saysGivenUp,
	KindRateLimit: saysLimited,
}

func saysOf(e *Error) says {
	s, listed := ailments[e.Kind]
	if _, known := verdicts[e.Kind]; !listed && !known {
		return saysNothing // a kind of the caller's own adapter
	}
	return s
}
