package holdfast

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonfile"
)

// ConfigError lists every fault of a configuration.
type ConfigError struct {
	Faults []Fault
}

// Fault is one fault of a configuration.
type Fault struct {
	// Field names what is at fault as a configuration file spells it, such as "endpoints[1].url".
	Field string
	// Message says what would be right. It quotes no key.
	Message string
}

// Error lists the faults, a line each.
func (e *ConfigError) Error() string {
	if len(e.Faults) == 1 {
		return "holdfast: configuration: " + e.Faults[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "holdfast: configuration: %d faults:", len(e.Faults))
	for _, f := range e.Faults {
		b.WriteString("\n\t" + f.String())
	}
	return b.String()
}

func (f Fault) String() string {
	if f.Field == "" {
		return f.Message
	}
	return f.Field + ": " + f.Message
}

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 4 << 20

// LoadConfig reads a configuration from a JSON file. Its keys are those of [Config] and [Endpoint]; durations are spelled as
// time.ParseDuration reads them ("30s"). Everything wrong with it comes back at once as a *[ConfigError]: unknown and doubled keys
// included, and what [New] would refuse.
func LoadConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("holdfast: configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return Config{}, fmt.Errorf("holdfast: configuration: %w", err)
	}
	if len(data) > maxConfigBytes {
		return Config{}, &ConfigError{Faults: []Fault{{Message: fmt.Sprintf("%s is larger than %d bytes", path, maxConfigBytes)}}}
	}
	return ParseConfig(data)
}

// ParseConfig is LoadConfig for a document in memory.
func ParseConfig(data []byte) (Config, error) {
	var c Config
	var faults []Fault
	for _, f := range jsonfile.Decode(data, &c) {
		faults = append(faults, Fault{Field: f.Path, Message: f.Message})
	}
	if len(faults) == 0 {
		_, faults = c.validate()
		for i := range c.Endpoints {
			_, here := newEndpoint(&c, i)
			faults = append(faults, here...)
		}
		_, there := newMirror(&c)
		faults = append(faults, there...)
	}
	if len(faults) > 0 {
		return Config{}, &ConfigError{Faults: faults}
	}
	return c, nil
}

// validate finds the faults of everything but the endpoints one by one, and the endpoint for clients of an unknown country.
func (c *Config) validate() (fallback string, faults []Fault) {
	fault := func(field, format string, args ...any) {
		faults = append(faults, Fault{field, fmt.Sprintf(format, args...)})
	}
	if len(c.Endpoints) == 0 {
		fault("endpoints", "is empty: list at least one (FromEnv finds none without ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY or a local server)")
	}
	if c.Country != "" && !validCountry(c.Country) {
		fault("country", "%q is not a country: give an ISO 3166-1 alpha-2 code such as \"SE\"", c.Country)
	}
	for i, r := range c.Residency {
		if r == "" {
			fault(fmt.Sprintf("residency[%d]", i), "is empty")
		}
	}
	for name, d := range map[string]int64{
		"timeout": int64(c.Timeout), "retry.park": int64(c.Retry.Park), "retry.max_attempts": int64(c.Retry.MaxAttempts), "max_answer_bytes": int64(c.MaxAnswerBytes),
	} {
		if d < 0 {
			fault(name, "must not be negative")
		}
	}
	checkTimeouts(c.Timeouts, fault)
	if !c.Retry.Rescue.valid() {
		fault("retry.rescue", "%q is not known: %s", c.Retry.Rescue, rescueNames)
	}
	if !c.Probes.By.valid() {
		fault("probes.by", "%q is not known: %s", c.Probes.By, probeNames)
	}
	if c.Probes.By == ProbeOff && (c.Probes.Cold || c.Probes.Idle) {
		fault("probes", "are off: neither cold nor idle can be set beside that")
	}
	if c.Probes.By == ProbeOff && (c.Retry.NoHedge || c.Retry.MaxAttempts == 1) {
		fault("probes.by", "\"off\" needs reserves, beside which a call takes a probe's place: leave out retry.no_hedge, and retry.max_attempts of 1")
	}
	if c.Retry.NoPark && c.Retry.Park > 0 {
		fault("retry.no_park", "and park contradict each other: give one")
	}
	for name, a := range c.Adapters {
		if a == nil {
			fault("adapters."+name, "is nil")
		}
	}
	return c.fallbackEndpoint(fault), faults
}

// fallbackEndpoint finds the endpoint for an unknown country.
func (c *Config) fallbackEndpoint(fault func(field, format string, args ...any)) string {
	named, field := c.Fallback, "fallback"
	if named == "" && c.byCountry() {
		named, field = os.Getenv("FALLBACK_ENDPOINT"), "FALLBACK_ENDPOINT (environment)"
	}
	if named == "" {
		return ""
	}
	for i := range c.Endpoints {
		if e := &c.Endpoints[i]; e.Name == named || (e.URL != "" && strings.TrimSuffix(e.URL, "/") == strings.TrimSuffix(named, "/")) {
			return e.Name
		}
	}
	fault(field, "is neither the name nor the URL of an endpoint")
	return ""
}

// byCountry reports whether endpoints differ by the client's country.
func (c *Config) byCountry() bool {
	return c.GeoIP != "" || slices.ContainsFunc(c.Endpoints, func(e Endpoint) bool {
		return len(e.Countries) > 0 || len(e.ExceptCountries) > 0
	})
}

// maxAnswer leaves room for one byte more, by which an answer shows that it is larger.
func (c *Config) maxAnswer() int {
	return min(cmp.Or(c.MaxAnswerBytes, defaultMaxAnswer), math.MaxInt-1)
}

// newEndpoint checks the ith endpoint and makes it ready.
func newEndpoint(c *Config, i int) (*endpoint, []Fault) {
	e := &endpoint{Endpoint: c.Endpoints[i].clone()}
	at := fmt.Sprintf("endpoints[%d]", i)
	var faults []Fault
	fault := func(field, format string, args ...any) {
		faults = append(faults, Fault{at + "." + field, fmt.Sprintf(format, args...)})
	}
	e.checkName(c, i, fault)
	e.adapter = c.adapter(e.Provider)
	if e.adapter == nil {
		fault("provider", "%q is not known: %s, or a name in Config.Adapters", e.Provider, strings.Join(providerNames(), ", "))
	} else {
		e.dialect = e.adapter.Dialect()
	}
	e.checkURL(fault)
	e.checkPlaces(fault)
	e.checkOrder(c, fault)
	e.checkKey(fault)
	e.checkHeader(fault)
	e.checkRest(fault)
	if len(faults) > 0 {
		return e, faults
	}
	e.limits = e.timeouts(c)
	e.health, e.slots, e.where = newHealths(&e.Endpoint, c.HealthByCountry), newSlots(&e.Endpoint), e.place()
	var err error
	if e.transport, err = e.newTransport(c); err != nil {
		fault("ca_file", "cannot be used: %v", err)
		return e, faults
	}
	e.roundTripper = e.transport
	if c.WrapTransport != nil {
		e.wrapped = true
		if e.roundTripper = c.WrapTransport(e.Name, e.transport); e.roundTripper == nil {
			fault("name", "Config.WrapTransport returned nil for %q", e.Name)
		}
	}
	return e, faults
}

func (c *Config) adapter(provider string) AIServiceAdapter {
	if a, ok := c.Adapters[provider]; ok {
		return a
	}
	return builtinAdapter(provider)
}

// checkTimeouts finds negative timeouts.
func checkTimeouts(t Timeouts, fault faultFunc) {
	for name, d := range t.fields() {
		if d < 0 {
			fault("timeouts."+name, "must not be negative")
		}
	}
}

type faultFunc func(field, format string, args ...any)

func (e *endpoint) checkName(c *Config, i int, fault faultFunc) {
	switch {
	case e.Name == "":
		fault("name", "is required")
	case strings.ContainsFunc(e.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		fault("name", "must not contain control characters")
	}
	for j := range i {
		if c.Endpoints[j].Name == e.Name && e.Name != "" {
			fault("name", "%q is the name of endpoints[%d] too", e.Name, j)
			return
		}
	}
}

// checkURL reads the base URL. Messages do not quote it: a mistyped one may hold a key.
func (e *endpoint) checkURL(fault faultFunc) {
	raw := e.URL
	if raw == "" {
		raw = e.dialect.URL
	}
	if raw == "" {
		if e.adapter != nil {
			fault("url", "is required for the provider %q", e.Provider)
		}
		return
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		fault("url", "is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		fault("url", "must begin with https:// or http://")
	case u.Hostname() == "":
		fault("url", "has no host")
	case u.User != nil:
		fault("url", "must not hold a user or password: use key or header")
	case u.Fragment != "":
		fault("url", "must not have a fragment (#)")
	case u.Query().Has("key"):
		fault("url", "must not hold the key in its query, where logs would show it: use key")
	default:
		e.base = u
	}
}

func (e *endpoint) checkPlaces(fault faultFunc) {
	for field, list := range map[string][]string{"countries": e.Countries, "except_countries": e.ExceptCountries} {
		for j, code := range list {
			if !validCountry(code) {
				fault(fmt.Sprintf("%s[%d]", field, j), "%q is not a country: give an ISO 3166-1 alpha-2 code in capitals such as \"CN\"", code)
			}
		}
	}
	for _, code := range e.Countries {
		if slices.Contains(e.ExceptCountries, code) {
			fault("except_countries", "%q stands in countries too", code)
		}
	}
	for asked, name := range e.Models {
		if asked == "" || name == "" {
			fault("models", "must not contain an empty name")
		}
	}
	if e.Models != nil && len(e.Models) == 0 {
		fault("models", "is empty: leave it out to take every name as it is, or map \"*\"")
	}
}

// checkOrder checks what decides when the endpoint is asked.
func (e *endpoint) checkOrder(c *Config, fault faultFunc) {
	if e.Tier < 0 {
		fault("tier", "must not be negative")
	}
	if e.Price < 0 || math.IsNaN(e.Price) || math.IsInf(e.Price, 0) {
		fault("price", "must not be negative")
	}
	if e.ExpectedLatency < 0 {
		fault("expected_latency", "must not be negative")
	}
	if !(e.ExpectedFailures >= 0 && e.ExpectedFailures < 1) {
		fault("expected_failures", "must be a share from 0 to less than 1")
	}
	switch {
	case e.Concurrency < 0:
		fault("concurrency", "must not be negative")
	case e.Concurrency > 0 && !e.Local:
		fault("concurrency", "is for local endpoints only")
	}
	for i, f := range e.Lacks {
		if !f.valid() {
			fault(fmt.Sprintf("lacks[%d]", i), "%q is not known: %s", f, featureNames)
		}
	}
	if _, can := e.adapter.(Prober); c.Probes.By == ProbeFree && !can && e.adapter != nil {
		fault("provider", "%q has no free probe: set probes.by to \"token\" or \"off\"", e.Provider)
	}
}

func (e *endpoint) checkKey(fault faultFunc) {
	switch {
	case e.Key != "" && e.KeySource != nil:
		fault("key", "and KeySource are both given: give one")
	case e.KeySource != nil:
		e.keys = e.KeySource
	case e.Key != "":
		source, err := keyRef(e.Key)
		if err == nil {
			_, err = source.Secret(context.Background())
		}
		if err != nil {
			fault("key", "%v", err)
			return
		}
		e.keys = source
	case e.URL == "" && e.base != nil && !e.Local && !isLoopback(e.base):
		fault("key", "is required: for instance \"env:NAME\"")
	}
	if e.keys != nil && e.KeyHeader == "" && e.adapter != nil && e.dialect.KeyHeader == "" {
		fault("key_header", "is required: the dialect %q has none of its own", e.dialect.Name)
	}
}

func isLoopback(u *url.URL) bool {
	return u != nil && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1")
}

// ownHeaders are set by holdfast or net/http and cannot be configured.
var ownHeaders = map[string]string{
	"Host": "use host", "Content-Length": "it is set by holdfast", "Transfer-Encoding": "it is set by holdfast",
	"Connection": "it is set by holdfast", "Content-Type": "it is set by holdfast", "Accept-Encoding": "it is set by holdfast",
}

func (e *endpoint) checkHeader(fault faultFunc) {
	name, _ := e.keyHeader()
	for key, value := range e.Header {
		canonical := textproto.CanonicalMIMEHeaderKey(key)
		why, own := ownHeaders[canonical]
		switch {
		case !isToken(key):
			fault("header", "%q is not a header name", key)
		case own:
			fault("header", "%s cannot be set: %s", canonical, why)
		case e.keys != nil && strings.EqualFold(name, key):
			fault("header", "%s carries the key already", canonical)
		case !isHeaderValue(value):
			fault("header", "the value of %s holds control characters", canonical)
		}
	}
	if e.KeyHeader != "" && !isToken(e.KeyHeader) {
		fault("key_header", "%q is not a header name", e.KeyHeader)
	}
	if !isHeaderValue(e.KeyPrefix) {
		fault("key_prefix", "holds control characters")
	}
	if strings.ContainsAny(e.Host, " \t\r\n/\\@?#") {
		fault("host", "must be a host name, with a port if needed")
	}
	if strings.ContainsAny(e.ServerName, " \t\r\n/\\@?#:") {
		fault("server_name", "must be a host name without a port")
	}
}

// isToken reports whether s is a token of RFC 9110 §5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

func isHeaderValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}

func (e *endpoint) checkRest(fault faultFunc) {
	switch e.Proxy {
	case "", "direct":
	default:
		u, err := url.Parse(e.Proxy)
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
			fault("proxy", "must be the URL of an http, https or socks5 proxy, or \"direct\"")
		}
	}
	checkTimeouts(e.Timeouts, fault)
	if e.Signing == nil {
		return
	}
	var faults []Fault
	e.signer, faults = newSigner(e.Signing)
	for _, f := range faults {
		fault("signing."+f.Field, "%s", f.Message)
	}
}
