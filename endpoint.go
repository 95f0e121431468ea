package holdfast

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Endpoint is a place that can answer: one URL, one account, one dialect. Only Name and Provider are always required.
type Endpoint struct {
	// Name is how errors, logs and the [Trail] call it; unique within a client.
	Name string `json:"name"`
	// Provider is the dialect it speaks: "claude", "openai" (Responses or Chat Completions, whichever can carry the request),
	// "openai-chat", "openai-responses", "gemini", "openai-compatible", one of the compatible servers and services that
	// holdfast knows ("ollama", "llama.cpp", "vllm", "lmstudio", "deepseek", "qwen", "moonshot", "zhipu", "groq", "mistral",
	// "openrouter", "together", "xai"), or a name from [Config].Adapters.
	Provider string `json:"provider"`
	// URL is the base URL, to which the dialect joins its path: "https://api.anthropic.com", "http://127.0.0.1:11434/v1".
	// A query is kept. Empty means the provider's own.
	URL string `json:"url,omitempty"`

	// Key refers to the API key: "env:NAME" or "file:/path". A file is read again when it changes.
	Key string `json:"key,omitempty"`
	// KeySource gives the key in code instead, for instance Literal("…").
	KeySource KeySource `json:"-"`
	// KeyHeader and KeyPrefix override how the key is sent, for instance "api-key" and "" for Azure. With the header
	// "Authorization" and no prefix, the prefix is "Bearer ".
	KeyHeader string `json:"key_header,omitempty"`
	KeyPrefix string `json:"key_prefix,omitempty"`
	// Account names the account behind the key, to recognise thinking that only this account may return. Endpoints of one
	// account may share it; empty means a hash of the key.
	Account string `json:"account,omitempty"`

	// Models maps the names that requests use to the provider's. A name ending in "*" stands for every name that begins so,
	// and the value "*" for the name that was asked for. An endpoint without Models takes every name as it is.
	Models map[string]string `json:"models,omitempty"`

	// Tier orders endpoints: the lowest tier that can answer does. Within a tier, the one that will most probably answer first
	// is asked; see [Health].
	Tier int `json:"tier,omitempty"`
	// Price is the relative price, 1 for the cheapest; 0 means 1. Within a tier a price of 2 weighs as much as half a second of waiting.
	Price float64 `json:"price,omitempty"`
	// ExpectedLatency is the time to the first content, and ExpectedFailures the share of attempts that fail, until something is
	// learned. 0 means 0.5 s and 0.02. An endpoint that is expected to fail half of the time is asked only after two good probes.
	ExpectedLatency  time.Duration `json:"expected_latency,omitempty"`
	ExpectedFailures float64       `json:"expected_failures,omitempty"`
	// Local marks a model on this machine or network: it is the last resort, behind every tier. Its answers are marked
	// [ChatResponse].Degraded if there are endpoints that are not local.
	Local bool `json:"local,omitempty"`
	// Concurrency is how many requests a Local endpoint takes at once; others wait in order of arrival. 0 means 4.
	Concurrency int `json:"concurrency,omitempty"`
	// Lacks lists what the models of this endpoint cannot do: "tools", "images", "documents", "audio" or "schema" (structured
	// output). A request that needs one of them never goes there; if it can go nowhere else, it is an [ErrUnsupported].
	Lacks []Feature `json:"lacks,omitempty"`

	// Countries are the countries of clients that this endpoint serves, as ISO 3166-1 alpha-2 codes ("CN"); empty means all
	// but ExceptCountries. For clients in one of them it comes before endpoints that name none. It is never used for a client
	// in another country.
	Countries []string `json:"countries,omitempty"`
	// ExceptCountries are countries of clients that this endpoint does not serve.
	ExceptCountries []string `json:"except_countries,omitempty"`
	// Region is where the endpoint processes data, in words of your own such as "eu". See [Config].Residency.
	Region string `json:"region,omitempty"`

	// Header is sent with every request, for instance for a gateway.
	Header map[string]string `json:"header,omitempty"`
	// Host is the Host header, for gateways that route by it; empty means the URL's.
	Host string `json:"host,omitempty"`
	// ServerName is the name asked for and verified in TLS; empty means the URL's host.
	ServerName string `json:"server_name,omitempty"`
	// CAFile is a PEM file of authorities to trust for this endpoint instead of the system's.
	CAFile string `json:"ca_file,omitempty"`
	// Proxy is the URL of a forward proxy (http, https or socks5), or "direct" for none; empty means what HTTPS_PROXY, HTTP_PROXY and
	// NO_PROXY say.
	Proxy string `json:"proxy,omitempty"`
	// Timeouts override those of the Config where they are not zero.
	Timeouts Timeouts `json:"timeouts,omitzero"`
	// Signing signs every request, for gateways that demand it.
	Signing *Signing `json:"signing,omitempty"`
}

// Timeouts bound the steps of one attempt. Content is text, refusals, thinking and tool calls: neither pings and comments nor empty deltas
// or the events of a stream's start are, so that they keep no attempt alive. The time that a reader of a stream takes counts for Total only.
type Timeouts struct {
	// Connect bounds connecting, and a TLS handshake once more. 0 means 10 s.
	Connect time.Duration `json:"connect,omitempty"`
	// Headers bounds the wait for the answer's headers once the request is sent. 0 means no bound but those below and the call's. An
	// answer that is not streamed begins only when it is finished.
	Headers time.Duration `json:"headers,omitempty"`
	// Hedge is a soft bound on the wait for the first content: then an equal endpoint is asked too, one of another tier after three times
	// as long, and the first content wins. 0 means 1.25 times the 99th percentile of what this endpoint takes, at least 0.3 s and at
	// most a quarter of the time that the call has left; before anything is known 2.5 s, and 12.6 s for an answer in one piece. See [RetryPolicy].NoHedge.
	Hedge time.Duration `json:"hedge,omitempty"`
	// FirstContent is a hard bound on it, from when the request is sent. 0 means none: a model may think for long, and Hedge asks
	// elsewhere meanwhile.
	FirstContent time.Duration `json:"first_content,omitempty"`
	// BetweenContent bounds the wait for more content once there was some; four times as long while the model works unseen: it
	// thinks, or a tool of the provider's runs. 0 means a quarter
	// of the time that the call has left, between 2 s and 15 s.
	BetweenContent time.Duration `json:"between_content,omitempty"`
	// Total bounds the whole attempt, the time that a reader takes included. 0 means no bound but the call's.
	Total time.Duration `json:"total,omitempty"`
}

// fields lists the timeouts by the names that a configuration file gives them.
func (t Timeouts) fields() map[string]time.Duration {
	return map[string]time.Duration{
		"connect": t.Connect, "headers": t.Headers, "hedge": t.Hedge, "first_content": t.FirstContent,
		"between_content": t.BetweenContent, "total": t.Total,
	}
}

// clone returns a copy that does not change when the caller goes on to change the original.
func (e *Endpoint) clone() Endpoint {
	c := *e
	c.Models, c.Header = maps.Clone(e.Models), maps.Clone(e.Header)
	c.Countries, c.ExceptCountries = slices.Clone(e.Countries), slices.Clone(e.ExceptCountries)
	c.Lacks = slices.Clone(e.Lacks)
	return c
}

// defaultModel is what a request without a model asks for.
const defaultModel = "default"

// model returns the provider's name for a model, and whether the endpoint serves it.
func (e *Endpoint) model(asked string) (string, bool) {
	if asked == "" {
		asked = defaultModel
	}
	if e.Models == nil {
		return asked, true
	}
	if name, ok := e.Models[asked]; ok {
		return actual(name, asked), true
	}
	best := ""
	for pattern := range e.Models {
		prefix, isPattern := strings.CutSuffix(pattern, "*")
		if isPattern && strings.HasPrefix(asked, prefix) && len(pattern) > len(best) {
			best = pattern
		}
	}
	if best == "" {
		return "", false
	}
	return actual(e.Models[best], asked), true
}

func actual(name, asked string) string {
	if name == "*" {
		return asked
	}
	return name
}

func (e *Endpoint) price() float64 {
	if e.Price == 0 {
		return 1
	}
	return e.Price
}

// tier is the endpoint's place in the order. That of a local one is behind all others.
func (e *Endpoint) tier() int {
	if e.Local {
		return math.MaxInt
	}
	return e.Tier
}

// place says where in the order of endpoints this one stands.
func (e *Endpoint) place() string {
	switch {
	case e.Local:
		return "local, the last resort"
	case e.Tier == 0:
		return "tier 0"
	}
	return "tier " + strconv.Itoa(e.Tier)
}
