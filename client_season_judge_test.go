package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/internal/score"
)

// call makes one call and judges it.
func (s *season) call(c *seasonCall) (*holdfast.ChatResponse, error) {
	ctx := holdfast.WithClientIP(context.WithValue(s.Context(), seasonKey{}, c), netip.MustParseAddr(seasonAddresses[c.country]))
	end := time.Now().Add(10 * time.Minute)
	for i, d := range []time.Duration{s.conf.Timeout, c.limit, c.cancel} {
		if d == 0 {
			continue
		}
		var cancel context.CancelFunc
		switch i {
		case 1:
			ctx, cancel = context.WithTimeout(ctx, d)
			defer cancel()
		case 2:
			ctx, cancel = context.WithCancel(ctx)
			defer cancel()
			defer time.AfterFunc(d, cancel).Stop()
		}
		if at := time.Now().Add(d); at.Before(end) {
			end = at
		}
	}
	req := &holdfast.ChatRequest{Messages: holdfast.Ask(fmt.Sprintf("Tell story %d!", c.id)), Model: c.model, Residency: c.residency, Rescue: c.rescue}
	if c.tools {
		req.Tools = []holdfast.Tool{{Name: "look", Schema: json.RawMessage(`{"type":"object","properties":{}}`)}}
		req.Reasoning.Effort, req.Hints = holdfast.EffortOff, []string{"reasoning"}
	}
	if c.way == unary {
		req.MaxOutputTokens = 1000
	}
	var shown string
	var answer *holdfast.ChatResponse
	var err error
	if c.way == stream {
		shown, _, answer, err = read(firstOf(c.leave, s.client.Stream(ctx, req)))
	} else {
		answer, err = s.client.Chat(ctx, req)
		shown = textOf(answer)
	}
	if late := time.Since(end); late > 100*time.Millisecond {
		s.fault("call %d ended %v late: %v", c.id, late, err)
	}
	s.judge(c, shown, answer, err)
	return answer, err
}

// firstOf leaves a stream after n events, if n is not 0.
func firstOf(n int, events iter.Seq2[holdfast.Event, error]) iter.Seq2[holdfast.Event, error] {
	return func(yield func(holdfast.Event, error) bool) {
		for event, err := range events {
			if n--; !yield(event, err) || n == 0 {
				return
			}
		}
	}
}

// text is what every model says to the call.
func (c *seasonCall) text() string {
	words := make([]string, 3+c.id%17)
	for i := range words {
		words[i] = fmt.Sprintf("%d/%d", c.id, i)
	}
	return strings.Join(words, " ")
}

// judge judges what a call came to.
func (s *season) judge(c *seasonCall, shown string, answer *holdfast.ChatResponse, err error) {
	var e *holdfast.Error
	var trail holdfast.Trail
	switch {
	case errors.As(err, &e):
		trail = e.Trail
		if partial := textOf(e.Partial); !strings.HasPrefix(c.text(), shown) || !strings.HasPrefix(c.text(), partial) || c.way == stream && shown != partial {
			s.fault("call %d was shown %q, the error has %q, of %q: %v\n%s", c.id, shown, partial, c.text(), err, trail)
		}
	case err != nil || answer == nil && c.leave == 0:
		s.fault("call %d came to %v, %v", c.id, answer, err)
	case answer == nil || answer.Message.Parts == nil: // it left
		return
	default:
		trail = answer.Trail
		if shown != c.text() || answer.Text() != shown {
			s.fault("call %d was shown %q, answered %q, want %q\n%s", c.id, shown, answer.Text(), c.text(), trail)
		}
	}
	most, local := s.conf.Retry.MaxAttempts, 0
	if most == 0 {
		most = 8
	}
	for _, a := range trail.Attempts {
		at := s.named(a.Endpoint)
		if against := s.against(at, c); against != "" {
			s.fault("call %d was at %s: %s\n%s", c.id, a.Endpoint, against, trail)
		}
		if at.Local {
			local = 1
		}
	}
	if len(trail.Attempts) > most+local {
		s.fault("call %d made %d attempts, want %d and %d at a local model\n%s", c.id, len(trail.Attempts), most, local, trail)
	}
	s.replay(trail)
}

// replay reads a Trail from JSON, and makes its choices once more.
func (s *season) replay(trail holdfast.Trail) {
	var again holdfast.Trail
	var read struct {
		Choices []struct {
			Choice   score.Choice
			Snapshot score.Snapshot
		}
	}
	text, err := json.Marshal(trail)
	if err = errors.Join(err, json.Unmarshal(text, &again), json.Unmarshal(text, &read)); err != nil || again.String() != trail.String() {
		s.fault("%v: got %s, want %s", err, again, trail)
	}
	for _, c := range read.Choices {
		made := score.Choose(c.Snapshot)
		if c.Snapshot.Candidates[c.Choice.Index].Local {
			made = c.Snapshot.Resort().Choice
		}
		if made != c.Choice {
			s.fault("chose %+v, and then %+v\n%s", c.Choice, made, trail)
		}
	}
}

func (s *season) named(name string) *seasonEndpoint {
	return s.endpoints[slices.IndexFunc(s.endpoints, func(e *seasonEndpoint) bool { return e.Name == name })]
}

// against says why a call must not go to an endpoint, "" if it may.
func (s *season) against(e *seasonEndpoint, c *seasonCall) string {
	model := "default"
	if c.model != "" {
		model = c.model
	}
	abroad := len(e.Countries) > 0 && !slices.Contains(e.Countries, c.country) || slices.Contains(e.ExceptCountries, c.country)
	switch {
	case len(s.conf.Residency) > 0 && !slices.Contains(s.conf.Residency, e.Region), len(c.residency) > 0 && !slices.Contains(c.residency, e.Region):
		return "residency"
	case abroad, c.country == "" && len(e.Countries)+len(e.ExceptCountries) > 0:
		return "the country"
	case c.tools && len(e.Lacks) > 0, e.Models[model] == "":
		return "the model"
	}
	return ""
}

// calm calls once a second in fine weather, and judges the calls after two minutes.
func (s *season) calm() {
	before := s.client.Status().RetryBudget
	const calls, judged = 130, 10
	for n := range calls {
		s.mu.Lock()
		c := &seasonCall{id: len(s.calls), way: oneOf(s.endpoints[0].rnd, stream, chat), country: "GB"}
		s.calls = append(s.calls, c)
		s.mu.Unlock()
		answer, err := s.call(c)
		best := s.best(c)
		switch {
		case n < calls-judged:
		case best == nil:
			if !errors.Is(err, holdfast.KindNoEndpoint) {
				s.fault("got %v, want that nobody may be asked", err)
			}
		case err != nil || len(answer.Trail.Attempts) != 1 || !slices.Contains(best, answer.Endpoint):
			s.fault("got %v, want an answer of one of %s at the first attempt\n%s", err, best, trailOf(answer, err))
		default:
			s.judgeCalm(best, min(100, before+float64(n)/2))
		}
		time.Sleep(time.Second)
	}
}

// best lists who should answer a call where all are well.
func (s *season) best(c *seasonCall) (best []string) {
	least := 1 << 20
	for _, e := range s.endpoints {
		place := e.Tier
		if e.Local {
			place = 1000
		}
		if !slices.Contains(e.Countries, c.country) {
			place += 100
		}
		if e.mirror || s.against(e, c) != "" || place > least {
			continue
		}
		if place < least {
			best, least = nil, place
		}
		best = append(best, e.Name)
	}
	return best
}

func (s *season) judgeCalm(best []string, budget float64) {
	status := s.look()
	if status.RetryBudget < budget {
		s.fault("the retry budget is %v, want %v", status.RetryBudget, budget)
	}
	for _, e := range status.Endpoints {
		health := e.Health
		if s.conf.HealthByCountry && s.conf.GeoIP != "" {
			health = e.ByCountry["GB"]
		}
		if slices.Contains(best, e.Name) && health.Breaker != "closed" {
			s.fault("the breaker of %s is still %s: %s", e.Name, health.Breaker, e.Why)
		}
	}
}
