// Package statuspage draws what is known of some endpoints as a page of HTML for people. It takes plain values and asks nobody.
package statuspage

import (
	"crypto/sha256"
	_ "embed" // for the style and the script
	"encoding/base64"
	"io"
	"time"
)

// Page is what the page tells.
type Page struct {
	At time.Time
	// Endpoints are shown in this order.
	Endpoints []Endpoint
	// RetryBudget is how many attempts beyond their first all calls together may still make, of 100.
	RetryBudget float64
	// Waiting is how many calls wait for an endpoint to become usable.
	Waiting int
}

// Endpoint is what is known of one endpoint.
type Endpoint struct {
	Name, Provider string
	Tier           int
	Local          bool
	// Next is set where a call that may go anywhere would go now.
	Next                       bool
	Region                     string
	Countries, ExceptCountries []string

	// Health is of streamed answers, Whole of answers in one piece, and ByCountry of clients of one country.
	Health, Whole   Health
	ByCountry       []Country
	Blocks          []Block
	Running, Queued int
	// Why tells of all that in words.
	Why string
	// Recent are intervals of equal length, oldest first, the last of them now.
	Recent []Interval
	// Failures are the last ones, newest first.
	Failures []Failure
}

// Country is the health of an endpoint as clients of one country know it.
type Country struct {
	Code   string
	Health Health
}

// Health is how well an endpoint answers.
type Health struct {
	// Score is the sum of the four costs, in seconds.
	Score, LatencyCost, FailureCost, PriceCost, HeadroomCost float64
	Median, P99                                              time.Duration
	FailureRate, Headroom                                    float64 // shares
	Breaker                                                  string  // "closed", "suspect" or "open"
	Consecutive                                              int     // failures in a row
	LastAnswer, NextProbe                                    time.Time
	Probing                                                  bool
}

// Block keeps an endpoint, or one model there, from being asked. A zero Until means that its end is not known.
type Block struct {
	Model, Kind string
	Until       time.Time
}

// Interval tells of the attempts that ended in a stretch of time.
type Interval struct {
	Start            time.Time
	Answered, Failed int
	P50, P90, Max    time.Duration
}

// Failure is an attempt that failed.
type Failure struct {
	At     time.Time
	Kind   string
	Status int // of HTTP; 0 without an answer
}

var (
	//go:embed style.css
	style string
	//go:embed script.js
	script string
)

// Policy returns the Content-Security-Policy that the page needs: its own style and script, known by their hashes, requests to where it
// came from, and an icon that it holds itself.
func Policy() string {
	return "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) +
		"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Write writes the page. All its text but the page's own words is escaped. Each figure stands in an element whose attribute data-figure
// names it, such as "eu-west/score".
func Write(w io.Writer, p *Page) error {
	var d document
	d.head(p)
	d.summary(p)
	d.overview(p)
	d.put(`<div class=cards>`)
	for i := range p.Endpoints {
		d.card(p, i)
	}
	d.put(`</div></main>`)
	d.foot()
	_, err := w.Write(d.html)
	return err
}
