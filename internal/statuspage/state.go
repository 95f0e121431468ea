package statuspage

import "time"

// state is what an endpoint is shown as: the worst that is true of it.
type state int

const (
	available state = iota
	untried
	partly
	suspect
	blocked
	open
)

// Each state has a shape, a word and a colour, so that it can be told by any of them.
var states = [...]struct {
	word, class string
	icon        markup
}{
	available: {"available", "ok", `<circle cx="6" cy="6" r="5"/>`},
	untried:   {"untried", "idle", `<circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" stroke-width="1.5"/>`},
	partly:    {"partly blocked", "warn", `<path d="M6 .5 11.5 6 6 11.5 .5 6z"/>`},
	suspect:   {"suspect", "warn", `<path d="M6 1 11.5 10.5H.5z"/>`},
	blocked:   {"blocked", "bad", `<path d="M1 1h10v10H1z"/>`},
	open:      {"open", "bad", `<path d="m2 2 8 8M10 2l-8 8" fill="none" stroke="currentColor" stroke-width="2.5" stroke-linecap="round"/>`},
}

func (e *Endpoint) state() state {
	for _, b := range e.Blocks {
		if b.Model == "" && e.Health.Breaker != "open" {
			return blocked
		}
	}
	switch h := &e.Health; {
	case h.Breaker == "open":
		return open
	case h.Breaker == "suspect":
		return suspect
	case len(e.Blocks) > 0:
		return partly
	case e.isUntried():
		return untried
	}
	return available
}

// isUntried reports whether the endpoint never answered or failed, so that its score is what was expected of it.
func (e *Endpoint) isUntried() bool {
	return e.Health.LastAnswer.IsZero() && e.Health.Consecutive == 0 && len(e.Failures) == 0
}

// isAvailable reports whether any call may go there.
func (s state) isAvailable() bool { return s != open && s != blocked }

// detail says the most important thing of the state in a few words.
func (p *Page) detail(e *Endpoint) string {
	h := &e.Health
	switch e.state() {
	case untried:
		return "not asked yet"
	case open:
		return p.probe(h)
	case blocked:
		for i := range e.Blocks {
			if e.Blocks[i].Model == "" {
				return p.blocking(&e.Blocks[i])
			}
		}
	case partly:
		if len(e.Blocks) > 1 {
			return count(len(e.Blocks)) + " models"
		}
		return e.Blocks[0].Model + ": " + p.blocking(&e.Blocks[0])
	}
	if h.LastAnswer.IsZero() {
		return "no answer yet"
	}
	return "answered " + ago(p.At, h.LastAnswer)
}

// probe says when an open breaker is probed.
func (p *Page) probe(h *Health) string {
	switch {
	case h.Probing:
		return "probe under way"
	case h.NextProbe.Sub(p.At) <= 0:
		return "probe due"
	}
	return "probe in " + span(max(h.NextProbe.Sub(p.At), time.Second))
}

// blocking says what a block is for and when it ends.
func (p *Page) blocking(b *Block) string { return b.Kind + ", " + p.end(b) }

func (p *Page) end(b *Block) string {
	if b.Until.IsZero() {
		return "until the key changes"
	}
	return span(b.Until.Sub(p.At)) + " left"
}

// badge appends the shape and the word of a state.
func (d *document) badge(s state, name string) {
	v := &states[s]
	d.put(`<span class="state {}"><svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">`, v.class)
	d.put(v.icon)
	d.put(`</svg><span data-figure="{}">{}</span></span>`, name, v.word)
}
