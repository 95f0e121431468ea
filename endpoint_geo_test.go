package holdfast

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const geoTestFile = "testdata/maxmind/GeoIP2-Country-Test.mmdb"

func TestLocator(t *testing.T) {
	t.Parallel()
	with := newLocator(geoTestFile, "SE")
	ip := func(s string) context.Context { return WithClientIP(t.Context(), netip.MustParseAddr(s)) }
	tests := []struct {
		name       string
		locator    *locator
		ctx        context.Context //nolint:containedctx // it is what the case is about
		code, from string
	}{
		{"address", with, ip("175.16.199.1"), "CN", "GeoIP"},
		{"address over IPv6", with, ip("2001:250::1"), "CN", "GeoIP"},
		{"mapped address", with, ip("::ffff:81.2.69.142"), "GB", "GeoIP"},
		{"address unknown", with, ip("203.0.113.1"), "", "GeoIP: address not found"},
		{"address private", with, ip("10.0.0.1"), "", "GeoIP: private address"},
		{"address of no country", with, ip("2a02:d500::1"), "", "GeoIP: no country for the address"},
		{"zero address", with, WithClientIP(t.Context(), netip.Addr{}), "", "GeoIP: no valid address"},
		{"country", with, WithClientCountry(t.Context(), "HK"), "HK", "caller"},
		{"country before address", with, WithClientCountry(ip("81.2.69.142"), "HK"), "HK", "caller"},
		{"address keeps country", with, WithClientIP(WithClientCountry(t.Context(), "HK"), netip.MustParseAddr("81.2.69.142")), "HK", "caller"},
		{"country taken back", with, WithClientCountry(WithClientCountry(ip("81.2.69.142"), "HK"), ""), "GB", "GeoIP"},
		{"small letters", with, WithClientCountry(t.Context(), "hk"), "", "caller: not an ISO 3166-1 alpha-2 code"},
		{"no code", with, WithClientCountry(ip("81.2.69.142"), "XX"), "", "caller: not an ISO 3166-1 alpha-2 code"},
		{"own", with, t.Context(), "SE", "configured"},
		{"nothing", newLocator("", ""), t.Context(), "", "no client named and no country configured"},
		{"no database", newLocator("", "SE"), ip("81.2.69.142"), "", "GeoIP: no database configured"},
		{"database missing", newLocator("testdata/none.mmdb", "SE"), ip("81.2.69.142"), "", "GeoIP: database missing"},
		{"database missing, own", newLocator("testdata/none.mmdb", "SE"), t.Context(), "SE", "configured"},
		{"database corrupt", newLocator("testdata/maxmind/GeoIP2-City-Test-Invalid-Node-Count.mmdb", ""), ip("81.2.69.142"), "", "GeoIP: database corrupt"},
		{"database of ASN", newLocator("testdata/maxmind/GeoLite2-ASN-Test.mmdb", ""), ip("81.2.69.142"), "", "GeoIP: database of the wrong type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, from := tt.locator.country(tt.ctx)
			if code != tt.code || from != tt.from {
				t.Errorf("got %q, %q, want %q, %q", code, from, tt.code, tt.from)
			}
		})
	}
}

func TestLocatorTellsOfABadNewDatabase(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile(geoTestFile)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "geo.mmdb")
		replace := func(data []byte) {
			if err := os.WriteFile(path+"~", data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+"~", path); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		replace(good)
		l := newLocator(path, "")
		ctx := WithClientIP(t.Context(), netip.MustParseAddr("81.2.69.142"))
		for _, step := range []struct {
			data []byte
			from string
		}{{[]byte("bad"), "GeoIP, last good one: database corrupt"}, {good, "GeoIP"}} {
			replace(step.data)
			if code, from := l.country(ctx); code != "GB" || from != step.from {
				t.Errorf("got %q, %q, want GB, %q", code, from, step.from)
			}
		}
	})
}

func TestValidCountry(t *testing.T) {
	t.Parallel()
	for _, code := range strings.Fields("CN HK TW SE US GB DE XK AD ZW AX SS SX BQ CW") {
		if !validCountry(code) {
			t.Errorf("%s: got false, want true", code)
		}
	}
	for _, code := range []string{"", "C", "cn", "Cn", "CNN", "USA", "UK", "EU", "EL", "XX", "T1", "A1", "AP", "AN", "SU", "ZZ", "ÅX", "C\x00", "[["} {
		if validCountry(code) {
			t.Errorf("%q: got true, want false", code)
		}
	}
	n := 0
	for a := byte(0); a < 255; a++ {
		for b := byte(0); b < 255; b++ {
			if validCountry(string([]byte{a, b})) {
				n++
			}
		}
	}
	if n != 249+1 { // ISO 3166-1 assigns 249
		t.Errorf("got %d codes, want 250", n)
	}
}
