package holdfast

import (
	"slices"
	"strings"
	"testing"
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

func TestChoose(t *testing.T) {
	t.Parallel()
	at := func(e Endpoint) *endpoint { return &endpoint{Endpoint: e} }
	gateway := at(Endpoint{Name: "gateway", Countries: []string{"CN"}, Region: "hk"})
	direct := at(Endpoint{Name: "direct", ExceptCountries: []string{"CN"}, Region: "us"})
	anywhere := at(Endpoint{Name: "anywhere", Tier: 1, Region: "eu"})
	cheap := at(Endpoint{Name: "cheap", Tier: 1, Price: 0.5})
	local := at(Endpoint{Name: "local", Local: true})
	all := []*endpoint{local, anywhere, cheap, direct, gateway}
	for _, c := range []struct {
		name string
		in   snapshot
		want string
	}{
		{"a client in CN", snapshot{endpoints: all, country: "CN"}, "gateway cheap anywhere local"},
		{"a client elsewhere", snapshot{endpoints: all, country: "SE"}, "direct cheap anywhere local"},
		{"unknown, with a fallback", snapshot{endpoints: all, fallback: "gateway"}, "gateway cheap anywhere local"},
		{"unknown, without", snapshot{endpoints: all}, "cheap anywhere local"},
		{"the fallback does not outrank a known country", snapshot{endpoints: all, country: "SE", fallback: "gateway"}, "direct cheap anywhere local"},
		{"residency", snapshot{endpoints: all, country: "SE", residency: []string{"eu"}}, "anywhere"},
		{"residency is not relaxed", snapshot{endpoints: all, country: "SE", residency: []string{"mars"}}, ""},
		{"the order of the configuration", snapshot{endpoints: []*endpoint{at(Endpoint{Name: "b"}), at(Endpoint{Name: "a"})}}, "b a"},
	} {
		list, skipped := c.in.choose()
		var names []string
		for _, got := range list {
			names = append(names, got.endpoint.Name)
			if got.why == "" {
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
