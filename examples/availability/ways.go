package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-ai/holdfast"
)

// outcome is what became of one request.
type outcome struct {
	from     int           // the endpoint that answered, whole; nobody if none did
	first    time.Duration // from the request to the first content
	attempts int
}

const nobody = -1

// way is a way to ask: for an answer to the request of that number, before the context's deadline.
type way struct {
	name string
	ask  func(ctx context.Context, n int) outcome
}

// alone asks one endpoint, once.
func (s *stage) alone(endpoint int) way {
	client := s.plain()
	return way{endpoints[endpoint].title, func(ctx context.Context, n int) outcome {
		first, err := client.call(ctx, s.servers[endpoint].URL, n)
		if err != nil {
			return outcome{from: nobody, attempts: 1}
		}
		return outcome{endpoint, first, 1}
	}}
}

// inOrder is the loop that teams write: the endpoints in their order, a try at each, so that a request has three retries. A try that took too
// long is given up.
func (s *stage) inOrder() way {
	client := s.plain()
	return way{"in order, three retries", func(ctx context.Context, n int) outcome {
		begun := time.Now()
		for i, server := range s.servers {
			tryCtx, cancel := context.WithTimeout(ctx, s.world.patience)
			before := time.Since(begun)
			first, err := client.call(tryCtx, server.URL, n)
			cancel()
			if err == nil {
				return outcome{i, before + first, i + 1}
			}
			if ctx.Err() != nil {
				return outcome{from: nobody, attempts: i + 1}
			}
		}
		return outcome{from: nobody, attempts: len(s.servers)}
	}}
}

// client knows no more than the four URLs.
func (s *stage) client() (*holdfast.Client, error) {
	config := holdfast.Config{Dial: s.dial}
	for i, e := range endpoints {
		config.Endpoints = append(config.Endpoints, holdfast.Endpoint{
			Name: e.name, Provider: "claude", URL: s.servers[i].URL, KeySource: holdfast.Literal("a-key"), Proxy: "direct",
			Models: map[string]string{"default": model},
		})
	}
	return holdfast.New(config)
}

// holdfastOver leaves it all to a client.
func holdfastOver(client *holdfast.Client) way {
	return way{"holdfast", func(ctx context.Context, n int) outcome { return read(ctx, client, n) }}
}

// read reads an answer as any program does.
func read(ctx context.Context, client *holdfast.Client, n int) outcome {
	begun, o := time.Now(), outcome{from: nobody}
	for event, err := range client.Stream(ctx, &holdfast.ChatRequest{Messages: holdfast.Ask(question(n))}) {
		if err != nil {
			if e, ok := errors.AsType[*holdfast.Error](err); ok {
				o.attempts = len(e.Trail.Attempts)
			}
			return o
		}
		if event.Type == holdfast.EventText && o.first == 0 {
			o.first = time.Since(begun)
		}
		if answer := event.Response; event.Type == holdfast.EventEnd {
			o.attempts = len(answer.Trail.Attempts)
			if answer.Text() == text {
				o.from = slices.IndexFunc(endpoints, func(e endpoint) bool { return e.name == answer.Endpoint })
			}
		}
	}
	return o
}

// oracle is what nobody can beat without luck: it knows who is up, and takes of those the endpoint that is the fastest as a rule. It
// asks nobody: what becomes of the requests that are measured is computed from the world.
func (w *world) oracle() []outcome {
	var list []outcome
	for n := w.unmeasured(); n < len(w.arrivals); n++ {
		o := outcome{from: w.fastest(w.arrivals[n])}
		if o.from != nobody {
			o.first, o.attempts = w.first(o.from, uint64(n)), 1
		}
		list = append(list, o)
	}
	return list
}

// fastest returns the endpoint of the smallest median among those that are up.
func (w *world) fastest(at time.Duration) int {
	best := nobody
	for i, e := range endpoints {
		if w.state(i, at) == up && (best == nobody || e.median < endpoints[best].median) {
			best = i
		}
	}
	return best
}

// caller is a careful HTTP client without any second thought. It keeps no connections: net/http would give one to whoever has waited
// longest, so that some requests of an outage would be answered behind it.
type caller struct{ http *http.Client }

func (s *stage) plain() caller {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, s.world.deadline) // net/http's own may go on when the request is over
		defer cancel()
		return s.dial(ctx, network, addr)
	}}
	return caller{&http.Client{Transport: transport}}
}

const model = "claude-opus-5-5"

// call asks once and reads the answer to its end. It returns how long the first content took.
func (c caller) call(ctx context.Context, url string, n int) (first time.Duration, err error) {
	begun := time.Now()
	body := fmt.Sprintf(`{"model":%q,"max_tokens":100,"stream":true,"messages":[{"role":"user","content":%q}]}`, model, question(n))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/messages", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "X-Api-Key": {"a-key"}, "Anthropic-Version": {"2023-06-01"}}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, errors.New(resp.Status)
	}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		switch {
		case first == 0 && strings.HasPrefix(lines.Text(), "event: content_block_delta"):
			first = time.Since(begun)
		case strings.HasPrefix(lines.Text(), "event: message_stop"):
			return first, nil
		}
	}
	return 0, errors.New("the answer is cut off")
}

// drive sends every request of the world, at its time, along every way, however many are under way, and waits for them all. It returns what
// became of those that are measured, by way.
func (w *world) drive(ctx context.Context, ways []way) ([][]outcome, error) {
	results := make([][]outcome, len(ways))
	for i := range results {
		results[i] = make([]outcome, len(w.arrivals))
	}
	var all sync.WaitGroup
	w.began = time.Now().Add(w.warmup)
	for n, at := range w.arrivals {
		select {
		case <-time.After(time.Until(w.began.Add(at))):
		case <-ctx.Done():
			all.Wait()
			return nil, ctx.Err()
		}
		for i, way := range ways {
			all.Go(func() {
				own, cancel := context.WithTimeout(ctx, w.deadline)
				defer cancel()
				results[i][n] = way.ask(own, n)
			})
		}
	}
	all.Wait()
	for i := range results {
		results[i] = results[i][w.unmeasured():]
	}
	return results, nil
}

// unmeasured is how many requests belong to the warm-up.
func (w *world) unmeasured() int {
	n, _ := slices.BinarySearch(w.arrivals, 0)
	return n
}
