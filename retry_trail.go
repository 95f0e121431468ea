package holdfast

import (
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
