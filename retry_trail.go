package holdfast

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Trail tells how an answer or an error was come by. It holds no key, prompt or answer and can be logged or stored.
type Trail struct {
	// Country is the client's country by which endpoints were ranked, "" if unknown, and CountryFrom says where it came
	// from or why it is unknown.
	Country     string `json:"country,omitempty"`
	CountryFrom string `json:"country_from,omitempty"`
	// Attempts are all exchanges with endpoints, in order.
	Attempts []Attempt `json:"attempts,omitempty"`
	// Choices tell why each attempt went where it went, but for those that were repeated in place.
	Choices []Choice `json:"choices,omitempty"`
	// Skipped are the endpoints that were passed over, and why.
	Skipped []Skip `json:"skipped,omitempty"`
}

// Attempt is one exchange with one endpoint.
type Attempt struct {
	Endpoint string `json:"endpoint"`
	Provider string `json:"provider"`
	Model    string `json:"model"`
	// Why says in words why this endpoint was chosen now.
	Why string `json:"why"`
	// Kind is what went wrong; empty if the attempt answered. Error is the same in words.
	Kind  Kind   `json:"kind,omitempty"`
	Error string `json:"error,omitempty"`
	// Status is the HTTP status, 0 without an answer.
	Status    int    `json:"status,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// Start is when the attempt began, counted from the start of the call; Duration how long it took.
	Start    time.Duration `json:"start"`
	Duration time.Duration `json:"duration"`
	// Sent reports whether any of the request left.
	Sent  bool  `json:"sent"`
	Usage Usage `json:"usage,omitzero"`
	// Notes lists what was left out or changed for this endpoint.
	Notes []string `json:"notes,omitempty"`
}

// Skip is an endpoint that was passed over.
type Skip struct {
	Endpoint string `json:"endpoint"`
	Why      string `json:"why"`
}

// ended completes the entry of a stream.
func (k *call) ended(x *exchange, e *Error) {
	if e == nil {
		k.learnTimes(x)
	} else {
		k.mu.Lock()
		k.teach(x, e)
		k.mu.Unlock()
	}
	a := &k.trail.Attempts[x.run.entry]
	a.Duration = time.Since(x.run.begun)
	a.learn(x.run.answer)
	if e != nil {
		a.Kind, a.Error = e.Kind, describe(e)
		a.Usage = x.run.answer.spent()
		a.Usage.Raw, a.Usage.Exact = nil, false
	}
}

// learn takes over what an answer says of its cost and of how it came.
func (a *Attempt) learn(w *AnswerWriter) {
	a.Usage = w.usage
	a.Usage.Raw = nil
	a.Notes = append(slices.Clip(a.Notes), w.notes...)
	w.notes = nil
}

// describe says what an error is without repeating with whom.
func describe(e *Error) string {
	short := *e
	short.Endpoint, short.RequestID = "", ""
	return strings.TrimPrefix(short.Error(), "holdfast: ")
}

func skippedInWords(skipped []Skip) string {
	words := make([]string, len(skipped))
	for i, s := range skipped {
		words[i] = s.Endpoint + " " + s.Why
	}
	return strings.Join(words, "; ")
}

// maxOutcome bounds an outcome in the table, in bytes; the Attempt has it whole.
const maxOutcome = 100

func shortened(text string) string {
	if len(text) <= maxOutcome {
		return text
	}
	return strings.ToValidUTF8(text[:maxOutcome], "") + "…"
}

// String tells the Trail as a small table, a line for each attempt and each endpoint that was passed over.
func (t Trail) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if t.Country != "" || t.CountryFrom != "" {
		fmt.Fprintf(&b, "country %s (%s)\n", cmp.Or(t.Country, "unknown"), t.CountryFrom)
	}
	fmt.Fprintln(w, "#\tendpoint\tmodel\toutcome\ttook\twhy")
	for i, a := range t.Attempts {
		outcome := "answered"
		if a.Kind != "" {
			outcome = shortened(a.Error)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", i+1, a.Endpoint, a.Model, outcome, a.Duration.Round(100*time.Microsecond), a.Why)
	}
	for _, s := range t.Skipped {
		fmt.Fprintf(w, "-\t%s\t\tnot asked\t\t%s\n", s.Endpoint, s.Why)
	}
	_ = w.Flush()
	for _, c := range t.Choices {
		if len(c.snapshot.Candidates) > 1 {
			fmt.Fprintf(&b, "%d: %s\n", c.attempt+1, c)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
