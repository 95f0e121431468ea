// Package holdfast keeps a service's LLM calls answered.
//
// A program asks once, in one vocabulary. holdfast decides where the question goes, proves who is asking, and does not come
// back without the whole answer or the whole reason why not. It runs inside the caller's process and needs no service of its own.
//
//	client, err := holdfast.New(holdfast.Config{
//		Endpoints: []holdfast.Endpoint{
//			{Name: "claude", Provider: "claude", Key: "env:ANTHROPIC_API_KEY", Models: map[string]string{"smart": "claude-opus-5-5"}},
//			{Name: "openai", Provider: "openai", Key: "env:OPENAI_API_KEY", Tier: 1, Models: map[string]string{"smart": "gpt-6-sol"}},
//		},
//	})
//	answer, err := client.Chat(ctx, &holdfast.ChatRequest{Model: "smart", Messages: holdfast.Ask("Why is the sky blue?")})
//
// # What do I call
//
// [New] makes a [Client] from a [Config], [LoadConfig] reads one from a file, [FromEnv] makes one from the keys in the environment.
// [Client.Chat] returns a whole [ChatResponse], [Client.Stream] an iterator over [Event] values. Both end in an answer or an [*Error],
// and both carry a [Trail] that tells every attempt.
//
// # How is it said
//
// A [ChatRequest] and its [Message] and [Part] values mean the same for Claude, OpenAI, Gemini, every OpenAI-compatible server and
// your own [AIServiceAdapter]. What a provider or model cannot express is an [ErrUnsupported] that names the field, before anything
// is sent; nothing is dropped silently.
//
// # Where does it go
//
// An [Endpoint] has a tier, a price, the countries it serves and the region it processes data in. The client's country, given with
// [WithClientIP] or [WithClientCountry], orders the endpoints; countries and [Config].Residency are limits that nothing overrides.
// Among those of the lowest tier that can answer, the one goes first that will most probably answer first: see [Health]. [Client.Status]
// tells what is known of each, and [Trail].Choices why an attempt went where it went.
//
// # What went wrong, and what next
//
// Every failure has a [Kind], by its meaning and not by its status, and every kind has one verdict: repeat, go elsewhere, or give
// up. The end of a body is not success: only the protocol's own evidence is.
//
// Nothing is shown before an answer's first visible content, and until then failures are handled unseen. What breaks off after it goes on
// as far as [Rescue] allows, and [Timeouts] bound every silence.
//
// # Who is asking
//
// [Signing] signs requests for gateways that demand it, and [Verifier] is the gateway's half. A [Secret] cannot be printed.
//
// Package holdfasttest has providers that break on purpose, for tests.
package holdfast
