package holdfast

import "net/http"

// verdict is what to do after a failure.
type verdict uint8

// The verdicts; wire names of the classes in parentheses.
const (
	// giveUp: the request itself is at fault; no endpoint can help (CALLER).
	giveUp verdict = iota + 1
	// repeat: the same request may well work here in a moment, else elsewhere (SAME).
	repeat
	// strip: the same endpoint may take it without the returned thinking, once (SAME).
	strip
	// elsewhere: another endpoint, of the same model too, may help (ENDPOINT).
	elsewhere
	// otherModel: only another provider or model can help (PROVIDER).
	otherModel
	// disableKey: the key is dead here until it changes; another endpoint may help (KEY).
	disableKey
	// disableModel: the key may not use this model until it changes; another endpoint may help (KEY for the model).
	disableModel
	// parkKey: the key is good but has no credit or quota for now; another endpoint may help (MONEY).
	parkKey
	// stop: the caller has gone (CANCEL).
	stop
)

// rule is one row of the verdict table.
type rule struct {
	verdict verdict
	// silent marks failures of an endpoint that said nothing at all: it is not asked again in place.
	silent bool
	// again marks failures that another endpoint is asked after, but that may be over in a moment: if nobody else is left, the same
	// endpoint is asked once more.
	again bool
}

// verdicts is the policy: what each kind of failure leads to. It is the documentation too; every row has a test.
var verdicts = map[Kind]rule{
	KindInvalid:        {verdict: giveUp},
	KindUnsupported:    {verdict: elsewhere}, // nothing was sent: another endpoint may be able to say it
	KindNoEndpoint:     {verdict: giveUp},
	KindUnavailable:    {verdict: giveUp},
	KindTooLarge:       {verdict: giveUp},
	KindCanceled:       {verdict: stop},
	KindDeadline:       {verdict: stop},
	KindClosed:         {verdict: stop},
	KindFeature:        {verdict: otherModel}, // and a fault in our table of models: logged
	KindContextLength:  {verdict: otherModel},
	KindThinking:       {verdict: strip},
	KindPolicy:         {verdict: giveUp}, // RetryPolicy.PolicyElsewhere makes it otherModel
	KindModel:          {verdict: otherModel},
	KindRejected:       {verdict: otherModel},
	KindKey:            {verdict: disableKey},
	KindPermission:     {verdict: disableModel},
	KindRegion:         {verdict: elsewhere}, // the key is good
	KindBilling:        {verdict: parkKey},
	KindQuota:          {verdict: parkKey},
	KindRateLimit:      {verdict: repeat},
	KindOverloaded:     {verdict: repeat},
	KindServer:         {verdict: repeat},
	KindServerTimeout:  {verdict: repeat},
	KindConflict:       {verdict: repeat},
	KindGateway:        {verdict: repeat},
	KindEmpty:          {verdict: repeat},
	KindPath:           {verdict: elsewhere},
	KindRedirect:       {verdict: elsewhere},
	KindIntercepted:    {verdict: elsewhere},
	KindMalformed:      {verdict: elsewhere},
	KindAnswerTooLarge: {verdict: elsewhere},
	KindTruncated:      {verdict: repeat},
	KindDNS:            {verdict: elsewhere, again: true},
	KindRefused:        {verdict: elsewhere, again: true},
	KindConnectTimeout: {verdict: elsewhere, silent: true},
	KindUnreachable:    {verdict: elsewhere, again: true},
	KindTLS:            {verdict: elsewhere},
	KindHandshake:      {verdict: repeat},
	KindProxy:          {verdict: elsewhere, again: true},
	KindReset:          {verdict: repeat},
	KindHeaderTimeout:  {verdict: repeat, silent: true},
	KindStalled:        {verdict: repeat, silent: true},
	KindAttemptTimeout: {verdict: elsewhere, silent: true},
	KindLost:           {verdict: elsewhere},
	KindTransport:      {verdict: repeat},
	KindSecret:         {verdict: elsewhere},
	KindBusy:           {verdict: elsewhere},
}

// judge applies the table, the server's own x-should-retry, and the caller's policy.
func judge(e *Error, policy RetryPolicy) rule {
	r, known := verdicts[e.Kind]
	if !known {
		r = rule{verdict: elsewhere} // a kind of the caller's own adapter
	}
	switch {
	case e.Kind == KindPolicy && policy.PolicyElsewhere:
		r.verdict = otherModel
	case e.foreign && (r.verdict == disableKey || r.verdict == disableModel || r.verdict == parkKey):
		r.verdict = elsewhere // a portal or a proxy says nothing of the key
	}
	if e.shouldRetry == nil {
		return r
	}
	switch {
	case *e.shouldRetry && (r.verdict == giveUp || r.verdict == elsewhere || r.verdict == otherModel):
		r.verdict = repeat
	case !*e.shouldRetry && r.verdict == repeat:
		r.verdict = elsewhere
	}
	return r
}

// statusKinds says what an HTTP status means when the body does not say more. Other 4xx are KindRejected, other 5xx KindServer.
var statusKinds = map[int]Kind{
	http.StatusBadRequest:            KindInvalid,
	http.StatusUnauthorized:          KindKey,
	http.StatusPaymentRequired:       KindBilling,
	http.StatusForbidden:             KindPermission,
	http.StatusNotFound:              KindPath,
	http.StatusMethodNotAllowed:      KindPath,
	http.StatusProxyAuthRequired:     KindProxy,
	http.StatusRequestTimeout:        KindServerTimeout,
	http.StatusConflict:              KindConflict,
	http.StatusRequestEntityTooLarge: KindTooLarge,
	http.StatusUnprocessableEntity:   KindInvalid,
	http.StatusFailedDependency:      KindServer,
	http.StatusTooManyRequests:       KindRateLimit,
	499:                              KindServerTimeout,
	498:                              KindOverloaded,
	511:                              KindIntercepted, // a captive portal
	529:                              KindOverloaded,
}

// kindOfStatus judges a failed answer by its status alone. foreign says that the body was not the provider's.
func kindOfStatus(status int, foreign bool) Kind {
	switch {
	case status < 200:
		return KindMalformed
	case status < 300:
		return KindIntercepted
	case status < 400:
		return KindRedirect
	}
	if foreign {
		switch status {
		case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return KindGateway
		case http.StatusBadRequest, http.StatusUnprocessableEntity:
			return KindIntercepted // some proxy's, not the provider's judgement of the request
		}
		if status >= 520 && status <= 530 && status != 529 {
			return KindGateway
		}
	}
	if k, ok := statusKinds[status]; ok {
		return k
	}
	switch status {
	case http.StatusServiceUnavailable:
		return KindOverloaded
	case http.StatusGatewayTimeout:
		return KindServerTimeout
	}
	if status >= 500 {
		return KindServer
	}
	return KindRejected
}
