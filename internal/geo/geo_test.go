package geo

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oschwald/geoip2-golang/v2"
)

const testdata = "../../testdata/maxmind"

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata, name+".mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, name string) *Database {
	t.Helper()
	d := Open(filepath.Join(testdata, name+".mmdb"))
	if err := d.Problem(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

// enterprise makes a database of the type Enterprise of a City database: the records of a City are part of an Enterprise's.
func enterprise(t testing.TB) []byte {
	t.Helper()
	city := file(t, "GeoIP2-City-Test")
	named := func(s string) []byte { return append([]byte{0x40 | byte(len(s))}, s...) } // a string of the format
	made := bytes.Replace(city, named("GeoIP2-City"), named("GeoIP2-Enterprise"), 1)
	// The list of languages, an array of two pointers to what now stands six bytes further on.
	made = bytes.Replace(made, []byte{2, 4, 0x20, 0x75, 0x20, 0xc1}, []byte{2, 4, 0x20, 0x75 + 6, 0x20, 0xc1 + 6}, 1)
	if len(made) != len(city)+6 {
		t.Fatal("the type was not found in the metadata")
	}
	return made
}

// place writes a file next to path and renames it into place, as updaters do.
func place(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, d *Database, addr, country string, reason error) {
	t.Helper()
	got, err := d.Lookup(netip.MustParseAddr(addr))
	if got != country || !errors.Is(err, reason) {
		t.Errorf("%s: got %q, %v, want %q, %v", addr, got, err, country, reason)
	}
}

func TestKnownAddresses(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(testdata, "known-ips.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	delete(all, "about")
	if len(all) != 2 {
		t.Fatalf("got %d databases, want 2", len(all))
	}
	for name, raw := range all {
		var known map[string][]string
		if err := json.Unmarshal(raw, &known); err != nil {
			t.Fatal(err)
		}
		if len(known) != 46 {
			t.Errorf("%s: got %d countries, want 46", name, len(known))
		}
		d := open(t, name)
		for country, addrs := range known {
			for _, addr := range addrs {
				want(t, d, addr, country, nil)
				if a := netip.MustParseAddr(addr); a.Is4() {
					want(t, d, "::ffff:"+addr, country, nil)
				} else {
					want(t, d, addr+"%eth0", country, nil)
				}
			}
		}
	}
}

func TestEveryTypeOfDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "enterprise.mmdb")
	place(t, path, enterprise(t))
	paths := map[string]string{
		"country": filepath.Join(testdata, "GeoIP2-Country-Test.mmdb"),
		"city":    filepath.Join(testdata, "GeoIP2-City-Test.mmdb"),
		"lite":    filepath.Join(testdata, "GeoLite2-City-Test.mmdb"),
		// Damage in a part that is not read for the country does no harm.
		"broken double": filepath.Join(testdata, "GeoIP2-City-Test-Broken-Double-Format.mmdb"),
		"enterprise":    path,
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := Open(path)
			if err := d.Problem(); err != nil {
				t.Fatal(err)
			}
			want(t, d, "175.16.199.1", "CN", nil)
			want(t, d, "89.160.20.112", "SE", nil)
			want(t, d, "216.160.83.56", "US", nil)
			want(t, d, "81.2.69.142", "GB", nil) // registered in the US
			want(t, d, "::ffff:81.2.69.142", "GB", nil)
			want(t, d, "2001:218::1", "JP", nil)
			want(t, d, "203.0.113.1", "", NotFound)
		})
	}
}

func TestAddressesWithoutCountry(t *testing.T) {
	t.Parallel()
	d := open(t, "GeoIP2-Country-Test")
	tests := map[string]Reason{
		"10.1.2.3": Private, "172.31.0.1": Private, "192.168.1.1": Private, "fd00::1": Private, "::ffff:10.0.0.1": Private,
		"127.0.0.1": Loopback, "::1": Loopback, "::ffff:127.1.2.3": Loopback,
		"169.254.1.1": LinkLocal, "fe80::1%eth0": LinkLocal,
		"100.64.0.1": CGNAT, "100.127.255.255": CGNAT, "::ffff:100.64.0.1": CGNAT,
		"0.0.0.0": Unspecified, "::": Unspecified, "224.0.0.1": Multicast, "ff02::1": Multicast,
		"100.128.0.1": NotFound, "203.0.113.9": NotFound, "2001:db8::1": NotFound,
		"2a02:d500::1": NoCountry,
	}
	for addr, reason := range tests {
		want(t, d, addr, "", reason)
	}
	if _, err := d.Lookup(netip.Addr{}); !errors.Is(err, Invalid) {
		t.Errorf("zero address: got %v, want %v", err, Invalid)
	}
}

func TestBadDatabases(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := file(t, "GeoIP2-Country-Test")
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name, path string
		reason     Reason
	}{
		{"no path", "", Missing},
		{"no file", filepath.Join(dir, "none.mmdb"), Missing},
		{"folder", dir, Unreadable},
		{"device", "/dev/zero", Unreadable},
		{"empty", write("empty", nil), Corrupt},
		{"text", write("text", []byte("<html>not found</html>")), Corrupt},
		{"half", write("half", good[:len(good)/2]), Corrupt},
		{"end only", write("end", good[len(good)/2:]), Corrupt},
		{"node count", filepath.Join(testdata, "GeoIP2-City-Test-Invalid-Node-Count.mmdb"), Corrupt},
		{"search tree", filepath.Join(testdata, "bad-corrupt-search-tree.mmdb"), WrongType}, // its type is "Test"
		{"search tree, right type", write("tree", retyped(t)), Corrupt},
		{"ASN", filepath.Join(testdata, "GeoLite2-ASN-Test.mmdb"), WrongType},
		{"Shield", filepath.Join(testdata, "GeoIP2-Country-Shield-Test.mmdb"), WrongType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := Open(tt.path)
			if !errors.Is(d.Problem(), tt.reason) {
				t.Errorf("got problem %v, want %v", d.Problem(), tt.reason)
			}
			want(t, d, "81.2.69.142", "", tt.reason)
			want(t, d, "2001:218::1", "", tt.reason)
			want(t, d, "10.0.0.1", "", Private) // the address decides first
		})
	}
}

// retyped is the database with a corrupt search tree under a type that is accepted, so that its tree is looked at.
func retyped(t testing.TB) []byte {
	t.Helper()
	return bytes.Replace(file(t, "bad-corrupt-search-tree"), []byte("DTest"), []byte("OGeoIP2-Country"), 1)
}

func TestReplacedWhileRunning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "geo.mmdb")
		d := Open(path)
		want(t, d, "175.16.199.1", "", Missing)

		place(t, path, file(t, "GeoLite2-Country-Test"))
		want(t, d, "81.2.69.142", "", Missing)
		time.Sleep(checkEvery - time.Nanosecond)
		want(t, d, "81.2.69.142", "", Missing) // not looked at again within the second
		time.Sleep(time.Nanosecond)
		want(t, d, "81.2.69.142", "GB", nil)
		want(t, d, "175.16.199.1", "", NotFound)

		place(t, path, file(t, "GeoIP2-Country-Test"))
		want(t, d, "175.16.199.1", "", NotFound)
		time.Sleep(checkEvery)
		want(t, d, "175.16.199.1", "CN", nil)

		for _, bad := range []struct {
			data   []byte
			reason Reason
		}{
			{[]byte("not a database"), Corrupt},
			{file(t, "GeoLite2-ASN-Test"), WrongType},
			{retyped(t), Corrupt},
			{nil, Corrupt},
		} {
			place(t, path, bad.data)
			for range 3 {
				time.Sleep(checkEvery)
				want(t, d, "175.16.199.1", "CN", nil)
				if !errors.Is(d.Problem(), bad.reason) {
					t.Errorf("got problem %v, want %v", d.Problem(), bad.reason)
				}
			}
		}

		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(checkEvery)
		want(t, d, "175.16.199.1", "CN", nil)
		if !errors.Is(d.Problem(), Missing) {
			t.Errorf("got problem %v, want %v", d.Problem(), Missing)
		}

		place(t, path, file(t, "GeoLite2-Country-Test"))
		time.Sleep(checkEvery)
		want(t, d, "175.16.199.1", "", NotFound)
		if d.Problem() != nil {
			t.Errorf("got problem %v, want none", d.Problem())
		}
	})
}

// A file that is overwritten in place is read when it was quiet from one look to the next. (In the bubble the file's own
// time is in the future and cannot show that it is quiet.)
func TestOverwrittenInPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "geo.mmdb")
		place(t, path, file(t, "GeoLite2-Country-Test"))
		d := Open(path)
		next := file(t, "GeoIP2-Country-Test")
		writing, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = writing.Close() })
		for len(next) > 0 {
			n := min(5000, len(next))
			if _, err := writing.Write(next[:n]); err != nil {
				t.Fatal(err)
			}
			next = next[n:]
			time.Sleep(checkEvery)
			want(t, d, "81.2.69.142", "GB", nil)
			want(t, d, "175.16.199.1", "", NotFound)
			if d.Problem() != nil {
				t.Errorf("half written: got problem %v, want none", d.Problem())
			}
		}
		time.Sleep(checkEvery)
		want(t, d, "175.16.199.1", "CN", nil)
	})
}

func TestUnreadableFileIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "geo.mmdb")
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		d := Open(path)
		want(t, d, "81.2.69.142", "", Unreadable)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		place(t, path, file(t, "GeoIP2-Country-Test"))
		time.Sleep(checkEvery)
		want(t, d, "81.2.69.142", "GB", nil)
	})
}

// No lookup fails while the file changes under it between two good databases, a bad one and none.
func TestConcurrentLookupsWhileReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "geo.mmdb")
	files := [][]byte{file(t, "GeoIP2-Country-Test"), file(t, "GeoIP2-City-Test"), []byte("bad"), nil}
	place(t, path, files[0])
	d := Open(path)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			addr := netip.MustParseAddr("175.16.199.1")
			for {
				select {
				case <-stop:
					return
				default:
				}
				if country, err := d.Lookup(addr); country != "CN" || err != nil {
					t.Errorf("got %q, %v, want CN", country, err)
					return
				}
			}
		})
	}
	for i := range 200 {
		if data := files[i%len(files)]; data != nil {
			place(t, path, data)
		} else if err := os.Remove(path); err != nil {
			t.Error(err)
		}
		d.due.Store(0) // one of the lookups looks at the file now
		for d.due.Load() == 0 {
			want(t, d, "175.16.199.1", "CN", nil)
		}
	}
	close(stop)
	wg.Wait()
}

func TestErrorsHoldNoAddress(t *testing.T) {
	t.Parallel()
	d := open(t, "GeoIP2-Country-Test")
	for _, addr := range []string{"10.1.2.3", "203.0.113.9", "2001:db8::77"} {
		if _, err := d.Lookup(netip.MustParseAddr(addr)); err == nil || strings.Contains(err.Error(), addr) {
			t.Errorf("got %v, want a reason without the address", err)
		}
	}
}

// FuzzDamage changes a good database in one place, cuts its end off or not, and looks up in it.
func FuzzDamage(f *testing.F) {
	good := file(f, "GeoIP2-Country-Test")
	f.Add(uint32(0), []byte{0xff, 0xff, 0xff}, uint32(0))
	f.Add(uint32(len(good)-40), []byte{0xe0, 0x20, 0x20}, uint32(0))
	f.Add(uint32(len(good)/2), bytes.Repeat([]byte{0x20}, 64), uint32(0))
	f.Add(uint32(0), []byte{}, uint32(100))
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, cut uint32) {
		data := bytes.Clone(good)
		copy(data[int(at)%len(data):], patch)
		data = data[:len(data)-int(cut)%len(data)]
		check(t, data)
	})
}

// FuzzParse takes any bytes for a database.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"bad-corrupt-search-tree", "GeoLite2-ASN-Test", "GeoIP2-City-Test-Invalid-Node-Count"} {
		f.Add(file(f, name))
	}
	f.Add(retyped(f))
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data) })
}

// check wants a sound answer whatever the bytes: a country or a reason.
func check(t *testing.T, data []byte) {
	reader, r := parse(data)
	if (reader == nil) == (r == "") {
		t.Fatalf("got %v, %v, want a reader or a reason", reader, r)
	}
	if reader == nil {
		// What parse refuses must not panic either, as a database that is damaged where the sample did not look.
		if reader, _ = geoip2.OpenBytes(data); reader == nil {
			return
		}
	}
	for i := range uint32(64) {
		v4 := binary.BigEndian.AppendUint32(nil, i*0x04030201)
		v6 := append([]byte{0x2a, 0x02, 12 + 3: 0}, v4...)[4:]
		for _, b := range [][]byte{v4, v6} {
			addr, _ := netip.AddrFromSlice(b)
			if country, r := lookup(reader, addr); (len(country) == 2) == (r != "") {
				t.Fatalf("%v: got %q, %v, want a country or a reason", addr, country, r)
			}
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	d := open(b, "GeoIP2-City-Test")
	addr := netip.MustParseAddr("81.2.69.142")
	b.ReportAllocs()
	for b.Loop() {
		if country, err := d.Lookup(addr); country != "GB" {
			b.Fatal(country, err)
		}
	}
}
