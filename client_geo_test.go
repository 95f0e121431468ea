package holdfast_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
)

// geoClient has clients in CN go through a gateway, those in SE to an endpoint of their own, everyone else directly; a fourth stands in when
// the country is unknown.
func geoClient(t *testing.T, s *stage, database string) *holdfast.Client {
	t.Helper()
	s.plays = map[string][]play{}
	conf := holdfast.Config{GeoIP: database, Fallback: "fallback"}
	for _, e := range []holdfast.Endpoint{
		{Name: "direct"},
		{Name: "gateway", Countries: []string{"CN", "HK"}},
		{Name: "nordic", Countries: []string{"SE"}},
		{Name: "fallback", Tier: 5},
	} {
		e.Provider, e.URL = "moody", "http://"+e.Name+".test"
		s.plays[e.Name] = []play{replies("hi")}
		conf.Endpoints = append(conf.Endpoints, e)
	}
	return s.client(t, conf)
}

func TestCountryByGeoIP(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("testdata", "maxmind")
	for _, c := range []struct{ database, addr, want string }{
		{"GeoIP2-Country-Test.mmdb", "111.235.160.1", "gateway"}, // CN
		{"GeoIP2-Country-Test.mmdb", "2001:250::1", "gateway"},
		{"GeoIP2-Country-Test.mmdb", "::ffff:111.235.160.1", "gateway"},
		{"GeoIP2-Country-Test.mmdb", "81.2.69.142", "direct"}, // GB, registered in US
		{"GeoIP2-Country-Test.mmdb", "2a02:d500::1", "fallback"},
		{"GeoLite2-Country-Test.mmdb", "111.235.160.1", "gateway"},
		{"GeoLite2-City-Test.mmdb", "175.16.199.1", "gateway"},
		{"GeoIP2-City-Test.mmdb", "175.16.199.1", "gateway"},
		{"GeoIP2-Country-Test.mmdb", "10.0.0.1", "fallback"},
		{"GeoIP2-Country-Test.mmdb", "127.0.0.1", "fallback"},
		{"GeoIP2-Country-Test.mmdb", "fd00::1", "fallback"},
		{"GeoIP2-Country-Test.mmdb", "203.0.113.9", "fallback"}, // not in the database
		{"missing.mmdb", "111.235.160.1", "fallback"},
		{"bad-corrupt-search-tree.mmdb", "111.235.160.1", "fallback"},
		{"GeoIP2-City-Test-Invalid-Node-Count.mmdb", "111.235.160.1", "fallback"},
		{"GeoLite2-ASN-Test.mmdb", "111.235.160.1", "fallback"},
	} {
		s := &stage{}
		client := geoClient(t, s, filepath.Join(dir, c.database))
		answer, err := client.Chat(holdfast.WithClientIP(t.Context(), netip.MustParseAddr(c.addr)), hello)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Endpoint != c.want {
			t.Errorf("%s in %s: got %s, want %s (%s)", c.addr, c.database, answer.Endpoint, c.want, answer.Trail)
		}
		if answer.Trail.CountryFrom == "" || strings.Contains(answer.Trail.String(), c.addr) {
			t.Errorf("the Trail says %q: want the reason, without the client's address", answer.Trail)
		}
	}
}

// known-ips.json has addresses of both families for each country.
func TestKnownAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range knownAddresses(t) {
		s := &stage{}
		client := geoClient(t, s, filepath.Join("testdata", "maxmind", c.database))
		answer, err := client.Chat(holdfast.WithClientIP(t.Context(), c.addr), hello)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"CN": "gateway", "HK": "gateway", "SE": "nordic"}[c.country]
		if want == "" {
			want = "direct"
		}
		if answer.Endpoint != want || answer.Trail.Country != c.country {
			t.Errorf("%s in %s: got %s for %q, want %s for %s", c.addr, c.database, answer.Endpoint, answer.Trail.Country, want, c.country)
		}
	}
}

func TestDatabaseIsReplaced(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile(filepath.Join("testdata", "maxmind", "GeoIP2-Country-Test.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "country.mmdb")
	synctest.Test(t, func(t *testing.T) {
		s := &stage{}
		client := geoClient(t, s, path)
		ctx := holdfast.WithClientIP(t.Context(), netip.MustParseAddr("111.235.160.1"))
		for _, want := range []string{"fallback", "gateway"} {
			answer, err := client.Chat(ctx, hello)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Endpoint != want {
				t.Errorf("got %s, want %s", answer.Endpoint, want)
			}
			if err := os.WriteFile(path, good, 0o600); err != nil {
				t.Fatal(err)
			}
			<-time.After(2 * time.Second)
		}
	})
}

type knownAddress struct {
	database, country string
	addr              netip.Addr
}

func knownAddresses(t *testing.T) []knownAddress {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "maxmind", "known-ips.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	var all []knownAddress
	for _, database := range []string{"GeoIP2-Country-Test", "GeoLite2-Country-Test"} {
		var countries map[string][]netip.Addr
		if err := json.Unmarshal(file[database], &countries); err != nil {
			t.Fatal(err)
		}
		for _, country := range []string{"CN", "HK", "SE", "US", "GB"} {
			if len(countries[country]) == 0 {
				t.Fatalf("no address of %s in %s", country, database)
			}
			for _, addr := range countries[country] {
				all = append(all, knownAddress{database + ".mmdb", country, addr})
			}
		}
	}
	return all
}
