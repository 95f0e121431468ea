package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"time"
)

// The page, in pixels. Its background is left as it is: every colour is one that shows on white and on black.
const (
	pageWidth, pageHeight = 960, 626

	left, right = 196, 931 // of the timeline; names stand before it
	top         = 86       // of the first endpoint's band
	bandHeight  = 42
	bandStep    = 58

	barsTop  = 404
	barStep  = 27
	barSize  = 15
	barWidth = 256 // the longest bar
	second   = 616 // where the bars of the second kind begin
)

const (
	grey = "#717b85"
	blue = "#2f81f7"
)

var colours = [...]string{up: "#3fb950", refuses: "#f85149", silent: "#a371f7", overloaded: "#e3a008"}

// canvas is an SVG image being drawn.
type canvas struct{ bytes.Buffer }

// rect fills a rectangle; the title is what a pointer over it shows.
func (c *canvas) rect(x, y, width, height float64, colour string, opacity float64, title string) {
	fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" fill-opacity="%g">`, x, y, width, height, colour, opacity)
	if title != "" {
		c.WriteString("<title>")
		_ = xml.EscapeText(c, []byte(title)) // into memory
		c.WriteString("</title>")
	}
	c.WriteString("</rect>\n")
}

// text writes at a point; anchor is start, middle or end.
func (c *canvas) text(x, y float64, anchor, style, text string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s" style="%s">`, x, y, anchor, style)
	_ = xml.EscapeText(c, []byte(text)) // into memory
	c.WriteString("</text>\n")
}

func (c *canvas) line(x1, y1, x2, y2 float64) {
	fmt.Fprintf(c, `<path d="M%.1f %.1fL%.1f %.1f" stroke="%s" stroke-opacity="0.3"/>`+"\n", x1, y1, x2, y2, grey)
}

const (
	plain = ""
	bold  = "font-weight:600"
	small = "font-size:11px"
)

// plot draws when which endpoint was up and who answered, and how the ways compare.
func (r *report) plot() []byte {
	c := &canvas{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" `, pageWidth, pageHeight)
	fmt.Fprintf(c, `font-family="system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif" font-size="13" fill="%s">`+"\n", grey)
	c.text(24, 34, "start", "font-size:18px;"+bold, "Four ways to reach a model, and who asked which of them when")
	c.text(24, 56, "start", plain, fmt.Sprintf("%s, %g requests per second along each way, seed %d", brief(r.world.length), r.world.rate, r.world.seed))
	for i := range endpoints {
		r.band(c, i)
	}
	r.axis(c)
	legend(c)
	r.bars(c)
	c.WriteString("</svg>\n")
	return c.Bytes()
}

// x is where a time is on the timeline.
func (r *report) x(at time.Duration) float64 {
	at = min(max(at, 0), r.world.length)
	return left + (right-left)*float64(at)/float64(r.world.length)
}

// band draws an endpoint: when it was up, and how it was down; the answers that holdfast had from it; and when the oracle took it.
func (r *report) band(c *canvas, i int) {
	y, e := float64(top+i*bandStep), endpoints[i]
	c.text(left-14, y+18, "end", plain, e.title)
	c.text(left-14, y+35, "end", small, fmt.Sprintf("up %g %%", 100*e.up))
	c.rect(left, y, right-left, bandHeight, colours[up], 0.22, e.title+" is up")
	for _, s := range r.world.spans[i] {
		from, to := r.x(s.from), r.x(s.to)
		c.rect(from, y, max(to-from, 1), bandHeight, colours[s.form], 0.55, e.title+" "+s.form.String())
	}
	r.shares(c, r.holdfast(), i, y+bandHeight, bandHeight-5, blue)
	r.shares(c, r.oracle(), i, y+bandHeight+6, 4, grey)
}

// shares draws, for each moment, which share of the requests an endpoint answered, as columns upon a line.
func (r *report) shares(c *canvas, row row, endpoint int, bottom, height float64, colour string) {
	columns := min(max(len(row.results)/4, 1), (right-left)/3)
	asked, answered := make([]float64, columns), make([]float64, columns)
	for n, o := range row.results {
		at := r.world.arrivals[r.world.unmeasured()+n]
		column := min(int(float64(columns)*float64(at)/float64(r.world.length)), columns-1)
		if asked[column]++; o.from == endpoint {
			answered[column]++
		}
	}
	width := float64(right-left) / float64(columns)
	var path strings.Builder
	for i := range asked {
		if answered[i] > 0 {
			h := height * answered[i] / asked[i]
			fmt.Fprintf(&path, "M%.2f %.1fv%.1fh%.2fv%.1fz", left+float64(i)*width, bottom, -h, width, h)
		}
	}
	fmt.Fprintf(c, `<path d="%s" fill="%s"/>`+"\n", path.String(), colour)
}

// axis draws the time, and marks the requests that holdfast left unanswered.
func (r *report) axis(c *canvas) {
	const parts = 6
	y := float64(top + len(endpoints)*bandStep - 6)
	c.line(left, y, right, y)
	for i := range parts + 1 {
		at := r.world.length * time.Duration(i) / parts
		c.line(r.x(at), y, r.x(at), y+4)
		c.text(r.x(at), y+18, "middle", small, brief(at))
	}
	for n, o := range r.holdfast().results {
		if o.from == nobody {
			c.rect(r.x(r.world.arrivals[r.world.unmeasured()+n])-1, y-8, 2, 8, colours[refuses], 1, "a request that holdfast left unanswered")
		}
	}
}

// brief writes a time without the zeros at its end.
func brief(d time.Duration) string {
	s := d.Round(100 * time.Millisecond).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// legend says what the colours mean.
func legend(c *canvas) {
	x, y := float64(left), float64(top+len(endpoints)*bandStep+30)
	for f, colour := range colours {
		opacity := 0.55
		if form(f) == up {
			opacity = 0.22
		}
		c.rect(x, y-10, 12, 12, colour, opacity, "")
		c.text(x+18, y, "start", small, form(f).String())
		x += 40 + 6.2*float64(len(form(f).String()))
	}
	c.rect(x, y-10, 12, 12, blue, 1, "")
	c.text(x+18, y, "start", small, "holdfast's answers came from here")
	c.rect(x+222, y-6, 12, 4, grey, 1, "")
	c.text(x+240, y, "start", small, "the oracle's choice")
}

// bars compares the ways. Availability is drawn by its nines: the step from 99 % to 99.9 % is as long as that from 0 to 90 %.
func (r *report) bars(c *canvas) {
	const nines = 4
	slowest := time.Second
	for _, row := range r.rows {
		slowest = max(slowest, row.p99)
	}
	c.text(left, barsTop-14, "start", bold, "answered")
	for i := range nines + 1 {
		r.tick(c, left+barWidth*float64(i)/nines, fmt.Sprintf("%.5g %%", 100*(1-math.Pow10(-i))))
	}
	c.text(second, barsTop-14, "start", bold, "time to the first content, 99th percentile")
	for s := time.Duration(0); s <= slowest; s += time.Second {
		r.tick(c, second+barWidth*float64(s)/float64(slowest), brief(s))
	}
	for i, row := range r.rows {
		y, weight := float64(barsTop+i*barStep+6), plain
		if i == len(r.rows)-2 {
			weight = bold
		}
		c.text(left-14, y+12, "end", weight, row.name)
		c.bar(left, y, min(-math.Log10(max(1-row.answered, 1e-9)), nines)/nines, weight, percent(row.answered))
		c.bar(second, y, float64(row.p99)/float64(slowest), weight, fmt.Sprintf("%.2f s", row.p99.Seconds()))
	}
}

// tick draws a line behind all bars.
func (r *report) tick(c *canvas, x float64, label string) {
	bottom := float64(barsTop + len(r.rows)*barStep)
	c.line(x, barsTop, x, bottom)
	c.text(x, bottom+14, "middle", small, label)
}

// bar draws a share of the longest bar.
func (c *canvas) bar(x, y, share float64, weight, label string) {
	colour := grey
	if weight == bold {
		colour = blue
	}
	c.rect(x, y, barWidth*share, barSize, colour, 1, "")
	c.text(x+barWidth*share+8, y+12, "start", weight, label)
}
