package holdfast

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-ai/holdfast/internal/pace"
	"github.com/holdfast-ai/holdfast/internal/score"
)

// candidate is an endpoint that may take a call.
type candidate struct {
	endpoint *endpoint
	health   *score.Health // as clients of the call's country know it
	model    string
	rank     countryRank
	how      rung // how it would go on with an answer that broke off
	failed   bool // it has failed the call before
	affine   bool // it served the conversation last
	why      string

	// These change as the call goes on, under race.mu.

	tried   bool      // it was asked, or is being asked
	against string    // why it must not be asked any more
	silent  time.Time // when that was for saying nothing: an answer since then, to a probe say, lifts it
	resumes time.Time // when it asked to be asked again
	pending bool      // it was chosen and not asked yet
	paid    bool      // it is being asked out of the retry budget
	trial   bool      // it is being asked in the place of a probe
	waited  string    // what was waited for before it is asked
	choice  Choice    // that led to it
	reason  string    // the same in short
	paced   bool      // mark says what was taken of its account's limits
	mark    pace.Mark
	room    time.Duration // how long a slot of a local endpoint is waited for
	hedge   time.Duration // how long its first content is waited for before a reserve is started
}

// equals reports whether two candidates are as good as each other: of the same tier, rank and way to go on, and both failed before or neither.
func (c *candidate) equals(other *candidate) bool {
	return c.endpoint.tier() == other.endpoint.tier() && c.rank == other.rank && c.how == other.how && c.failed == other.failed
}

// afresh returns the candidate as one that was not asked yet.
func (c *candidate) afresh() candidate {
	return candidate{endpoint: c.endpoint, health: c.health, model: c.model, rank: c.rank, affine: c.affine, why: c.why}
}

// countryRank orders endpoints by what they say of the client's country.
type countryRank int

const (
	rankNamed countryRank = iota // the fallback for an unknown country, or an endpoint that names the client's
	rankOpen                     // an endpoint that names no country
	rankWorn                     // is added where an endpoint has failed the call too often
)

// filter is what decides who may take a call at all, whatever happens. It is never relaxed.
type filter struct {
	endpoints []*endpoint
	model     string
	country   string      // "" if unknown
	fallback  string      // the endpoint for an unknown country
	residency [2][]string // of the client and of the call: where data may be processed
	needs     []need
}

// allowed lists the endpoints that may take a call, in the order of the configuration and in the memory of list if they fit, and why the
// others may not. It is a pure function.
func (f *filter) allowed(list []candidate) ([]candidate, []Skip) {
	if len(f.endpoints) > cap(list) {
		list = make([]candidate, 0, len(f.endpoints))
	}
	var skipped []Skip
	for _, e := range f.endpoints {
		list = append(list, candidate{})
		last := len(list) - 1
		if why := f.consider(e, &list[last]); why != "" {
			skipped = append(skipped, Skip{Endpoint: e.Name, Why: why})
			list = list[:last]
		}
	}
	return list, skipped
}

// incapable is the error of a request that some endpoint could take if its models could do what they lack; nil if there is none.
func (f *filter) incapable() *Error {
	for _, n := range f.needs {
		for _, e := range f.endpoints {
			if !slices.Contains(e.Lacks, n.feature) {
				continue
			}
			able := *f
			able.needs = nil
			var c candidate
			if able.consider(e, &c) == "" {
				return &Error{
					Kind: KindUnsupported, Field: n.field, Endpoint: e.Name, Provider: e.dialect.Name, Model: c.model, Phase: PhaseBeforeSend,
					Message: fmt.Sprintf("its models lack %s (lacks)", n.feature),
				}
			}
		}
	}
	return nil
}

// consider applies the hard filters to one endpoint: it makes it a candidate in c, which is empty, or returns the reason against it.
func (f *filter) consider(e *endpoint, c *candidate) (against string) {
	for _, regions := range f.residency {
		if against = e.outside(regions); against != "" {
			return against
		}
	}
	c.endpoint, c.rank, c.why = e, rankOpen, e.where
	switch {
	case f.country == "" && e.Name == f.fallback:
		c.rank, c.why = rankNamed, "fallback for an unknown country; "+c.why
	case f.country == "" && (len(e.Countries) > 0 || len(e.ExceptCountries) > 0):
		return "serves certain countries only, and the client's is unknown"
	case slices.Contains(e.ExceptCountries, f.country):
		return "does not serve " + f.country
	case slices.Contains(e.Countries, f.country):
		c.rank, c.why = rankNamed, "names "+f.country+"; "+c.why
	case len(e.Countries) > 0:
		return "serves " + strings.Join(e.Countries, ", ") + ", not " + f.country
	case len(e.ExceptCountries) > 0:
		c.why = "serves every country but " + strings.Join(e.ExceptCountries, ", ") + "; " + c.why
	}
	model, ok := e.model(f.model)
	if !ok {
		return "does not map the model " + cmp.Or(f.model, defaultModel)
	}
	for _, n := range f.needs {
		if slices.Contains(e.Lacks, n.feature) {
			return fmt.Sprintf("its models lack %s, which %s needs (lacks)", n.feature, n.field)
		}
	}
	c.model, c.health = model, e.health.of(f.country)
	return ""
}

// outside says that the endpoint processes data where it must not be, if it does. No regions mean any; a region that the endpoint does not
// name is none of them.
func (e *endpoint) outside(regions []string) string {
	if len(regions) == 0 || slices.Contains(regions, e.Region) {
		return ""
	}
	return residencyWords + ": it processes data in " + cmp.Or(e.Region, "a region not named") + ", allowed: " + strings.Join(regions, ", ")
}

const residencyWords = "residency"
