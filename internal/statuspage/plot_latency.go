package statuspage

import "time"

// latency draws the median and the 90th percentile of each interval as steps, broken where nothing was answered.
func (d *document) latency(e *Endpoint) {
	most := e.slowest()
	d.figurehead("latency", "Latency", e.latencies(), e, [2]string{"p50", "median"}, [2]string{"p90", "p90"})
	if most > 0 {
		top := roundUp(most.Seconds())
		height := func(t time.Duration) float64 { return tall * (1 - t.Seconds()/top) }
		d.put(`<path class=grid d="M0 50H6000M0 .5H6000"/>`)
		d.band(e, height)
		d.steps("p90", e, func(r *Interval) float64 { return height(r.P90) })
		d.steps("p50", e, func(r *Interval) float64 { return height(r.P50) })
		d.put(`<path class=base d="M0 100H6000"/><rect class=cursor data-keep y="0" width="10" height="100" x="-20"/></svg></div><p class=scale aria-hidden="true"><span>{}</span><span>{}</span></p></figure>`, axis(top)+nbsp+"s", axis(top/2)+nbsp+"s")
		return
	}
	d.put(`<path class=base d="M0 100H6000"/></svg><p class=none>no answers in ten minutes</p></div><p class=scale></p></figure>`)
}

// slowest returns the longest time that is drawn.
func (e *Endpoint) slowest() (most time.Duration) {
	for _, r := range e.Recent {
		most = max(most, r.P50, r.P90)
	}
	return most
}

// latencies says in words what the plot shows.
func (e *Endpoint) latencies() string {
	var low, high, last, slow time.Duration
	for _, r := range e.Recent {
		if r.P50 <= 0 {
			continue
		}
		if low == 0 || r.P50 < low {
			low = r.P50
		}
		high, last, slow = max(high, r.P50), r.P50, max(slow, r.P90)
	}
	if last == 0 {
		return "Latency in ten minutes: no answers"
	}
	return "Latency in ten minutes: medians from " + duration(low) + " to " + duration(high) + ", " + duration(last) + " lately; 90th percentile up to " + duration(slow)
}

// runs calls the function for each run of intervals in which something was answered.
func (e *Endpoint) runs(visit func(from, to int)) {
	from := -1
	for i := range e.Recent {
		switch known := e.Recent[i].P50 > 0; {
		case known && from < 0:
			from = i
		case !known && from >= 0:
			visit(from, i)
			from = -1
		}
	}
	if from >= 0 {
		visit(from, len(e.Recent))
	}
}

// steps draws a line that is level within each interval.
func (d *document) steps(class string, e *Endpoint, height func(*Interval) float64) {
	d.path(class, func() {
		e.runs(func(from, to int) {
			d.put(`M`)
			d.number(float64(from) * step)
			d.put(` `)
			d.number(height(&e.Recent[from]))
			d.forth(e, from, to, height)
		})
	})
}

// forth goes on along the steps, from where the first of them begins.
func (d *document) forth(e *Endpoint, from, to int, height func(*Interval) float64) {
	for i := from; i < to; i++ {
		if i > from {
			d.put(`V`)
			d.number(height(&e.Recent[i]))
		}
		d.put(`H`)
		d.number(float64(i+1) * step)
	}
}

// band fills what lies between the two lines.
func (d *document) band(e *Endpoint, height func(time.Duration) float64) {
	d.path("band", func() {
		e.runs(func(from, to int) {
			d.put(`M`)
			d.number(float64(from) * step)
			d.put(` `)
			d.number(height(e.Recent[from].P90))
			d.forth(e, from, to, func(r *Interval) float64 { return height(r.P90) })
			for i := to - 1; i >= from; i-- {
				d.put(`V`)
				d.number(height(e.Recent[i].P50))
				d.put(`H`)
				d.number(float64(i) * step)
			}
			d.put(`z`)
		})
	})
}
