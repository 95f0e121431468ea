package statuspage

import "strconv"

// manyCountries is from how many on they are shown only when asked for.
const manyCountries = 6

// healths tells what the scores of an endpoint are made of: of streamed answers, of answers in one piece, and by country.
func (d *document) healths(p *Page, e *Endpoint) {
	d.put(`<h4>Score, in seconds</h4>`)
	d.healthTable(func() {
		d.healthRow("streamed", e.Name, &e.Health, "")
		d.healthRow("in one piece", e.Name+"/whole", &e.Whole, "")
		if len(e.ByCountry) <= manyCountries {
			d.countries(p, e)
		}
	})
	if n := len(e.ByCountry); n > manyCountries {
		d.put(`<details><summary>{}</summary>`, strconv.Itoa(n)+" countries")
		d.healthTable(func() { d.countries(p, e) })
		d.put(`</details>`)
	}
}

func (d *document) healthTable(rows func()) {
	d.put(`<table class=health role=table><thead role=rowgroup><tr role=row><td role=cell></td>`)
	for _, c := range costs {
		d.put(`<th role=columnheader scope=col class="n key {}">`, c.class)
		d.swatch(c.class)
		d.put(`{}</th>`, c.word)
	}
	for _, word := range []string{"Score", "p99", "Failing", "Limits left"} {
		d.put(`<th role=columnheader scope=col class=n>{}</th>`, word)
	}
	d.put(`</tr></thead><tbody role=rowgroup>`)
	rows()
	d.put(`</tbody></table>`)
}

func (d *document) countries(p *Page, e *Endpoint) {
	for i := range e.ByCountry {
		c := &e.ByCountry[i]
		note := ""
		if c.Health.Breaker != "closed" {
			note = c.Health.Breaker + ", " + p.probe(&c.Health)
		}
		d.healthRow(c.Code, e.Name+"/"+c.Code, &c.Health, note)
	}
}

func (d *document) healthRow(label, name string, h *Health, note string) {
	d.put(`<tr role=row><th role=rowheader scope=row><bdi>{}</bdi>`, label)
	if note != "" {
		d.put(`<small class=bad>{}</small>`, note)
	}
	d.put(`</th>`)
	for _, c := range costs {
		d.cell(c.class, c.word, name+"/"+c.name, seconds(c.of(h)))
	}
	d.cell("score", "Score", name+"/score", seconds(h.Score))
	d.cell("p99", "p99", name+"/p99", duration(h.P99))
	d.cell("failing", "Failing", name+"/failure_rate", percent(h.FailureRate))
	d.cell("left", "Limits left", name+"/headroom", percent(h.Headroom))
	d.put(`</tr>`)
}
