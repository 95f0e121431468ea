package holdfasttest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// A resumedForm streams the events of a response behind those that the client has.
type resumedForm struct {
	responsesForm
	had int // events
}

func (f resumedForm) events(a *answer) []event {
	all := f.responsesForm.events(a)
	return all[min(f.had, len(all)):]
}

// key is empty: the response is kept already.
func (resumedForm) key(*answer) string { return "" }

// streamable is how long a response can be streamed again.
const streamable = 5 * time.Minute

// stored answers what the host says about a response that was made in the background.
func (o openAI) stored(s *Server, r *http.Request, id string) (*ask, *problem) {
	kept := s.recall(id)
	if kept == nil {
		return nil, &problem{status: 404, kind: invalidRequest, message: fmt.Sprintf("Response with id '%s' not found.", id)}
	}
	form, _ := kept.ask.form.(responsesForm)
	query := r.URL.Query()
	if query.Get("stream") != "true" {
		return &ask{plain: form.whole(kept)}, nil
	}
	if time.Since(kept.now) > streamable {
		return nil, refused("", "", "This response can no longer be streamed because it is more than 5 minutes old.")
	}
	a := *kept.ask
	had := 0
	if after := query.Get("starting_after"); after != "" {
		n, err := strconv.Atoi(after)
		if err != nil || n < 0 {
			return nil, refused("starting_after", "invalid_type", "Invalid type for 'starting_after': expected an integer, but got '%s' instead.", after)
		}
		had = n + 1
	}
	a.form, a.left, a.had = resumedForm{form, had}, kept, had
	return &a, nil
}
