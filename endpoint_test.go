package holdfast

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestModelMapping(t *testing.T) {
	t.Parallel()
	mapped := Endpoint{Models: map[string]string{
		"smart": "claude-opus-5-5", "claude-*": "*", "claude-haiku-*": "claude-haiku-5-5", "default": "claude-sonnet-5-5",
	}}
	for _, c := range []struct {
		name     string
		endpoint Endpoint
		asked    string
		want     string
		ok       bool
	}{
		{"by name", mapped, "smart", "claude-opus-5-5", true},
		{"nobody asked for one", mapped, "", "claude-sonnet-5-5", true},
		{"a pattern, as asked", mapped, "claude-fable-5-1", "claude-fable-5-1", true},
		{"the longest pattern", mapped, "claude-haiku-4-5", "claude-haiku-5-5", true},
		{"nobody maps it", mapped, "gpt-6-sol", "", false},
		{"no map at all", Endpoint{}, "anything", "anything", true},
		{"a star", Endpoint{Models: map[string]string{"*": "llama"}}, "smart", "llama", true},
		{"a star as asked", Endpoint{Models: map[string]string{"*": "*"}}, "smart", "smart", true},
	} {
		if got, ok := c.endpoint.model(c.asked); got != c.want || ok != c.ok {
			t.Errorf("%s: got %q %v, want %q %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

// Who may take a call, in the order in which they are asked while nothing is known of their health.
func TestWhoMayTakeACall(t *testing.T) {
	t.Parallel()
	at := func(e Endpoint) *endpoint {
		return &endpoint{Endpoint: e, health: newHealths(&e, false), where: e.place(), dialect: Dialect{Name: "claude"}}
	}
	gateway := at(Endpoint{Name: "gateway", Countries: []string{"CN"}, Region: "hk"})
	direct := at(Endpoint{Name: "direct", ExceptCountries: []string{"CN"}, Region: "us"})
	anywhere := at(Endpoint{Name: "anywhere", Tier: 1, Region: "eu"})
	cheap := at(Endpoint{Name: "cheap", Tier: 1, Price: 0.5})
	local := at(Endpoint{Name: "local", Local: true})
	all := []*endpoint{local, anywhere, cheap, direct, gateway}
	for _, c := range []struct {
		name string
		in   filter
		want string
	}{
		{"a client in CN", filter{endpoints: all, country: "CN"}, "gateway cheap anywhere local"},
		{"a client elsewhere", filter{endpoints: all, country: "SE"}, "direct cheap anywhere local"},
		{"unknown, with a fallback", filter{endpoints: all, fallback: "gateway"}, "gateway cheap anywhere local"},
		{"unknown, without", filter{endpoints: all}, "cheap anywhere local"},
		{"the fallback does not outrank a known country", filter{endpoints: all, country: "SE", fallback: "gateway"}, "direct cheap anywhere local"},
		{"residency", filter{endpoints: all, country: "SE", residency: [2][]string{{"eu"}}}, "anywhere"},
		{"residency of the call", filter{endpoints: all, country: "SE", residency: [2][]string{nil, {"eu"}}}, "anywhere"},
		{"residency of both", filter{endpoints: all, country: "SE", residency: [2][]string{{"eu", "us"}, {"us", "hk"}}}, "direct"},
		{"residencies that exclude each other", filter{endpoints: all, country: "SE", residency: [2][]string{{"us"}, {"eu"}}}, ""},
		{"residency is not relaxed", filter{endpoints: all, country: "SE", residency: [2][]string{{"mars"}}}, ""},
		{"the order of the configuration", filter{endpoints: []*endpoint{at(Endpoint{Name: "b"}), at(Endpoint{Name: "a"})}}, "b a"},
	} {
		list, skipped := c.in.allowed(nil)
		k := &call{client: &Client{routing: newRouting(&Config{})}, field: list, deadline: time.Now().Add(time.Minute)}
		var names []string
		for got, _ := k.seek(t.Context()); got != nil; got, _ = k.seek(t.Context()) {
			names = append(names, got.endpoint.Name)
			if got.reason == "" {
				t.Errorf("%s: %s was chosen without a reason", c.name, got.endpoint.Name)
			}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if len(list)+len(skipped) != len(c.in.endpoints) {
			t.Errorf("%s: %d chosen and %d skipped of %d", c.name, len(list), len(skipped), len(c.in.endpoints))
		}
		if slices.ContainsFunc(skipped, func(s Skip) bool { return s.Why == "" }) {
			t.Errorf("%s: an endpoint was skipped without a reason: %v", c.name, skipped)
		}
	}
}
