package scrub_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/holdfast-ai/holdfast/internal/scrub"
)

func TestClean(t *testing.T) {
	t.Parallel()
	sent := []string{"My name is Åsa Öberg and my secret is 4711", "pizza", "ok"}
	for _, c := range []struct{ name, in, want string }{
		{"nothing to hide", "Overloaded", "Overloaded"},
		{"empty", "", ""},
		{"one line", "a\r\n\tb  c\x00\x1b[31m", "a b c[31m"},
		{"not UTF-8", "a\xffb", "a\uFFFDb"},
		{"a secret of ours", "key s3cr3t-v4lue is wrong", "key [redacted] is wrong"},
		{"a key", "Incorrect API key provided: sk-proj-abcdef123456.", "Incorrect API key provided: [redacted]"},
		{"half a key", "Incorrect API key provided: sk-proj-****************cdef", "Incorrect API key provided: [redacted]"},
		{"a Google key", "API key AIzaSyA1234567890 not valid", "API key [redacted] not valid"},
		{"a bearer token", "bad Authorization: Bearer abcdefgh12345", "bad Authorization: [redacted]"},
		{"a quotation", "Invalid value: 'my secret is 4711'", "Invalid value: '[redacted]'"},
		{"a quotation over a line", "Invalid: Åsa Öberg\nand my secret", "Invalid:[redacted]"},
		{"a short text, whole", "the word pizza is not allowed", "the word [redacted] is not allowed"},
		{"too short to matter", "not ok", "not ok"},
		{"what only looks alike", "My name is unknown", "My name is unknown"},
	} {
		if got := scrub.Clean(c.in, 200, []string{"s3cr3t-v4lue", ""}, sent); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// What is quoted from inside a document of JSON or HTML, cut in two, or encoded, is a quotation still.
func TestCleanFindsWhatIsEncoded(t *testing.T) {
	t.Parallel()
	sent := []string{"Who lives in the little house by the river?\nTell me everything you know. 你住在哪里，我的朋友？", `a\nb\tc\nd\te\nf\tg\nh\ti`}
	for _, c := range []struct{ name, in, want string }{
		{"a secret that was cut", "token gateway-t", "token [redacted]"},
		{"a secret in JSON", `{"token":"gateway\u002dtoken\u002d42"}`, `{"token":"[redacted]"}`},
		{"base64", "bad image: " + strings.Repeat("iVBORw0KGgo/", 8) + "== at parts[0]", "bad image: [redacted] at parts[0]"},
		{"an address is not base64", "see https://docs.example.com/guides/errors", "see https://docs.example.com/guides/errors"},
		{"JSON", `{"content":"little house by the river?\nTell me everything"}`, `{"content":"[redacted]"}`},
		{"\\u", `{"content":"\u4f60\u4f4f\u5728\u54ea\u91cc\uff0c\u6211\u7684"}`, `{"content":"[redacted]"}`},
		{"HTML", "<p>&#20320;&#20303;&#22312;&#21738;&#37324;&#65292;&#25105;</p>", "<p>[redacted]</p>"},
		{"escapes that were sent so", `got a\nb\tc\nd\te\nf\tg\nh\ti here`, "got [redacted] here"},
		{"broken escapes", `a \q \u12 \ud83d b &nosuch; c`, `a \q \u12 ` + "\uFFFD" + ` b &nosuch; c`},
	} {
		if got := scrub.Clean(c.in, 200, []string{"gateway-token-42"}, sent); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCleanIsBounded(t *testing.T) {
	t.Parallel()
	got := scrub.Clean(strings.Repeat("é", 1000), 101, nil, nil)
	if len(got) > 101+len("…") || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
		t.Errorf("got %d bytes %q, want at most 101 and a sign that there was more", len(got), got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("the word pizza is not allowed", "s3cr3t", "pizza with everything on it")
	f.Add(`{"a":"pizza with \\n ev\u0065rything"}`, "pizza", `pizza with \n everything &amp; all`)
	f.Add("sk-abc\xff****", "x", "\xff\xfe")
	f.Fuzz(func(t *testing.T, text, secret, sent string) {
		got := scrub.Clean(text, 300, []string{secret}, []string{sent})
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("got %q, want one printable line", got)
		}
		for i := 0; i+24 <= len(sent) && utf8.ValidString(sent); i++ {
			window := sent[i : i+24]
			if strings.Contains(got, window) && !strings.Contains(scrub.Redacted, window) && strings.TrimSpace(window) == window {
				t.Errorf("%q is left of what was sent in %q", window, got)
			}
		}
	})
}

// A long prompt must not make its error expensive.
func BenchmarkClean(b *testing.B) {
	for name, sent := range map[string]string{
		"prose":         strings.Repeat("The quick brown fox jumps over the lazy dog. ", 25_000),
		"one character": strings.Repeat("a", 1<<20),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				scrub.Clean(strings.Repeat("a", 1200), 300, []string{"a-secret"}, []string{sent})
			}
		})
	}
}
