// Package scrub cleans text that a server wrote before it may stand in an error or a log.
package scrub

import (
	"encoding/json"
	"html"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Redacted stands for what was taken out.
const Redacted = "[redacted]"

// window is the length in bytes from which a match with something sent counts as a quotation of it.
const window = 12

// keys matches what looks like a credential, also half masked as some providers echo it, and long runs of base64: an image that was
// sent, or an opaque token.
var keys = regexp.MustCompile(`(?i)\b(?:sk|pk|rk|gsk|xai|key|hf|pplx|nvapi|r8|fw|csk|tgp|sess|eyJ)[-_][A-Za-z0-9_*.\-]{6,}|AIza[A-Za-z0-9_*\-]{6,}|\beyJ[A-Za-z0-9_\-]{10,}[.A-Za-z0-9_\-]*|(?i:bearer|basic)\s+[A-Za-z0-9_.~+/*=\-]{6,}|[A-Za-z0-9_\-]{3,}\*{3,}[A-Za-z0-9_\-]*|[A-Za-z0-9+/_\-]{64,}=*`)

// Clean returns text on one line, at most limit bytes long, with everything taken out that looks like a credential, equals one
// of the secrets, or quotes any of what was sent (at least 12 bytes in a row, or all of a shorter one of at least 5).
func Clean(text string, limit int, secrets, sent []string) string {
	if text == "" {
		return ""
	}
	text = text[:min(len(text), 4*limit)]
	if hasEscapes(text) {
		text, sent = unescape(text), alsoUnescaped(sent)
	}
	text = oneLine(text, len(text))
	for _, s := range secrets {
		if s != "" {
			text = withoutBeginning(strings.ReplaceAll(text, s, Redacted), s)
		}
	}
	text = keys.ReplaceAllString(text, Redacted)
	text = strings.ToValidUTF8(withoutQuotes(text, sent), "") // a cut may go through a character
	if len(text) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}

// leastBeginning is the length in bytes from which a text's end counts as the beginning of a secret that was cut in two.
const leastBeginning = 6

// withoutBeginning takes off the end of text what a secret begins with.
func withoutBeginning(text, secret string) string {
	for n := min(len(secret), len(text)); n >= leastBeginning; n-- {
		if strings.HasSuffix(text, secret[:n]) {
			return text[:len(text)-n] + Redacted
		}
	}
	return text
}

// escapes matches the escapes of JSON strings, two UTF-16 halves of a character together.
var escapes = regexp.MustCompile(`\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|["\\/bfnrt])`)

// unescape undoes the escapes of JSON and HTML, so that what a server quotes from inside a document is recognised.
func unescape(text string) string {
	text = escapes.ReplaceAllStringFunc(text, func(s string) string {
		var plain string
		if json.Unmarshal([]byte(`"`+s+`"`), &plain) != nil {
			return s
		}
		return plain
	})
	return html.UnescapeString(text)
}

func hasEscapes(text string) bool { return strings.ContainsAny(text, `\&`) }

// alsoUnescaped adds what a text that was sent becomes when it is quoted as it stands and taken for escaped.
func alsoUnescaped(sent []string) []string {
	both := slices.Clip(sent)
	for _, s := range sent {
		if hasEscapes(s) {
			both = append(both, unescape(s))
		}
	}
	return both
}

// oneLine folds white space, drops control characters and makes the text valid UTF-8, reading at most limit bytes of it.
func oneLine(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	var b strings.Builder
	space := false
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case !unicode.IsPrint(r):
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// withoutQuotes takes out of text what also stands in one of the sent texts.
func withoutQuotes(text string, sent []string) string {
	marked := make([]bool, len(text))
	found := false
	for _, s := range sent {
		if len(s) < 5 {
			continue
		}
		folded := oneLine(s, len(s))
		if len(folded) < window {
			for from := 0; folded != ""; {
				n := strings.Index(text[from:], folded)
				if n < 0 {
					break
				}
				mark(marked, from+n, len(folded))
				from, found = from+n+len(folded), true
			}
			continue
		}
		found = markQuotes(marked, text, folded) || found
	}
	if !found {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if !marked[i] {
			b.WriteByte(text[i])
			i++
			continue
		}
		b.WriteString(Redacted)
		for i < len(text) && marked[i] {
			i++
		}
	}
	return b.String()
}

func mark(marked []bool, at, n int) {
	for i := at; i < at+n; i++ {
		marked[i] = true
	}
}

// markQuotes marks every window of text that also stands in sent, in one pass over each: the windows of text are hashed, and
// a hash rolls over sent.
func markQuotes(marked []bool, text, sent string) bool {
	if len(text) < window || len(sent) < window {
		return false
	}
	const base = 1099511628211
	var high uint64 = 1
	for range window - 1 {
		high *= base
	}
	at := map[uint64][]int{}
	roll(text, base, high, func(i int, h uint64) { at[h] = append(at[h], i) })
	found := false
	roll(sent, base, high, func(i int, h uint64) {
		// What was found once is forgotten, so that text of one repeated character costs no more than any other.
		positions, ok := at[h]
		if !ok {
			return
		}
		rest := positions[:0]
		for _, j := range positions {
			if text[j:j+window] != sent[i:i+window] {
				rest = append(rest, j)
				continue
			}
			mark(marked, j, window)
			found = true
		}
		if len(rest) == 0 {
			delete(at, h)
		} else {
			at[h] = rest
		}
	})
	return found
}

func roll(s string, base, high uint64, visit func(i int, hash uint64)) {
	var h uint64
	for i := range len(s) {
		if i >= window {
			h -= uint64(s[i-window]) * high
		}
		h = h*base + uint64(s[i])
		if i >= window-1 {
			visit(i-window+1, h)
		}
	}
}
