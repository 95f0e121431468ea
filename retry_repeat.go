package holdfast

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// errBefore stands for the failure that led to a repeat.
var errBefore = errors.New("the attempt before failed")

// repeat sends the exchange once more, after a wait, through go-retryablehttp. Its first try is the one that has already failed: so a
// call that needs no repeat pays nothing for the possibility. The verdict was made before; its hooks carry it out.
//
// sending is called when the wait is over.
func (x *exchange) repeat(ctx context.Context, wait time.Duration, sending func()) (*http.Response, error) {
	// Headers may leave before any of the body does.
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { x.sent.Store(true) }})
	req, err := x.request(ctx)
	if err != nil {
		return nil, err
	}
	again, err := retryablehttp.FromRequest(req)
	if err != nil {
		return nil, err
	}
	// A function that opens our own buffer: the body is not copied.
	if err := again.SetBody(retryablehttp.ReaderFunc(func() (io.Reader, error) { return x.open(), nil })); err != nil {
		return nil, err
	}
	again.GetBody = nil
	failed := false
	client := retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				if !failed {
					failed = true
					_ = r.Body.Close()
					return nil, errBefore
				}
				sending()
				x.run.clock.sent() // nothing tells when it is written
				return x.roundTrip(r)
			}),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax: 1,
		CheckRetry: func(ctx context.Context, _ *http.Response, err error) (bool, error) {
			return errors.Is(err, errBefore) && ctx.Err() == nil, nil
		},
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return wait },
		PrepareRetry: func(r *http.Request) error { return x.sign(ctx, r) },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return client.Do(again)
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
