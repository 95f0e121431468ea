package statuspage

import (
	"strconv"
	"strings"
)

// card tells all that is known of one endpoint.
func (d *document) card(p *Page, i int) {
	e, id := &p.Endpoints[i], strconv.Itoa(i+1)
	d.put(`
<section class="panel card" id="e{}" aria-labelledby="e{}-name"><div class=title><h3 id="e{}-name"><bdi>{}</bdi></h3>`, id, id, id, e.Name)
	d.badge(e.state(), e.Name+"/badge")
	d.put(`</div><p class=facts>`)
	d.facts(e)
	d.put(`</p><p class=why><bdi>{}</bdi></p>`, sentence(e.Why))
	d.plots(p, e)
	d.healths(p, e)
	d.blocks(p, e)
	d.failures(p, e)
	d.put(`</section>`)
}

// sentence gives a text the look of a sentence.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.TrimSuffix(s, ".") + "."
}

// facts appends what the configuration says of the endpoint.
func (d *document) facts(e *Endpoint) {
	d.put(`<bdi>{}</bdi> · {}`, e.Provider, e.place())
	if e.Region != "" {
		d.put(` · region <bdi>{}</bdi>`, e.Region)
	}
	if len(e.Countries) > 0 {
		d.put(` · serves <bdi>{}</bdi>`, strings.Join(e.Countries, ", "))
	}
	if len(e.ExceptCountries) > 0 {
		d.put(` · serves all but <bdi>{}</bdi>`, strings.Join(e.ExceptCountries, ", "))
	}
	if e.Queued > 0 {
		d.put(` · `)
		d.figure(e.Name+"/queued", count(e.Queued))
		d.put(` queued for a slot`)
	}
}

func (d *document) blocks(p *Page, e *Endpoint) {
	if len(e.Blocks) == 0 {
		return
	}
	d.put(`<h4>Blocks</h4><table class=list><tbody>`)
	for i := range e.Blocks {
		b := &e.Blocks[i]
		d.put(`<tr><th scope=row>`)
		if b.Model == "" {
			d.put(`all models`)
		} else {
			d.put(`<bdi>{}</bdi>`, b.Model)
		}
		d.put(`</th><td data-figure="{}/block/{}"><bdi>{}</bdi></td><td>{}</td></tr>`, e.Name, strconv.Itoa(i), b.Kind, p.end(b))
	}
	d.put(`</tbody></table>`)
}

// atOnce is how many failures are shown without being asked for.
const atOnce = 3

func (d *document) failures(p *Page, e *Endpoint) {
	d.put(`<h4>Last failures</h4>`)
	if len(e.Failures) == 0 {
		d.put(`<p class=none>None.</p>`)
		return
	}
	first := min(len(e.Failures), atOnce)
	d.failureRows(p, e, 0, first)
	if more := len(e.Failures) - first; more > 0 {
		d.put(`<details><summary>{}</summary>`, strconv.Itoa(more)+" more")
		d.failureRows(p, e, first, len(e.Failures))
		d.put(`</details>`)
	}
}

func (d *document) failureRows(p *Page, e *Endpoint, from, to int) {
	d.put(`<table class=list><tbody>`)
	for i := from; i < to; i++ {
		f := &e.Failures[i]
		d.put(`<tr><th scope=row data-figure="{}/failure/{}"><bdi>{}</bdi></th><td>`, e.Name, strconv.Itoa(i), f.Kind)
		if f.Status != 0 {
			d.put(`HTTP {}`, strconv.Itoa(f.Status))
		}
		d.put(`</td><td><time datetime="{}">{}</time></td></tr>`, f.At.Format("2006-01-02T15:04:05Z07:00"), ago(p.At, f.At))
	}
	d.put(`</tbody></table>`)
}
