package holdfasttest

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"unicode/utf8"
)

// A player sends the events of one stream.
type player struct {
	x   *exchange
	a   *answer
	p   *problem // the error for ErrorInStream
	out io.Writer
	zip *gzip.Writer

	array  bool // a JSON array instead of server-sent events
	begun  bool
	events int // that the client has, keep-alives aside
	sent   int // pieces of content
	struck bool
}

// An arrayForm can send its stream as one JSON array, a piece at a time.
type arrayForm interface{ array() bool }

func inPieces(f form) bool {
	a, ok := f.(arrayForm)
	return ok && a.array()
}

func (x *exchange) stream(a *answer, p *problem) {
	pl := &player{x: x, a: a, p: p, out: x.w, events: a.ask.had}
	contentType := x.contentType(a)
	if inPieces(a.ask.form) {
		pl.array, contentType = true, "application/json; charset=UTF-8"
	}
	x.head(a, status(a), contentType, nil)
	if a.Fault == WrongLength {
		x.w.Header().Set("Content-Length", "100000000")
	}
	if a.Gzip {
		pl.zip = gzip.NewWriter(x.w)
		pl.out = pl.zip
	}
	x.begin(a, status(a))
	x.flush()
	if pl.play(a.ask.form.events(a)) {
		pl.end()
	}
}

// play sends the events. It reports whether the client is still there.
func (pl *player) play(events []event) bool {
	if pl.a.Framing&BOM != 0 && pl.write([]byte("\ufeff")) != nil {
		return false
	}
	for i, ev := range events {
		if pl.a.Fault == NoTerminator && ev.part >= terminator || (pl.a.Fault == NoDone || pl.a.Fault == StayOpen) && ev.part == done {
			continue
		}
		if ev.part != frame && pl.due(ev) && pl.strike() {
			return true
		}
		if ev.part == content && !pl.pause() {
			return false
		}
		if pl.send(ev, i == len(events)-1) != nil {
			return false
		}
		pl.events++
		if ev.part == content {
			pl.sent++
			pl.x.note(func(r *Request) { r.Chunks = pl.sent })
		}
	}
	return true
}

func (pl *player) due(ev event) bool {
	return !pl.struck && (pl.sent >= pl.a.After || ev.part != content)
}

// strike lets the fault happen. It reports whether the stream ends by it.
func (pl *player) strike() bool {
	pl.struck = true
	a := pl.a
	switch a.Fault {
	case EndEarly:
		return true
	case MalformedEvent:
		broken := event{name: "message", data: `{"type":"content_block_delta","index":0,"choices":[{"delta":{"content":`}
		return pl.send(broken, false) != nil
	case ErrorInStream, Failed:
		ev := a.ask.form.failure(pl.p, pl.x.n, pl.events)
		if f, ok := a.ask.form.(failing); ok && a.Fault == Failed {
			ev = newEvent(frame, "response.failed", object{"type", "response.failed", "sequence_number", pl.events, "response", f.failed(a, pl.p)})
		}
		_ = pl.send(ev, true) // whoever left misses it
		return true
	case CutFIN, CutRST, Stall, KeepAlivesOnly:
		pl.x.strike(a, pl.alive)
	}
	return false
}

// pause waits before a piece of content.
func (pl *player) pause() bool {
	d := pl.a.Between
	if pl.sent == 0 {
		d = pl.a.BeforeFirst
	}
	return pl.x.wait(d, &lifeSigns{pl.a.KeepAlive, pl.alive})
}

func (pl *player) alive() error { return pl.send(pl.a.ask.form.ping(), false) }

func (pl *player) end() {
	if pl.array {
		_ = pl.write([]byte("]\n"))
	}
	if pl.zip != nil {
		_ = pl.zip.Close() // an error is the client's leaving, which finish sees
	}
	pl.x.finish(nil)
	if pl.a.Fault == StayOpen {
		pl.x.flush()
		<-pl.x.r.Context().Done()
	}
}

// send writes one event and flushes it.
func (pl *player) send(ev event, last bool) error {
	b := pl.layOut(ev, last)
	at := len(b)
	if pl.a.Framing&SplitRunes != 0 {
		at = bytes.IndexFunc(b, func(r rune) bool { return r >= utf8.RuneSelf }) + 1
	}
	if err := pl.write(b[:at]); err != nil || at == len(b) {
		return err
	}
	return pl.write(b[at:])
}

func (pl *player) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	var err error
	if pl.zip == nil {
		err = pl.x.write(pl.a, b)
	} else if _, err = pl.zip.Write(b); err == nil {
		err = pl.zip.Flush()
	}
	pl.x.flush()
	return err
}

// layOut returns an event in the framing of the stream.
func (pl *player) layOut(ev event, last bool) []byte {
	if pl.array {
		between := ",\r\n"
		if !pl.begun {
			pl.begun, between = true, "["
		}
		return []byte(between + ev.data)
	}
	f := pl.a.Framing
	colon, line := ": ", "\n"
	if f&NoSpace != 0 {
		colon = ":"
	}
	if f&CR != 0 {
		line = "\r"
	}
	if f&CRLF != 0 {
		line = "\r\n"
	}
	var b strings.Builder
	if f&Comments != 0 || ev.data == "" {
		b.WriteString(": keep-alive" + line)
		if ev.data == "" {
			return []byte(b.String() + line)
		}
	}
	if f&ManyFields != 0 {
		b.WriteString("id" + colon + "7" + line + "retry" + colon + "3000" + line)
	}
	if ev.name != "" {
		b.WriteString("event" + colon + ev.name + line)
	}
	b.WriteString("data" + colon + ev.data + line)
	if f&NoLastBlank == 0 || !last {
		b.WriteString(line)
	}
	return []byte(b.String())
}
