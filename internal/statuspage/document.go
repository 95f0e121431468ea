package statuspage

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// document is HTML that grows.
type document struct{ html []byte }

// markup is HTML of our own. Constants convert to it by themselves and nothing else does, so that no foreign text is ever taken for it.
type markup string

// put appends markup in which each {} is replaced by the next text, escaped: within an element, or within an attribute in double quotes.
func (d *document) put(m markup, texts ...string) {
	rest := string(m)
	for _, text := range texts {
		before, after, _ := strings.Cut(rest, "{}")
		d.html = append(d.html, before...)
		d.text(text)
		rest = after
	}
	d.html = append(d.html, rest...)
}

// text appends a text, escaped. What HTML has no place for becomes the replacement character.
func (d *document) text(s string) {
	for _, r := range s {
		switch {
		case r == '&':
			d.html = append(d.html, "&amp;"...)
		case r == '<':
			d.html = append(d.html, "&lt;"...)
		case r == '>':
			d.html = append(d.html, "&gt;"...)
		case r == '"':
			d.html = append(d.html, "&#34;"...)
		case r == '\'':
			d.html = append(d.html, "&#39;"...)
		case r < ' ' && r != '\t' && r != '\n', r >= 0x7f && r < 0xa0:
			d.html = utf8.AppendRune(d.html, utf8.RuneError)
		default:
			d.html = utf8.AppendRune(d.html, r)
		}
	}
}

// figure appends a number that readers and tests find by its name.
func (d *document) figure(name, text string) {
	d.put(`<span data-figure="{}">{}</span>`, name, text)
}

// number appends a coordinate.
func (d *document) number(f float64) {
	d.html = strconv.AppendFloat(d.html, math.Round(f*10)/10, 'f', -1, 64)
}
