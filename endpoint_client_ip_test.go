package holdfast_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/holdfast-ai/holdfast"
)

func TestClientIP(t *testing.T) {
	t.Parallel()
	const xff, fwd, real = "X-Forwarded-For", "Forwarded", "X-Real-Ip"
	type headers [][2]string
	const proxy = "10.0.0.1:4711"
	tests := []struct {
		name, peer string
		header     headers
		want       string // "" for an error
	}{
		// The peer itself.
		{"no header", "203.0.113.7:1234", nil, "203.0.113.7"},
		{"stranger's headers", "203.0.113.7:1234", headers{{xff, "1.2.3.4"}, {fwd, "for=1.2.3.4"}, {real, "1.2.3.4"}}, "203.0.113.7"},
		{"IPv6", "[2001:db8::7]:1234", nil, "2001:db8::7"},
		{"zone", "[fe80::1%eth0]:1234", nil, "fe80::1"},
		{"mapped", "[::ffff:203.0.113.7]:1234", nil, "203.0.113.7"},
		{"no port", "203.0.113.7", nil, "203.0.113.7"},
		{"Unix socket", "@", headers{{xff, "1.2.3.4"}}, ""},
		{"empty peer", "", nil, ""},
		{"host name", "client.example:80", nil, ""},
		{"proxy without header", proxy, nil, "10.0.0.1"},
		{"mapped proxy", "[::ffff:10.0.0.1]:4711", headers{{xff, "203.0.113.9"}}, "203.0.113.9"},
		{"proxy with zone", "[fd00::1%eth0]:4711", headers{{xff, "203.0.113.9"}}, "203.0.113.9"},

		// X-Forwarded-For.
		{"one", proxy, headers{{xff, "203.0.113.9"}}, "203.0.113.9"},
		{"past trusted", proxy, headers{{xff, "203.0.113.9, 10.0.0.2,10.0.0.3"}}, "203.0.113.9"},
		{"invented to the left", proxy, headers{{xff, "8.8.8.8, 203.0.113.9, 10.0.0.2"}}, "203.0.113.9"},
		{"trash to the left", proxy, headers{{xff, "';--, unknown, 203.0.113.9"}}, "203.0.113.9"},
		{"trusted behind invented", proxy, headers{{xff, "10.0.0.9, 8.8.8.8, 203.0.113.9"}}, "203.0.113.9"},
		{"all trusted", proxy, headers{{xff, "10.0.0.9, 10.0.0.2"}}, "10.0.0.9"},
		{"two lines", proxy, headers{{xff, "8.8.8.8"}, {xff, "203.0.113.9, 10.0.0.2"}}, "203.0.113.9"},
		{"across lines", proxy, headers{{xff, "203.0.113.9"}, {xff, "10.0.0.2"}}, "203.0.113.9"},
		{"empty elements", proxy, headers{{xff, "203.0.113.9,, ,"}, {xff, ""}}, "203.0.113.9"},
		{"empty", proxy, headers{{xff, ""}}, "10.0.0.1"},
		{"with port", proxy, headers{{xff, "203.0.113.9:5555"}}, "203.0.113.9"},
		{"IPv6 plain", proxy, headers{{xff, "2001:db8::9"}}, "2001:db8::9"},
		{"IPv6 brackets", proxy, headers{{xff, "[2001:db8::9]"}}, "2001:db8::9"},
		{"IPv6 port", proxy, headers{{xff, "[2001:db8::9]:5555"}}, "2001:db8::9"},
		{"IPv6 zone", proxy, headers{{xff, "[fe80::9%en0]:5555"}}, "fe80::9"},
		{"mapped entry", proxy, headers{{xff, "203.0.113.9, ::ffff:10.0.0.2"}}, "203.0.113.9"},
		{"unknown", proxy, headers{{xff, "203.0.113.9, unknown"}}, ""},
		{"unknown behind trusted", proxy, headers{{xff, "203.0.113.9, unknown, 10.0.0.2"}}, ""},
		{"no address", proxy, headers{{xff, "203.0.113"}}, ""},
		{"bad port", proxy, headers{{xff, "203.0.113.9:port"}}, ""},
		{"no port after colon", proxy, headers{{xff, "203.0.113.9:"}}, ""},
		{"bracket open", proxy, headers{{xff, "[2001:db8::9"}}, ""},
		{"bracket IPv4", proxy, headers{{xff, "[203.0.113.9]"}}, ""},
		{"trash after bracket", proxy, headers{{xff, "[2001:db8::9]x"}}, ""},
		{"leading zero", proxy, headers{{xff, "203.0.113.09"}}, ""},

		// Forwarded.
		{"for", proxy, headers{{fwd, "for=203.0.113.9"}}, "203.0.113.9"},
		{"all parameters", proxy, headers{{fwd, "For=203.0.113.9;proto=http; by=203.0.113.43 ;host=a"}}, "203.0.113.9"},
		{"quoted IPv6", proxy, headers{{fwd, `for="[2001:db8:cafe::17]:4711"`}}, "2001:db8:cafe::17"},
		{"quoted pair", proxy, headers{{fwd, `for="203.0.113\.9"`}}, "203.0.113.9"},
		{"unquoted port", proxy, headers{{fwd, "for=203.0.113.9:80"}}, "203.0.113.9"},
		{"obfuscated port", proxy, headers{{fwd, `for="203.0.113.9:_gazonk"`}}, "203.0.113.9"},
		{"list", proxy, headers{{fwd, "for=8.8.8.8, for=203.0.113.9;by=_x,for=10.0.0.2"}}, "203.0.113.9"},
		{"lines", proxy, headers{{fwd, "for=8.8.8.8, for=203.0.113.9"}, {fwd, "for=10.0.0.2"}}, "203.0.113.9"},
		{"comma in quotes", proxy, headers{{fwd, `for=203.0.113.9;host="a,for=8.8.8.8"`}}, "203.0.113.9"},
		{"unknown hop", proxy, headers{{fwd, "for=203.0.113.9, for=unknown"}}, ""},
		{"obfuscated hop", proxy, headers{{fwd, "for=203.0.113.9, for=_hidden"}}, ""},
		{"hop without for", proxy, headers{{fwd, "for=203.0.113.9, proto=https"}}, ""},
		{"obfuscated left", proxy, headers{{fwd, "for=_hidden, for=203.0.113.9"}}, "203.0.113.9"},
		{"for twice", proxy, headers{{fwd, "for=8.8.8.8;for=203.0.113.9"}}, ""},
		{"quote open", proxy, headers{{fwd, `for="203.0.113.9`}}, ""},
		{"swallowed by a quote", proxy, headers{{fwd, `for="8.8.8.8, for=203.0.113.9;by="x"`}}, ""},
		{"no value", proxy, headers{{fwd, "for"}}, ""},
		{"empty value", proxy, headers{{fwd, "for="}}, ""},
		{"empty Forwarded", proxy, headers{{fwd, " , ;"}}, "10.0.0.1"},

		// X-Real-IP, and several headers at once.
		{"real", proxy, headers{{real, "203.0.113.9"}}, "203.0.113.9"},
		{"real IPv6", proxy, headers{{real, " 2001:db8::9"}}, "2001:db8::9"},
		{"real twice", proxy, headers{{real, "203.0.113.9"}, {real, "203.0.113.9"}}, ""},
		{"real malformed", proxy, headers{{real, "me"}}, ""},
		{"real is a proxy", proxy, headers{{xff, "203.0.113.9, 10.0.0.2"}, {real, "10.0.0.2"}}, "203.0.113.9"},
		{"all agree", proxy, headers{{xff, "203.0.113.9"}, {fwd, "for=203.0.113.9"}, {real, "203.0.113.9"}}, "203.0.113.9"},
		{"Forwarded disagrees", proxy, headers{{xff, "203.0.113.9"}, {fwd, "for=8.8.8.8"}}, ""},
		{"real disagrees", proxy, headers{{xff, "203.0.113.9"}, {real, "8.8.8.8"}}, ""},
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{}}
			for _, h := range tt.header {
				r.Header.Add(h[0], h[1])
			}
			got, err := holdfast.ClientIP(r, trusted...)
			want := netip.Addr{}
			if tt.want != "" {
				want = netip.MustParseAddr(tt.want)
			}
			if got != want || (err != nil) != (tt.want == "") {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		})
	}
}

func TestClientIPTrustsNobodyByDefault(t *testing.T) {
	t.Parallel()
	r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {"203.0.113.9"}}}
	if got, err := holdfast.ClientIP(r); got != netip.MustParseAddr("10.0.0.1") || err != nil {
		t.Errorf("got %v, %v, want the peer", got, err)
	}
	mapped := netip.MustParsePrefix("::ffff:10.0.0.0/104")
	if got, err := holdfast.ClientIP(r, mapped); got != netip.MustParseAddr("203.0.113.9") || err != nil {
		t.Errorf("mapped range: got %v, %v, want 203.0.113.9", got, err)
	}
	if got, err := holdfast.ClientIP(r, netip.Prefix{}); got != netip.MustParseAddr("10.0.0.1") || err != nil {
		t.Errorf("zero range: got %v, %v, want the peer", got, err)
	}
}

// FuzzClientIP holds the promise that what a client sends cannot choose its address: the trusted proxy appends the true
// one, and the answer is that or an error.
func FuzzClientIP(f *testing.F) {
	for _, s := range []string{"", "1.2.3.4", `for="x`, "for=1.2.3.4;by=\"", ",,,", "[::1", "unknown", "10.0.0.9", `for="\`} {
		f.Add(s, s, s)
	}
	trusted := netip.MustParsePrefix("10.0.0.0/8")
	client := netip.MustParseAddr("203.0.113.9")
	f.Fuzz(func(t *testing.T, xff, forwarded, real string) {
		check := func(h http.Header) {
			got, err := holdfast.ClientIP(&http.Request{RemoteAddr: "10.0.0.1:80", Header: h}, trusted)
			if (err != nil || got != client) && (err == nil || got.IsValid()) {
				t.Errorf("%q: got %v, %v, want %v or an error", h, got, err, client)
			}
		}
		check(http.Header{"X-Forwarded-For": {xff + ", " + client.String()}, "Forwarded": {forwarded}, "X-Real-Ip": {real}})
		check(http.Header{"X-Forwarded-For": {xff, client.String()}, "X-Real-Ip": {real}})
		check(http.Header{"Forwarded": {forwarded, "for=" + client.String()}, "X-Forwarded-For": {xff}})
		check(http.Header{"Forwarded": {forwarded + ", for=" + client.String()}})
		check(http.Header{"X-Real-Ip": {client.String()}, "X-Forwarded-For": {xff}, "Forwarded": {forwarded}})
	})
}

// A service behind its own proxies asks on behalf of its client.
func ExampleClientIP() {
	proxies := netip.MustParsePrefix("10.0.0.0/8")
	handler := func(_ http.ResponseWriter, r *http.Request) {
		addr, err := holdfast.ClientIP(r, proxies)
		if err != nil {
			fmt.Println(err) // addr is the zero Addr: the country is unknown and the fallback endpoint comes first
		}
		fmt.Println(addr)
		ctx := holdfast.WithClientIP(r.Context(), addr)
		_ = ctx // client.Chat(ctx, request)
	}

	r := httptest.NewRequest(http.MethodGet, "/ask", strings.NewReader(""))
	r.RemoteAddr = "10.0.0.1:51234"
	r.Header.Set("X-Forwarded-For", "198.51.100.1, 203.0.113.9, 10.0.0.2") // the first one the client made up
	handler(nil, r)
	r.Header.Set("X-Real-IP", "198.51.100.1")
	handler(nil, r)
	// Output:
	// 203.0.113.9
	// holdfast: client address: the forwarding headers name different clients
	// invalid IP
}
