package holdfast

import (
	"maps"
	"slices"
	"time"
)

// MirrorVerdict compares a candidate with the endpoints that answer users, over the latest copies: see [Mirror].Window. It holds no key, prompt
// or answer and can be logged or stored.
type MirrorVerdict struct {
	// Endpoint is the candidate's name.
	Endpoint string `json:"endpoint,omitempty"`
	// Promote reports whether the candidate showed all that [Promotion] asks for. Why says in words what it showed, or if it falls short, in
	// what.
	Promote bool   `json:"promote"`
	Why     string `json:"why"`

	// Sampled is how many answered calls the lot fell on. They were Excluded, Dropped or Unable, or copied; Running are under way.
	Sampled int `json:"sampled"`
	// Excluded counts calls that must not go to the candidate: by residency, country or model.
	Excluded int `json:"excluded,omitempty"`
	// Dropped counts calls that were not copied to keep within bounds.
	Dropped MirrorDrops `json:"dropped,omitzero"`
	// Unable counts calls that the candidate's provider or model cannot express. Nothing was sent, and as an endpoint it would be passed over.
	Unable  int `json:"unable,omitempty"`
	Running int `json:"running,omitempty"`

	// Copied counts the copies that were answered or failed, Answered those that were answered, and Failures the others by their kind; the
	// kind "panic" is a panic of the candidate's adapter or transport.
	Copied   int          `json:"copied"`
	Answered int          `json:"answered"`
	Failures map[Kind]int `json:"failures,omitempty"`

	// Form compares how often the form was kept that [ChatRequest].Output asks for, as far as a JSON Schema is understood here: type, enum,
	// const, properties, required, additionalProperties, items, anyOf and $ref are; other keywords pass. Answers to calls whose user got
	// a tool call instead are left out.
	Form MirrorForm `json:"form,omitzero"`
	// Tools counts answers that call the same tools with equal arguments, in any order, among those where either calls any. Neither the
	// order of members nor the spelling of numbers matters.
	Tools MirrorShare `json:"tools,omitzero"`
	// Same counts answers that [Mirror].Same took for the same.
	Same MirrorShare `json:"same,omitzero"`
	// Length is the median of the candidate's text over the user's, in bytes, where the user's is not empty.
	Length MirrorRatio `json:"length,omitzero"`
	// FirstContent compares the time from when the request was sent to the first content of streamed answers, Whole that to the end of answers
	// that no reader of a stream held up. The user's time is that of the attempt that answered, without failures before it.
	FirstContent MirrorTimes `json:"first_content,omitzero"`
	Whole        MirrorTimes `json:"whole,omitzero"`
	// Cost compares tokens in and out, cached ones and reasoning included, as far as both providers counted them.
	Cost MirrorCost `json:"cost,omitzero"`

	// Differences are the latest failures and comparisons that failed, ten at most, oldest first.
	Differences []MirrorDifference `json:"differences,omitempty"`
}

// MirrorDrops counts calls that were not copied.
type MirrorDrops struct {
	// Busy: MaxConcurrent copies were under way, or a Local candidate's own Concurrency was used up.
	Busy int `json:"busy,omitempty"`
	// Budget: MaxPerMinute or MaxTokensPerMinute were used up.
	Budget int `json:"budget,omitempty"`
	// Resting: the candidate had just said that it is over a limit (it rests as long as it said, else 10 s) or had refused the key (a
	// minute). Copies would have used up what users' calls may share.
	Resting int `json:"resting,omitempty"`
	// Closed: the client was closed, before the copy or during it.
	Closed int `json:"closed,omitempty"`
}

// MirrorForm counts answers that had to be of a form, and those that were.
type MirrorForm struct {
	Of        int `json:"of"`
	User      int `json:"user"`
	Candidate int `json:"candidate"`
}

// MirrorShare counts answers that are the same in some respect.
type MirrorShare struct {
	Of   int `json:"of"`
	Same int `json:"same"`
}

// MirrorRatio is a median over so many answers, to within 3 %.
type MirrorRatio struct {
	Of     int     `json:"of"`
	Median float64 `json:"median"`
}

// MirrorTimes are the medians of times, of the same calls, to within 3 %.
type MirrorTimes struct {
	Of        int           `json:"of"`
	User      time.Duration `json:"user"`
	Candidate time.Duration `json:"candidate"`
}

// MirrorCost sums tokens. Ratio is what the candidate's cost over what the users' did, each multiplied with the [Endpoint].Price of who wrote
// the answer.
type MirrorCost struct {
	Of              int     `json:"of"`
	UserTokens      int64   `json:"user_tokens"`
	CandidateTokens int64   `json:"candidate_tokens"`
	Ratio           float64 `json:"ratio"`
}

// MirrorDifference is one copy that failed, or whose answer differs. It says where to look, not what was said.
type MirrorDifference struct {
	At time.Time `json:"at"`
	// Endpoint answered the user, who asked for Model.
	Endpoint string `json:"endpoint"`
	Model    string `json:"model,omitempty"`
	// RequestID and CandidateID are the providers' ids of the two exchanges, as far as they gave any.
	RequestID   string `json:"request_id,omitempty"`
	CandidateID string `json:"candidate_id,omitempty"`
	// Kind is why the candidate did not answer; empty if it did.
	Kind Kind `json:"kind,omitempty"`
	// Differs lists in what its answer differs: "form", "tools", "same" or "length".
	Differs []string `json:"differs,omitempty"`
}

// MirrorVerdict tells what the copies of [Config].Mirror have shown so far. Without a Mirror it is a verdict against promotion.
func (c *Client) MirrorVerdict() MirrorVerdict {
	if c.mirror == nil {
		return MirrorVerdict{Why: "there is no mirror"}
	}
	return c.mirror.verdict()
}

func (m *mirror) verdict() MirrorVerdict {
	m.mu.Lock()
	t := m.young
	t.failures = maps.Clone(t.failures)
	t.add(&m.old)
	v := MirrorVerdict{Endpoint: m.endpoint.Name, Running: m.running, Differences: slices.Clone(m.differences)}
	m.mu.Unlock()
	t.tell(&v)
	v.Promote, v.Why = m.config.Promote.judge(&v)
	return v
}
