package holdfast

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast/internal/score"
)

// BenchmarkRouting is all that routing adds to a call that the first endpoint answers: the hard filters, the look at each endpoint's health,
// the choice and its record in the Trail, what the answer teaches, and the accounts.
func BenchmarkRouting(b *testing.B) {
	for _, n := range []int{1, 2, 10} {
		b.Run(fmt.Sprintf("%d endpoints", n), func(b *testing.B) {
			var conf Config
			for i := range n {
				conf.Endpoints = append(conf.Endpoints, Endpoint{Name: fmt.Sprintf("e%d", i), Provider: "claude", KeySource: Literal("k")})
			}
			client, err := New(conf)
			if err != nil {
				b.Fatal(err)
			}
			request := &ChatRequest{Messages: Ask("Why is the sky blue?")}
			x := &exchange{credentials: &credentials{}}
			b.ReportAllocs()
			for b.Loop() {
				now := time.Now()
				k := &call{client: client, request: request, stream: true, begun: now, deadline: now.Add(time.Minute)}
				k.line(b.Context())
				c, _ := k.seek(b.Context())
				x.candidate, x.endpoint = c, c.endpoint
				x.run = run{begun: now, ahead: time.Second}
				k.tellChoice(x)
				k.hadContent(x)
				client.routing.affinity.Served(now, k.talk, c.endpoint.Name)
				k.outcome = outcomeAnswered
				k.account()
			}
		})
	}
}

// BenchmarkChoice is the choice alone, among ten endpoints whose health is known.
func BenchmarkChoice(b *testing.B) {
	s := score.Snapshot{Candidates: make([]score.Candidate, 10)}
	for i := range s.Candidates {
		h := score.NewHealth(score.Prior{Price: 1 + float64(i)/10}, time.Now(), nil)
		s.Candidates[i] = score.Candidate{Name: fmt.Sprint(i), State: h.State(time.Now(), score.Streamed)}
	}
	b.ReportAllocs()
	for b.Loop() {
		if score.Choose(s).Index != 0 {
			b.Fatal("the cheapest is not chosen")
		}
	}
}
