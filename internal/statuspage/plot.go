package statuspage

import (
	"strconv"
	"time"
)

// Plots are drawn in units: across, step for each interval; down, tall. They are stretched to the room there is.
const (
	step = 10.0
	tall = 100.0
	// base is where the columns of attempts stand: what was answered rises from it, what failed hangs from it.
	base = 74.0
	// least is how tall a column is at least, so that a single failure is seen among a thousand answers.
	least = 4.0
)

// plots draws the latency and the attempts of the last minutes above one axis of time.
func (d *document) plots(p *Page, e *Endpoint) {
	d.put(`<div class=plots`)
	d.series(e)
	d.put(`>`)
	d.latency(e)
	d.attempts(e)
	d.put(`<div class=time aria-hidden="true"><p class=axis><span>{}</span><span>{}</span><span>now</span></p><p class=pointed data-keep></p></div></div>`, p.before(e, 1), p.before(e, 0.5))
}

// before says how long ago a share of the intervals began.
func (p *Page) before(e *Endpoint, share float64) string {
	if len(e.Recent) == 0 {
		return ""
	}
	all := p.At.Sub(e.Recent[0].Start).Round(time.Minute)
	return "−" + span(time.Duration(share*float64(all)))
}

// series appends the figures as attributes, from which the script tells those of the interval pointed at.
func (d *document) series(e *Endpoint) {
	if len(e.Recent) == 0 {
		return
	}
	_, east := e.Recent[0].Start.Zone()
	d.put(` data-start="{}" data-each="{}" data-plot="`, strconv.FormatInt(e.Recent[0].Start.Unix()+int64(east), 10), strconv.Itoa(int(e.each()/time.Second)))
	for i, r := range e.Recent {
		if i > 0 {
			d.put(` `)
		}
		for k, n := range []int64{int64(r.Answered), int64(r.Failed), r.P50.Milliseconds(), r.P90.Milliseconds(), r.Max.Milliseconds()} {
			if r.Answered+r.Failed == 0 {
				break
			}
			if k > 0 {
				d.put(`,`)
			}
			d.html = strconv.AppendInt(d.html, n, 10)
		}
		if r.Answered+r.Failed == 0 {
			d.put(`-`)
		}
	}
	d.put(`"`)
}

// each returns how long an interval is.
func (e *Endpoint) each() time.Duration {
	if len(e.Recent) < 2 {
		return 0
	}
	return e.Recent[1].Start.Sub(e.Recent[0].Start)
}

// figurehead begins a plot and its drawing.
func (d *document) figurehead(class, title, label string, e *Endpoint, keys ...[2]string) {
	d.put(`<figure class="{}"><figcaption><span>{}</span>`, class, title)
	for _, k := range keys {
		d.put(`<span class="key {}">`, k[0])
		d.swatch(k[0])
		d.put(`{}</span>`, k[1])
	}
	d.put(`</figcaption><div class=drawing><svg viewBox="0 0 {} 100" preserveAspectRatio="none" role=img aria-label="{}">`, strconv.Itoa(max(1, len(e.Recent))*int(step)), label)
}

// attempts draws what was answered and what failed in each interval.
func (d *document) attempts(e *Endpoint) {
	answered, failed := e.recently()
	label := "Attempts in ten minutes: " + count(answered) + " answered, " + count(failed) + " failed"
	d.figurehead("attempts", "Attempts", label, e, [2]string{"answered", count(answered) + " answered"}, [2]string{"failed", count(failed) + " failed"})
	up := d.columns(e)
	d.put(`</svg>`)
	if answered+failed == 0 {
		d.put(`<p class=none>no attempts in ten minutes</p>`)
	}
	d.put(`</div><p class=scale aria-hidden="true">`)
	if answered+failed > 0 {
		d.put(`<span>{}</span>`, axis(float64(up)))
	}
	d.put(`</p></figure>`)
}

// columns draws the columns of attempts and the line on which they stand, and returns the number of attempts that the upper edge stands for.
func (d *document) columns(e *Endpoint) (up int) {
	most, worst := 0, 0
	for _, r := range e.Recent {
		most, worst = max(most, r.Answered), max(worst, r.Failed)
	}
	up = int(max(roundUp(float64(most)), 1, roundUp(float64(worst)*base/(tall-base))))
	unit := base / float64(up)
	d.path("answered", func() {
		for i, r := range e.Recent {
			d.column(i, r.Answered, -unit)
		}
	})
	d.path("failed", func() {
		for i, r := range e.Recent {
			d.column(i, r.Failed, unit)
		}
	})
	d.put(`<path class=base d="M0 74H{}"/><rect class=cursor data-keep y="0" width="10" height="100" x="-20"/>`, strconv.Itoa(max(1, len(e.Recent))*int(step)))
	return up
}

// column draws a number as a column upon the base, or beneath it.
func (d *document) column(i, n int, unit float64) {
	if n == 0 {
		return
	}
	height := float64(n) * unit
	if unit < 0 {
		height = min(height, -least)
	} else {
		height = max(height, least)
	}
	d.put(`M`)
	d.number(float64(i)*step + 1.5)
	d.put(` 74v`)
	d.number(height)
	d.put(`h7V74z`)
}

// path draws a path whose commands the function appends.
func (d *document) path(class string, draw func()) {
	d.put(`<path class="{}" d="`, class)
	draw()
	d.put(`"/>`)
}

// spark draws the attempts small.
func (d *document) spark(e *Endpoint) {
	answered, failed := e.recently()
	class := "none"
	if failed > 0 {
		class = "bad"
	}
	d.put(`<svg class=sparks viewBox="0 0 {} 100" preserveAspectRatio="none" aria-hidden="true">`, strconv.Itoa(max(1, len(e.Recent))*int(step)))
	d.columns(e)
	d.put(`</svg><small><span>`)
	d.figure(e.Name+"/answered", count(answered))
	d.put(` answered</span> <span class={}>`, class)
	d.figure(e.Name+"/failed", count(failed))
	d.put(` failed</span></small>`)
}
