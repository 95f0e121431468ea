package holdfasttest

// Fault is one way in which an answer breaks. Those that speak of a stream break an answer that is not streamed in the middle of
// its body. Over HTTP/2 a connection closes 10 ms late, so that what was sent is out.
type Fault string

// The faults.
const (
	// ResetBeforeHeaders breaks the connection off when the request has arrived, as a crashed server does.
	ResetBeforeHeaders Fault = "reset before headers"
	// CloseBeforeHeaders closes the connection in order instead.
	CloseBeforeHeaders Fault = "close before headers"
	// CutFIN closes the connection in the middle of the body.
	CutFIN Fault = "cut"
	// CutRST breaks the connection off in the middle of the body.
	CutRST Fault = "cut by reset"
	// EndEarly ends the body in order in the middle of the answer, as a proxy does that lost its upstream.
	EndEarly Fault = "end early"
	// Stall sends nothing more, but keeps the connection.
	Stall Fault = "stall"
	// KeepAlivesOnly sends nothing more but signs of life, every 10 seconds unless Reply.KeepAlive says otherwise.
	KeepAlivesOnly Fault = "keep-alives only"
	// MalformedEvent sends an event that is broken JSON, and goes on.
	MalformedEvent Fault = "malformed event"
	// NoTerminator leaves out what proves that the answer is whole: message_stop; the finish_reason and [DONE];
	// response.completed; the finishReason.
	NoTerminator Fault = "no terminator"
	// NoDone leaves out the [DONE] of Chat Completions alone, as some servers do.
	NoDone Fault = "no done"
	// StayOpen is NoDone, and the stream stays open behind its last event.
	StayOpen Fault = "stay open"
	// ErrorInStream sends Reply.Error, Overloaded if none, as an event of the stream, and ends it.
	ErrorInStream Fault = "error in stream"
	// Failed is what Responses has besides: the answer itself says that it failed. Elsewhere it is ErrorInStream.
	Failed Fault = "failed"
	// ErrorIn200 answers with status 200 and Reply.Error, Overloaded if none, as the whole body.
	ErrorIn200 Fault = "error in 200"
	// HTML answers with a page, status 200 unless Reply.Status says otherwise, and no header of the provider, as a login
	// page or a proxy does.
	HTML Fault = "HTML"
	// Redirect answers with a redirect to a login page on another host.
	Redirect Fault = "redirect"
	// EmptyBody answers with nothing behind the headers.
	EmptyBody Fault = "empty body"
	// WrongLength promises a longer body than there is.
	WrongLength Fault = "wrong length"
	// HugeFrame puts a piece of text of Reply.Size bytes into the answer.
	HugeFrame Fault = "huge frame"
)

// Framing is a set of ways to lay out the events of a stream, all of them legal.
type Framing uint

// The ways to lay out a stream.
const (
	// CRLF ends lines in CR LF.
	CRLF Framing = 1 << iota
	// CR ends lines in CR.
	CR
	// BOM begins the stream with a byte order mark.
	BOM
	// ByteByByte sends every byte by itself, so that characters are split too.
	ByteByByte
	// SplitRunes sends every event in two pieces, cut in the middle of its first character of several bytes.
	SplitRunes
	// NoSpace leaves out the space behind the colon.
	NoSpace
	// Comments puts a comment before each event.
	Comments
	// ManyFields adds the fields id and retry to each event.
	ManyFields
	// NoLastBlank leaves out the blank line behind the last event.
	NoLastBlank
)

const page = `<!DOCTYPE html>
<html><head><title>Welcome</title></head><body><h1>Please sign in to use this network</h1></body></html>
`

const loginPage = "https://login.portal.test/welcome"
