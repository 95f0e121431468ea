package holdfast

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	// maxErrorBody is how much of a failed answer is read. If that is all of it, the connection can be used again.
	maxErrorBody = 64 << 10
	// errorBodyTime is how long it may take: the head has said that it failed, and others are waiting to be asked.
	errorBodyTime = 2 * time.Second
)

// failedBody reads the body of a failed answer as far as it is worth it.
func failedBody(resp *http.Response) []byte {
	timer := time.AfterFunc(errorBodyTime, func() { _ = resp.Body.Close() })
	defer timer.Stop()
	body, err := unzipped(resp)
	if err != nil {
		return nil
	}
	raw, _ := io.ReadAll(io.LimitReader(body, maxErrorBody))
	return raw
}

// failure reads a failed answer: the dialect's own error if it is one, else what the status and the form of the body say.
func (x *exchange) failure(resp *http.Response) *Error {
	raw := failedBody(resp)
	form := formOf(resp.Header)
	if form != formForeign || looksLikeJSON(raw) {
		if e := x.adapter.DecodeError(resp.StatusCode, resp.Header, raw); e != nil {
			e = ownError(e, kindOfStatus(resp.StatusCode, false))
			e.Phase = PhaseHeaders
			return e
		}
	}
	foreign := form == formForeign || !json.Valid(raw)
	e := &Error{Kind: kindOfStatus(resp.StatusCode, foreign), Phase: PhaseHeaders, foreign: foreign}
	if e.Kind != KindRedirect {
		e.Message = snippet(resp, raw)
	}
	return e
}

// foreignPage is the error for a success that is no answer: a page of a portal, a proxy or a login.
func foreignPage(resp *http.Response) *Error {
	return &Error{Kind: KindIntercepted, Phase: PhaseFirstEvent, Message: snippet(resp, failedBody(resp)), foreign: true}
}

const maxSnippet = 512

// snippet describes a body that is nobody's error: its type and its beginning, cleaned later. What may be an answer is not quoted.
func snippet(resp *http.Response, raw []byte) string {
	kind := cmp.Or(resp.Header.Get("Content-Type"), "no content type")
	text := bytes.TrimSpace(raw[:min(len(raw), maxSnippet)])
	failed := resp.StatusCode < 200 || resp.StatusCode > 299
	switch {
	case len(text) == 0:
		return "got " + kind + " with an empty body"
	case strings.Contains(kind, "html"), failed && !strings.Contains(kind, "event-stream"):
		return "got " + kind + ": " + string(text)
	}
	return "got " + kind
}

func looksLikeJSON(raw []byte) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && (raw[0] == '{' || raw[0] == '[')
}

// form is the shape of a body by its Content-Type.
type form uint8

const (
	formJSON form = iota
	formStream
	formForeign
)

func formOf(h http.Header) form {
	value := h.Get("Content-Type")
	switch value {
	case "application/json", "":
		return formJSON
	case "text/event-stream", "text/event-stream; charset=utf-8":
		return formStream
	}
	media, _, err := mime.ParseMediaType(value)
	switch {
	case err != nil:
		return formForeign
	case media == "text/event-stream":
		return formStream
	case strings.HasSuffix(media, "json"):
		return formJSON
	}
	return formForeign
}

// unzipped undoes the compression that some proxies add although none was asked for.
func unzipped(resp *http.Response) (io.Reader, error) {
	switch strings.ToLower(resp.Header.Get("Content-Encoding")) {
	case "", "identity":
		return resp.Body, nil
	case "gzip", "x-gzip":
		body, err := gzip.NewReader(resp.Body)
		if err == io.EOF {
			return http.NoBody, nil
		}
		return body, err
	}
	return nil, errEncoding
}

var errEncoding = errors.New("unknown content encoding")

// encodingError judges a body that cannot be unpacked.
func encodingError(ctx context.Context, err error) *Error {
	if err == errEncoding || err == gzip.ErrHeader {
		return &Error{Kind: KindMalformed, Phase: PhaseFirstEvent, Message: "the answer's Content-Encoding cannot be undone", Err: err}
	}
	return bodyError(ctx, err, PhaseFirstEvent)
}
