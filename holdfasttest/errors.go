package holdfasttest

// Error is an error that providers give, by its meaning. Each provider says it with its own status, type, code, message and
// headers; one that a provider does not know is said by what comes closest.
type Error string

// The errors.
const (
	// BadRequest is a request that makes no sense.
	BadRequest Error = "bad request"
	// ContextTooLong is a prompt that the model cannot hold.
	ContextTooLong Error = "context too long"
	// TooLarge is a body larger than the provider reads.
	TooLarge Error = "too large"
	// BadKey is a key that is wrong or was withdrawn. Gemini says it with status 400.
	BadKey Error = "bad key"
	// NoPermission is a good key that lacks a right.
	NoPermission Error = "no permission"
	// RegionBlocked is a caller in a place that the provider does not serve.
	RegionBlocked Error = "region blocked"
	// SpendLimit is a limit on spending that the customer set. Claude says it with status 400.
	SpendLimit Error = "spend limit"
	// OutOfCredit is an account without money.
	OutOfCredit Error = "out of credit"
	// MonthlyCap is the cap on spending that the provider set. Claude says it with status 429 and no Retry-After.
	MonthlyCap Error = "monthly cap"
	// RateLimited is too many requests or tokens in a minute.
	RateLimited Error = "rate limited"
	// DailyQuota is a quota used up for the day.
	DailyQuota Error = "daily quota"
	// SlowDown is a rate that grew too fast.
	SlowDown Error = "slow down"
	// ModelMissing is a model that does not exist or is retired.
	ModelMissing Error = "model missing"
	// PolicyBlocked is a prompt that breaks the provider's rules, refused with an error.
	PolicyBlocked Error = "policy blocked"
	// BadSignature is thinking that came back changed or from elsewhere.
	BadSignature Error = "bad signature"
	// Conflict is a resource being changed by someone else.
	Conflict Error = "conflict"
	// TimedOut is a server that took too long.
	TimedOut Error = "timed out"
	// ServerError is a fault of the server.
	ServerError Error = "server error"
	// Overloaded is a server with too much to do.
	Overloaded Error = "overloaded"
)

// A problem is an error as a provider says it.
type problem struct {
	status                     int
	kind, code, param, message string
	details                    any
	header                     map[string]string
	retry                      string // seconds to wait, where the provider says so in the body
	// bare is the whole body. edge means that the answer comes from before the provider: without its headers.
	bare string
	edge bool
}

// errorOf returns the error that a status stands for.
func errorOf(status int) Error {
	switch status {
	case 401:
		return BadKey
	case 402:
		return OutOfCredit
	case 403:
		return NoPermission
	case 404:
		return ModelMissing
	case 408, 504:
		return TimedOut
	case 409:
		return Conflict
	case 413:
		return TooLarge
	case 429:
		return RateLimited
	case 503, 529:
		return Overloaded
	}
	if status >= 500 {
		return ServerError
	}
	return BadRequest
}

// pick returns the problem of e from a provider's table. A status takes the place of the problem's own.
func pick(table map[Error]problem, e Error, status int) problem {
	if e == "" {
		e = errorOf(status)
	}
	p, ok := table[e]
	if !ok {
		p = table[closest[e]]
	}
	if p.status == 0 {
		p = table[ServerError]
	}
	if status != 0 {
		p.status = status
	}
	return p
}

// closest names the error to give instead where a provider does not know one.
var closest = map[Error]Error{
	SpendLimit:    OutOfCredit,
	MonthlyCap:    OutOfCredit,
	DailyQuota:    RateLimited,
	SlowDown:      RateLimited,
	PolicyBlocked: BadRequest,
	BadSignature:  BadRequest,
	Conflict:      ServerError,
	TimedOut:      ServerError,
	RegionBlocked: NoPermission,
	TooLarge:      BadRequest,
	NoPermission:  BadKey,
	OutOfCredit:   RateLimited,
}
