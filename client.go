package holdfast

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

// Config says who may answer and by which rules. Only Endpoints is required. It can be filled from a JSON file with
// [LoadConfig]; fields marked json:"-" are for code only.
type Config struct {
	// Endpoints are the places that may answer.
	Endpoints []Endpoint `json:"endpoints"`

	// GeoIP is a MaxMind database (GeoIP2 or GeoLite2: Country, City or Enterprise) that tells the country of a client's
	// address; see [WithClientIP]. The file may be replaced while the client runs. If it is missing or broken, the country is
	// unknown: that is no error.
	GeoIP string `json:"geoip,omitempty"`
	// Country is the service's own country, used for calls that name no client.
	Country string `json:"country,omitempty"`
	// Fallback names the endpoint that comes first when the client's country is unknown. Empty means the environment's
	// FALLBACK_ENDPOINT, if endpoints differ by country: the name or the URL of an endpoint.
	Fallback string `json:"fallback,omitempty"`
	// Residency lists the regions in which data may be processed; an endpoint of another Region, or of none that is named, is never
	// used: neither for attempts nor for reserves, probes, or to go on with an answer that broke off. Empty means any. See
	// [ChatRequest].Residency.
	Residency []string `json:"residency,omitempty"`
	// HealthByCountry keeps apart what is learned of an endpoint from clients of different countries. Set it if requests leave by the
	// client's country (through a WrapTransport of yours, say), so that a broken way out of one country does not count against the
	// endpoint in the others.
	HealthByCountry bool `json:"health_by_country,omitempty"`
	// Probes say how an endpoint that failed is found to be well again.
	Probes Probes `json:"probes,omitzero"`

	// Timeout bounds a whole call, all attempts together; the context's deadline bounds it too. 0 means 10 minutes.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Timeouts bound the steps of each attempt.
	Timeouts Timeouts `json:"timeouts,omitzero"`
	// Retry says how far to go when an endpoint fails.
	Retry RetryPolicy `json:"retry,omitzero"`
	// Mirror sends copies of some calls to a candidate, which answers nobody, and compares. nil means none.
	Mirror *Mirror `json:"mirror,omitempty"`
	// Unary lets Chat ask for answers in one piece. By default it streams them underneath, so that the bounds on silence hold and what
	// breaks off is rescued, unless MaxOutputTokens bounds the answer to at most 1,024 tokens.
	Unary bool `json:"unary,omitempty"`
	// MaxAnswerBytes bounds an answer that is not streamed; of one that is, it bounds each event and all content together, for which
	// a part counts 512 bytes and its text. An answer that is larger is a [KindAnswerTooLarge]. 0 means 32 MiB.
	MaxAnswerBytes int `json:"max_answer_bytes,omitempty"`

	// Adapters adds providers of your own, by the name that endpoints give as Provider. A built-in name may be replaced.
	Adapters map[string]AIServiceAdapter `json:"-"`
	// Dial makes the connections; nil means the system's. Endpoints with a Proxy dial the proxy.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error) `json:"-"`
	// TLS is the base of every endpoint's TLS configuration; nil means the system's roots and TLS 1.2 or newer.
	TLS *tls.Config `json:"-"`
	// WrapTransport puts a layer of your own around an endpoint's transport, for tracing say. It is called once for each
	// endpoint and may return another transport altogether.
	WrapTransport func(endpoint string, base http.RoundTripper) http.RoundTripper `json:"-"`
	// Logger is told what an operator must know: a key that was disabled or parked, a model that lacks a feature it should
	// have. nil means silence. Never a key, a prompt or an answer.
	Logger *slog.Logger `json:"-"`
}

// RetryPolicy says how far to go when an endpoint fails.
type RetryPolicy struct {
	// MaxAttempts bounds the attempts of one call, over all endpoints, repeats included. 0 means 8; 1 means no second try.
	MaxAttempts int `json:"max_attempts,omitempty"`
	// Park bounds how long a call that nobody can take waits for an endpoint to become usable, one that answered before and is ill now or that
	// is being probed; as long as others that waited are being answered, a call goes on waiting for its turn. Up to 256 calls wait. They go on in
	// the order of their arrival, a few at first and then the more the fewer are refused, so that an endpoint that recovers is not buried under
	// them. A rate limit's end is waited for as long as the call's time allows, two minutes at most. 0 means 30 s. NoPark switches it off.
	Park   time.Duration `json:"park,omitempty"`
	NoPark bool          `json:"no_park,omitempty"`
	// NoHedge switches reserves off: an attempt whose first content is late is waited for.
	NoHedge bool `json:"no_hedge,omitempty"`
	// Rescue says how far to go when an answer breaks off after some of it was shown, for requests that do not say. Empty means
	// RescueExact. Chat shows nothing before its end: an answer that is not continued is asked for anew there, whatever this says.
	Rescue Rescue `json:"rescue,omitempty"`
	// PolicyElsewhere lets a request that one provider's content policy rejected go to another model. By default the
	// rejection is final.
	PolicyElsewhere bool `json:"policy_elsewhere,omitempty"`
}

const (
	defaultTimeout     = 10 * time.Minute
	defaultMaxAttempts = 8
	defaultMaxAnswer   = 32 << 20
)

// Client asks the endpoints of one [Config]. It is safe for concurrent use. It keeps connections open between calls. Nothing else of it
// runs in the background but [Probes], which take half a minute at most, and the copies of a [Mirror]: calls start both, and Close awaits them.
type Client struct {
	config    Config
	endpoints []*endpoint
	routing   *routing
	locator   *locator
	byCountry bool // whether the client's country matters
	lacking   bool // whether models lack features
	fallback  string
	mirror    *mirror // nil if there is none
	beside    background
	closed    atomic.Bool
}

// New checks the configuration and returns a client. All faults come back at once, as a *[ConfigError] that names each as a
// configuration file spells it. No connection is made.
func New(config Config) (*Client, error) {
	fallback, faults := config.validate()
	config.Residency = slices.Clone(config.Residency)
	c := &Client{config: config, routing: newRouting(&config), fallback: fallback, byCountry: fallback != "" || config.HealthByCountry || config.byCountry(), locator: newLocator(config.GeoIP, config.Country)}
	for i := range config.Endpoints {
		e, faultsHere := newEndpoint(&c.config, i)
		faults = append(faults, faultsHere...)
		c.endpoints = append(c.endpoints, e)
		c.lacking = c.lacking || len(e.Lacks) > 0
	}
	mirror, faultsThere := newMirror(&c.config)
	c.mirror, faults = mirror, append(faults, faultsThere...)
	if len(faults) > 0 {
		return nil, &ConfigError{Faults: faults}
	}
	return c, nil
}

// Chat asks and returns the whole answer, or a *[Error] that tells everything. The answer carries its [Trail]; so does the error.
func (c *Client) Chat(ctx context.Context, req *ChatRequest) (*ChatResponse, error) {
	ctx, call, err := c.begin(ctx, req, false)
	if err != nil {
		return nil, err
	}
	defer call.finish()
	if err := call.run(ctx); err != nil {
		return nil, err
	}
	if err := call.collect(ctx); err != nil {
		return nil, err
	}
	return call.mirrored(ctx, call.response()), nil
}

// Supports reports whether any endpoint could take the request, without sending anything: nil, or the error that Chat would
// return for that reason.
func (c *Client) Supports(ctx context.Context, req *ChatRequest) error {
	ctx, call, err := c.begin(ctx, req, false)
	if err != nil {
		return err
	}
	defer call.finish()
	call.outcome = outcomeLeft // it asks nobody
	for i := range call.field {
		x, err := call.encode(ctx, &call.field[i])
		if err == nil {
			x.release()
			return nil
		}
		if e := call.unsendable(&call.field[i], err); e != nil {
			return call.failed(e)
		}
	}
	return call.exhausted(ctx)
}

// Close closes idle connections and refuses new calls with [KindClosed]. Calls under way go on to their end; their
// connections close behind them. Probes and the copies of a [Mirror] end, and are awaited.
func (c *Client) Close() error {
	c.closed.Store(true)
	c.beside.close()
	c.closeIdle()
	return nil
}

func (c *Client) closeIdle() {
	for _, e := range c.endpoints {
		e.closeIdle()
	}
	if c.mirror != nil {
		c.mirror.endpoint.closeIdle()
	}
}

func (e *endpoint) closeIdle() {
	e.transport.CloseIdleConnections()
	if t, ok := e.roundTripper.(interface{ CloseIdleConnections() }); ok && e.wrapped {
		t.CloseIdleConnections()
	}
}
