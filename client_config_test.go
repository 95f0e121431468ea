package holdfast_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast"
)

func faultsOf(t *testing.T, err error) []string {
	t.Helper()
	var e *holdfast.ConfigError
	if err == nil || !errors.As(err, &e) {
		t.Fatalf("got %v, want a *ConfigError", err)
	}
	fields := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		fields[i] = f.Field
		if f.Message == "" {
			t.Errorf("%s: the fault does not say what would be right", f.Field)
		}
	}
	slices.Sort(fields)
	return fields
}

// Each fault of a configuration, alone, by the name that a file gives it.
func TestConfigFaults(t *testing.T) {
	t.Setenv("FALLBACK_ENDPOINT", "")
	t.Setenv("HOLDFAST_TEST_KEY", "k")
	endpoint := func(fields string) string {
		return `{"endpoints":[{"name":"a","provider":"openai-compatible","url":"http://127.0.0.1:1/v1"` + fields + `}]}`
	}
	for _, c := range []struct{ name, config, field string }{
		{"no endpoints", `{}`, "endpoints"},
		{"an empty list", `{"endpoints":[]}`, "endpoints"},
		{"no name", `{"endpoints":[{"provider":"claude","key":"env:HOLDFAST_TEST_KEY"}]}`, "endpoints[0].name"},
		{"a doubled name", `{"endpoints":[{"name":"a","provider":"ollama"},{"name":"a","provider":"ollama"}]}`, "endpoints[1].name"},
		{"no provider", `{"endpoints":[{"name":"a"}]}`, "endpoints[0].provider"},
		{"an unknown provider", `{"endpoints":[{"name":"a","provider":"hal"}]}`, "endpoints[0].provider"},
		{"an unknown key", endpoint(`,"colour":"red"`), "endpoints[0].colour"},
		{"a doubled key", endpoint(`,"tier":1,"tier":2`), "endpoints[0].tier"},
		{"an unknown key at the top", `{"endpoint":[]}`, "endpoint"},
		{"no URL where there is no default", `{"endpoints":[{"name":"a","provider":"openai-compatible"}]}`, "endpoints[0].url"},
		{"not a URL", endpoint2("http://[::1"), "endpoints[0].url"},
		{"another scheme", endpoint2("ftp://example.com"), "endpoints[0].url"},
		{"no host", endpoint2("https:///v1"), "endpoints[0].url"},
		{"credentials in the URL", endpoint2("https://me:secret@example.com"), "endpoints[0].url"},
		{"a key in the query", endpoint2("https://example.com/v1?key=secret"), "endpoints[0].url"},
		{"a fragment", endpoint2("https://example.com/v1#x"), "endpoints[0].url"},
		{"no key", `{"endpoints":[{"name":"a","provider":"claude"}]}`, "endpoints[0].key"},
		{"a missing variable", endpoint(`,"key":"env:HOLDFAST_TEST_NO_SUCH"`), "endpoints[0].key"},
		{"a missing file", endpoint(`,"key":"file:/nowhere/key"`), "endpoints[0].key"},
		{"a literal key", endpoint(`,"key":"sk-ant-secret"`), "endpoints[0].key"},
		{"a country in words", endpoint(`,"countries":["China"]`), "endpoints[0].countries[0]"},
		{"a country in small letters", endpoint(`,"countries":["CN","se"]`), "endpoints[0].countries[1]"},
		{"no such country", endpoint(`,"except_countries":["XX"]`), "endpoints[0].except_countries[0]"},
		{"a country served and not", endpoint(`,"countries":["CN"],"except_countries":["CN"]`), "endpoints[0].except_countries"},
		{"an empty model", endpoint(`,"models":{"smart":""}`), "endpoints[0].models"},
		{"no models", endpoint(`,"models":{}`), "endpoints[0].models"},
		{"a negative tier", endpoint(`,"tier":-1`), "endpoints[0].tier"},
		{"a negative price", endpoint(`,"price":-1`), "endpoints[0].price"},
		{"a negative expectation", endpoint(`,"expected_latency":"-1s"`), "endpoints[0].expected_latency"},
		{"certain failure", endpoint(`,"expected_failures":1`), "endpoints[0].expected_failures"},
		{"a negative share", endpoint(`,"expected_failures":-0.1`), "endpoints[0].expected_failures"},
		{"concurrency of what is not local", endpoint(`,"concurrency":2`), "endpoints[0].concurrency"},
		{"negative concurrency", endpoint(`,"local":true,"concurrency":-2`), "endpoints[0].concurrency"},
		{"an unknown feature", endpoint(`,"lacks":["tools","smell"]`), "endpoints[0].lacks[1]"},
		{"an unknown probe", `{"probes":{"by":"prayer"},"endpoints":[{"name":"a","provider":"ollama"}]}`, "probes.by"},
		{"probes that are off and cold", `{"probes":{"by":"off","cold":true},"endpoints":[{"name":"a","provider":"ollama"}]}`, "probes"},
		{"neither probes nor reserves", `{"probes":{"by":"off"},"retry":{"no_hedge":true},"endpoints":[{"name":"a","provider":"ollama"}]}`, "probes.by"},
		{"negative patience", `{"retry":{"park":"-1s"},"endpoints":[{"name":"a","provider":"ollama"}]}`, "retry.park"},
		{"patience and none", `{"retry":{"park":"1s","no_park":true},"endpoints":[{"name":"a","provider":"ollama"}]}`, "retry.no_park"},
		{"not a header name", endpoint(`,"header":{"X Y":"z"}`), "endpoints[0].header"},
		{"a header of ours", endpoint(`,"header":{"content-length":"5"}`), "endpoints[0].header"},
		{"a header that splits", endpoint(`,"header":{"X-A":"b\r\nX-C: d"}`), "endpoints[0].header"},
		{"the key's header", endpoint(`,"key":"env:HOLDFAST_TEST_KEY","header":{"authorization":"x"}`), "endpoints[0].header"},
		{"a host with a path", endpoint(`,"host":"a/b"`), "endpoints[0].host"},
		{"a server name with a port", endpoint(`,"server_name":"a:443"`), "endpoints[0].server_name"},
		{"no such CA file", endpoint(`,"ca_file":"/nowhere/ca.pem"`), "endpoints[0].ca_file"},
		{"not a proxy", endpoint(`,"proxy":"example.com:3128"`), "endpoints[0].proxy"},
		{"a negative timeout", endpoint(`,"timeouts":{"connect":"-1s"}`), "endpoints[0].timeouts.connect"},
		{"a negative bound on silence", endpoint(`,"timeouts":{"between_content":"-1s"}`), "endpoints[0].timeouts.between_content"},
		{"a bare number as a duration", `{"timeout":30,"endpoints":[{"name":"a","provider":"ollama"}]}`, "timeout"},
		{"a negative total", `{"timeout":"-5s","endpoints":[{"name":"a","provider":"ollama"}]}`, "timeout"},
		{"negative attempts", `{"retry":{"max_attempts":-1},"endpoints":[{"name":"a","provider":"ollama"}]}`, "retry.max_attempts"},
		{"the service's country", `{"country":"Sweden","endpoints":[{"name":"a","provider":"ollama"}]}`, "country"},
		{"an unknown fallback", `{"fallback":"b","endpoints":[{"name":"a","provider":"ollama"}]}`, "fallback"},
		{"an empty region", `{"residency":[""],"endpoints":[{"name":"a","provider":"ollama"}]}`, "residency[0]"},
		{"signing without a client", endpoint(`,"signing":{"secret":"env:HOLDFAST_TEST_KEY"}`), "endpoints[0].signing.client_id"},
		{"signing without a secret", endpoint(`,"signing":{"client_id":"c"}`), "endpoints[0].signing.secret"},
		{"an unknown scheme", endpoint(`,"signing":{"scheme":"rot13","client_id":"c","secret":"env:HOLDFAST_TEST_KEY"}`), "endpoints[0].signing.scheme"},
	} {
		_, err := holdfast.ParseConfig([]byte(c.config))
		if got := faultsOf(t, err); len(got) != 1 || got[0] != c.field {
			t.Errorf("%s: got faults of %q, want one of %q (%v)", c.name, got, c.field, err)
		}
		if strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "key=secret") || strings.Contains(err.Error(), "sk-ant-secret") {
			t.Errorf("%s: the fault quotes a secret: %v", c.name, err)
		}
	}
}

func endpoint2(url string) string {
	return `{"endpoints":[{"name":"a","provider":"openai-compatible","url":"` + url + `"}]}`
}

// All faults come at once, whether they are of the file or of its meaning.
func TestConfigFaultsComeTogether(t *testing.T) {
	t.Parallel()
	_, err := holdfast.New(holdfast.Config{
		Country: "Sweden", Fallback: "nobody", Timeout: -time.Second,
		Endpoints: []holdfast.Endpoint{
			{Name: "a", Provider: "hal"},
			{Name: "a", Provider: "claude", URL: "ftp://x", Countries: []string{"cn"}, Tier: -1},
		},
	})
	want := []string{
		"country", "endpoints[0].provider", "endpoints[1].countries[0]", "endpoints[1].name", "endpoints[1].tier", "endpoints[1].url",
		"fallback", "timeout",
	}
	if got := faultsOf(t, err); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLoadConfig(t *testing.T) {
	t.Setenv("HOLDFAST_TEST_KEY", "k")
	path := filepath.Join(t.TempDir(), "holdfast.json")
	file := `{
		"geoip": "GeoLite2-Country.mmdb",
		"fallback": "gateway",
		"timeout": "90s", "unary": true,
		"retry": {"max_attempts": 3, "no_hedge": true, "rescue": "reset", "policy_elsewhere": true},
		"timeouts": {"headers": "1s", "hedge": "2s", "first_content": "3s", "between_content": "4s", "total": "5s"},
		"endpoints": [
			{"name": "gateway", "provider": "claude", "url": "https://hk-gateway.example.com/claude", "countries": ["CN"],
				"signing": {"client_id": "client1", "secret": "env:HOLDFAST_TEST_KEY"}},
			{"name": "direct", "provider": "claude", "key": "env:HOLDFAST_TEST_KEY", "models": {"smart": "claude-opus-5-5"},
				"timeouts": {"connect": "2s"}, "price": 1.5},
			{"name": "local", "provider": "ollama", "local": true}
		]
	}`
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := holdfast.LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if conf.Timeout != 90*time.Second || len(conf.Endpoints) != 3 || conf.Endpoints[1].Timeouts.Connect != 2*time.Second ||
		conf.Endpoints[1].Models["smart"] != "claude-opus-5-5" || conf.Endpoints[0].Signing.ClientID != "client1" {
		t.Errorf("got %+v", conf)
	}
	wantRetry := holdfast.RetryPolicy{MaxAttempts: 3, NoHedge: true, Rescue: holdfast.RescueReset, PolicyElsewhere: true}
	wantTimeouts := holdfast.Timeouts{
		Headers: time.Second, Hedge: 2 * time.Second, FirstContent: 3 * time.Second, BetweenContent: 4 * time.Second, Total: 5 * time.Second,
	}
	if !conf.Unary || conf.Retry != wantRetry || conf.Timeouts != wantTimeouts {
		t.Errorf("got %+v and %+v, want %+v and %+v", conf.Retry, conf.Timeouts, wantRetry, wantTimeouts)
	}
	if _, err := holdfast.New(conf); err != nil {
		t.Errorf("New refuses what LoadConfig took: %v", err)
	}
	if _, err := holdfast.LoadConfig(path + ".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
}

func TestFallbackFromTheEnvironment(t *testing.T) {
	conf := config("http://127.0.0.1:1")
	conf.Endpoints[0].Countries = []string{"CN"}
	for _, c := range []struct {
		value string
		ok    bool
	}{{"", true}, {"faulty", true}, {"http://127.0.0.1:1/", true}, {"http://elsewhere.example.com", false}} {
		t.Setenv("FALLBACK_ENDPOINT", c.value)
		if _, err := holdfast.New(conf); (err == nil) != c.ok {
			t.Errorf("FALLBACK_ENDPOINT=%q: got %v, want ok %v", c.value, err, c.ok)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"endpoints":[{"name":"a","provider":"claude","url":"http://127.0.0.1:1","models":{"*":"*"},"header":{"A":"b"}}],"timeout":"3s"}`))
	f.Add([]byte(`{"endpoints":[{"countries":["CN"],"signing":{"client_id":"c"}}],"retry":{"max_attempts":3}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		conf, err := holdfast.ParseConfig(data)
		if err != nil {
			var e *holdfast.ConfigError
			if !errors.As(err, &e) || len(e.Faults) == 0 {
				t.Fatalf("got %v, want a *ConfigError with faults", err)
			}
			return
		}
		client, err := holdfast.New(conf)
		if err != nil {
			t.Fatalf("New refuses what ParseConfig took: %v", err)
		}
		_ = client.Close()
	})
}
