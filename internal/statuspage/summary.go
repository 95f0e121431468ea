package statuspage

import "strconv"

const fullBudget = 100

// available counts the endpoints that some call may go to.
func (p *Page) available() (n int) {
	for i := range p.Endpoints {
		if p.Endpoints[i].state().isAvailable() {
			n++
		}
	}
	return n
}

// recently counts what became of the attempts of the last minutes.
func (e *Endpoint) recently() (answered, failed int) {
	for _, i := range e.Recent {
		answered += i.Answered
		failed += i.Failed
	}
	return answered, failed
}

// summary tells the whole state in a sentence, and the figures of all endpoints together.
func (d *document) summary(p *Page) {
	d.put(`<svg class=hidden aria-hidden="true"><pattern id=hatch width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class=solid width="4" height="4"/><rect class=gap width="1" height="4"/></pattern></svg>
<section class=summary aria-labelledby=summary><h1 id=summary data-figure="available">{}</h1>`, p.sentence())
	d.troubles(p)
	d.put(`<dl class=figures>`)
	var answered, failed, running int
	for i := range p.Endpoints {
		a, f := p.Endpoints[i].recently()
		answered, failed, running = answered+a, failed+f, running+p.Endpoints[i].Running
	}
	d.total("answered", "Answered", count(answered), "in ten minutes")
	share := "attempts"
	if all := answered + failed; all > 0 {
		share = percent(float64(failed)/float64(all)) + " of attempts"
	}
	d.total("failed", "Failed", count(failed), share)
	d.total("running", "Under way", count(running), "attempts")
	note := "calls"
	if p.Waiting > 0 {
		note = "calls that nobody can take"
	}
	d.total("waiting", "Waiting", count(p.Waiting), note)
	d.budget(p.RetryBudget)
	d.put(`</dl></section>`)
}

func (p *Page) sentence() string {
	all, n := len(p.Endpoints), p.available()
	switch {
	case all == 0:
		return "There are no endpoints"
	case n == all && all == 1:
		return "The endpoint is available"
	case n == all && all == 2:
		return "Both endpoints are available"
	case n == all:
		return "All " + strconv.Itoa(all) + " endpoints are available"
	case n == 0:
		return "No endpoint is available"
	}
	return strconv.Itoa(n) + " of " + strconv.Itoa(all) + " endpoints are available"
}

// mostTroubles is how many endpoints are named beneath the sentence.
const mostTroubles = 4

// troubles names the endpoints that are not simply well.
func (d *document) troubles(p *Page) {
	d.put(`<ul class=troubles>`)
	left, fresh := 0, 0
	for shown, i := 0, 0; i < len(p.Endpoints); i++ {
		e := &p.Endpoints[i]
		s := e.state()
		switch {
		case s == untried:
			fresh++
			continue
		case s == available:
			continue
		case shown == mostTroubles:
			left++
			continue
		}
		shown++
		d.put(`<li><a href="#e{}"><bdi>{}</bdi></a> <span>{}: {}</span></li>`, strconv.Itoa(i+1), e.Name, states[s].word, p.detail(e))
	}
	if left > 0 {
		d.put(`<li><span>and {} more</span></li>`, strconv.Itoa(left))
	}
	if fresh > 0 && fresh == len(p.Endpoints) {
		d.put(`<li>None was asked yet: the scores are what the configuration expects.</li>`)
	}
	d.put(`</ul>`)
}

func (d *document) total(name, label, value, note string) {
	d.put(`<div><dt>{}</dt><dd><b data-figure="{}">{}</b> <span>{}</span></dd></div>`, label, name, value, note)
}

// budget shows how much is left of the retry budget.
func (d *document) budget(left float64) {
	share, note, class := clamp(left/fullBudget), "of "+strconv.Itoa(fullBudget), "meter"
	switch {
	case left < 1:
		note, class = note+": no more retries", "meter low"
	case share < 0.2:
		note, class = note+": nearly used up", "meter low"
	}
	d.put(`<div><dt>Retry budget</dt><dd><b data-figure="retry_budget">{}</b> <span>{}</span>`, strconv.Itoa(int(share*fullBudget)), note)
	d.put(`<svg class="{}" width="100%" height="4" aria-hidden="true"><rect class=rest width="100%" height="4" rx="2"/><rect class=level width="`, class)
	d.number(100 * share)
	d.put(`%" height="4" rx="2"/></svg></dd></div>`)
}

// clamp returns a share that can be drawn.
func clamp(f float64) float64 {
	if !(f > 0) {
		return 0
	}
	return min(f, 1)
}
