package statuspage

import (
	"math"
	"slices"
	"strconv"
)

// costs are what a score is made of, in the order in which they are drawn.
var costs = [...]struct {
	name, word, class string
	of                func(*Health) float64
}{
	{"latency_cost", "Latency", "latency", func(h *Health) float64 { return h.LatencyCost }},
	{"failure_cost", "Failures", "failures", func(h *Health) float64 { return h.FailureCost }},
	{"price_cost", "Price", "price", func(h *Health) float64 { return h.PriceCost }},
	{"headroom_cost", "Limits", "limits", func(h *Health) float64 { return h.HeadroomCost }},
}

// overview compares the endpoints, one in a row.
func (d *document) overview(p *Page) {
	if len(p.Endpoints) == 0 {
		return
	}
	d.put(`
<section class="panel overview" aria-labelledby=endpoints><div class=title><h2 id=endpoints>Endpoints</h2><p class=legend>Score of`)
	for _, c := range costs {
		d.put(` <span class="key {}">`, c.class)
		d.swatch(c.class)
		d.put(`{}</span>`, c.word)
	}
	d.put(`</p></div>
<table role=table><thead role=rowgroup><tr role=row><th role=columnheader scope=col>Endpoint</th><th role=columnheader scope=col>State</th>
<th role=columnheader scope=col class=n>Score</th><th role=columnheader scope=col class=scale aria-label="Score, drawn">`)
	most := p.scale()
	d.put(`<span>0</span><span>{}</span></th>`, axis(most)+nbsp+"s")
	for _, word := range []string{"Median", "p99", "Failing"} {
		d.put(`<th role=columnheader scope=col class=n>{}</th>`, word)
	}
	d.put(`<th role=columnheader scope=col class=spark>Ten minutes</th><th role=columnheader scope=col class=n>Under way</th></tr></thead><tbody role=rowgroup>`)
	for i := range p.Endpoints {
		d.row(p, i, most)
	}
	d.put(`</tbody></table></section>
`)
}

// swatch shows how something is drawn that a word beside it names.
func (d *document) swatch(class string) {
	shape := markup(`<rect width="10" height="10" rx="2"/>`)
	switch class {
	case "p50":
		shape = `<path d="M0 5h10"/>`
	case "p90":
		shape = `<path class=band d="M0 1h10v8H0z"/><path d="M0 1h10"/>`
	}
	d.put(`<svg width="10" height="10" aria-hidden="true">` + shape + `</svg>`)
}

func (d *document) row(p *Page, i int, most float64) {
	e := &p.Endpoints[i]
	h, name := &e.Health, e.Name
	d.put(`<tr role=row><th role=rowheader scope=row class=name><a href="#e{}"><bdi>{}</bdi></a>`, strconv.Itoa(i+1), name)
	if e.Next {
		d.put(`<span class=next>asked first</span>`)
	}
	d.put(`<small><bdi>{}</bdi> · {}</small></th><td role=cell class=is>`, e.Provider, e.place())
	d.badge(e.state(), name+"/state")
	d.put(`<small>{}</small></td><td role=cell class="n score">`, p.detail(e))
	d.figure(name+"/score", seconds(h.Score))
	d.put(`<span class=unit>{}s</span></td><td role=cell class=drawn>`, nbsp)
	d.bar(h, most)
	d.put(`</td>`)
	d.cell("median", "Median", name+"/median", duration(h.Median))
	d.cell("p99", "p99", name+"/p99", duration(h.P99))
	d.cell("failing", "Failing", name+"/failure_rate", percent(h.FailureRate))
	d.put(`<td role=cell class=spark>`)
	d.spark(e)
	d.put(`</td>`)
	running := count(e.Running)
	if e.Queued > 0 {
		running += " + " + count(e.Queued) + " queued"
	}
	d.cell("running", "Under way", name+"/running", running)
	d.put(`</tr>`)
}

// cell appends a number to a row. Where there is no room for the table's head, the label is shown beside it.
func (d *document) cell(class, label, name, text string) {
	d.put(`<td role=cell class="n {}" data-label="{}">`, class, label)
	d.figure(name, text)
	d.put(`</td>`)
}

// place says where in the order of endpoints this one stands.
func (e *Endpoint) place() string {
	if e.Local {
		return "local"
	}
	return "tier " + strconv.Itoa(e.Tier)
}

// bar draws a score as its costs, on a scale that ends at most. What goes beyond is cut, and marked.
func (d *document) bar(h *Health, most float64) {
	d.put(`<svg class=bar width="100%" height="12" aria-hidden="true"><rect class=rest width="100%" height="12" rx="2"/>`)
	at := 0.0
	for _, c := range costs {
		width := clamp(c.of(h)/most) * 100
		width = min(width, 100-at)
		if width < 0.05 {
			continue
		}
		d.put(`<rect class={} height="12" x="`, c.class)
		d.number(at)
		d.put(`%" width="`)
		d.number(width)
		d.put(`%"/>`)
		at += width
	}
	if h.Score > most*1.001 {
		d.put(`<svg x="100%" overflow="visible"><path class=cut d="M-13 -1h5l-4 14h-5z"/></svg>`)
	}
	d.put(`</svg>`)
}

// scale returns a round number of seconds that holds the scores, but for those that would leave no room to the others.
func (p *Page) scale() float64 {
	var all []float64
	for i := range p.Endpoints {
		if s := p.Endpoints[i].Health.Score; s > 0 && s < 1e15 {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return 1
	}
	slices.Sort(all)
	most := 4 * all[(len(all)-1)/2]
	for len(all) > 1 && all[len(all)-1] > most {
		all = all[:len(all)-1]
	}
	return roundUp(all[len(all)-1])
}

// roundUp returns the next number that is 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten.
func roundUp(f float64) float64 {
	if !(f > 0) || math.IsInf(f, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(f)))
	for _, m := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8} {
		if f <= m*power*1.0001 {
			return m * power
		}
	}
	return 10 * power
}

// axis writes a number that roundUp returned, or half of it.
func axis(f float64) string {
	unit := ""
	switch {
	case f >= 1e6:
		f, unit = f/1e6, "M"
	case f >= 1e4:
		f, unit = f/1e3, "k"
	}
	return strconv.FormatFloat(math.Round(f*1e4)/1e4, 'f', -1, 64) + unit
}
