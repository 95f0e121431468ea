package holdfast

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/statuspage"
)

// StatusHandler shows [Client.Status] to people, on a page that keeps itself up to date:
//
//	mux.Handle("/debug/holdfast/", client.StatusHandler())
//
// Programs read it as JSON from status.json beneath that path, or with ?format=json. The page loads nothing from elsewhere, works without
// scripts, and is read-only. It shows no key, prompt or answer, but the names of endpoints and models, and how much they are used: mount it
// where only those come who may know. It does not ask who is looking.
func (c *Client) StatusHandler() http.Handler { return statusHandler(c.Status) }

func statusHandler(status func() Status) http.Handler {
	policy := statuspage.Policy()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "the status can only be read", http.StatusMethodNotAllowed)
			return
		}
		write, contentType := statusForm(r)
		if write == nil {
			http.NotFound(w, r)
			return
		}
		var body bytes.Buffer
		if err := write(&body, status()); err != nil {
			http.Error(w, "holdfast: "+err.Error(), http.StatusInternalServerError)
			return
		}
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", strconv.Itoa(body.Len()))
		_, _ = w.Write(body.Bytes()) // whoever asked is gone
	})
}

// statusForm returns how the status is written that is asked for; nil if nothing is at the request's path.
func statusForm(r *http.Request) (write func(*bytes.Buffer, Status) error, contentType string) {
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch {
	case name == "status.json" || r.URL.Query().Get("format") == "json":
		return func(b *bytes.Buffer, s Status) error { return json.NewEncoder(b).Encode(s) }, "application/json"
	case name == "" || !strings.HasSuffix(r.Pattern, "/"): // beneath the path that the handler was mounted at, or just there
		return func(b *bytes.Buffer, s Status) error { return statuspage.Write(b, s.page()) }, "text/html; charset=utf-8"
	}
	return nil, ""
}

// page returns the status as the page takes it.
func (s *Status) page() *statuspage.Page {
	p := &statuspage.Page{At: s.At, RetryBudget: s.RetryBudget, Waiting: s.Waiting}
	for i := range s.Endpoints {
		p.Endpoints = append(p.Endpoints, s.Endpoints[i].page())
	}
	return p
}

func (e *EndpointStatus) page() statuspage.Endpoint {
	p := statuspage.Endpoint{
		Name: e.Name, Provider: e.Provider, Tier: e.Tier, Local: e.Local, Next: e.Next, Region: e.Region,
		Countries: e.Countries, ExceptCountries: e.ExceptCountries,
		Health: statuspage.Health(e.Health), Whole: statuspage.Health(e.Whole),
		Running: e.Running, Queued: e.Queued, Why: e.Why,
	}
	for _, code := range slices.Sorted(maps.Keys(e.ByCountry)) {
		p.ByCountry = append(p.ByCountry, statuspage.Country{Code: code, Health: statuspage.Health(e.ByCountry[code])})
	}
	for _, b := range e.Blocks {
		p.Blocks = append(p.Blocks, statuspage.Block{Model: b.Model, Kind: string(b.Kind), Until: b.Until})
	}
	for _, i := range e.Recent {
		p.Recent = append(p.Recent, statuspage.Interval(i))
	}
	for _, f := range e.Failures {
		p.Failures = append(p.Failures, statuspage.Failure{At: f.At, Kind: string(f.Kind), Status: f.Status})
	}
	return p
}
