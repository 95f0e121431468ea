package statuspage

import "strconv"

func (d *document) head(p *Page) {
	title := "holdfast"
	if n := len(p.Endpoints); n > 0 {
		title = strconv.Itoa(p.available()) + "/" + strconv.Itoa(n) + " available · holdfast"
	}
	d.put(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex"><meta name="referrer" content="no-referrer"><link rel="icon" href="{}">
<noscript><meta http-equiv="refresh" content="10"></noscript>
<style>`, title, icon)
	d.html = append(d.html, style...)
	d.put(`</style></head><body>
<header class=top><p class=mark>`)
	d.put(glyph)
	d.put(`holdfast</p>
<p class=clock>as of <time datetime="{}" data-figure="at">{}</time></p>
<p class=controls><span id=pulse role=status data-keep></span><button id=pause type=button hidden data-keep>Pause</button>
<a href="">Reload</a><a href="?format=json">JSON</a></p></header>
<main data-holdfast>`, p.At.Format("2006-01-02T15:04:05Z07:00"), p.At.Format("15:04:05 MST"))
}

// glyph is a stalk that holds on to three strands.
const glyph markup = `<svg class=glyph viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="M8 1v6M8 7c0 4-5 3-6 8M8 7v8M8 7c0 4 5 3 6 8"/></svg>`

// icon is the same for the browser's tab.
const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M8 1v6M8 7c0 4-5 3-6 8M8 7v8M8 7c0 4 5 3 6 8' fill='none' stroke='%232f7d6b' stroke-width='2' stroke-linecap='round'/%3E%3C/svg%3E"

func (d *document) foot() {
	d.put(`
<footer><details><summary>How to read this page</summary><dl class=words>
<div><dt>Score</dt><dd>What it costs to ask an endpoint, in seconds of waiting. Among the endpoints of the lowest tier that can be asked, the one with the least is asked first.</dd></div>
<div><dt>Latency</dt><dd>The median time to the first content, or to the end of an answer in one piece.</dd></div>
<div><dt>Failures</dt><dd>Two seconds for each failure per attempt.</dd></div>
<div><dt>Price</dt><dd>Half a second for each time that the price exceeds that of the cheapest.</dd></div>
<div><dt>Limits</dt><dd>Up to 0.3 seconds when less than a fifth of a rate limit is left.</dd></div>
<div><dt>Open</dt><dd>Three failures in a row open the breaker: only probes are sent there, and two good ones close it.</dd></div>
<div><dt>Suspect</dt><dd>Open, but it answered within the last five seconds: asked where nobody else can be.</dd></div>
<div><dt>Blocked</dt><dd>The account, or its use of a model, must not be used for the reason given.</dd></div>
<div><dt>Untried</dt><dd>Nothing is known yet: the score is what the configuration expects.</dd></div>
</dl></details><p>This page holds no key, prompt or answer.</p></footer>
<script>`)
	d.html = append(d.html, script...)
	d.put("</script></body></html>\n")
}
