package holdfast

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// TestVerdicts is the table of wire classes once more, written from the other side: kind → what follows.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	want := map[Kind]verdict{
		KindInvalid: giveUp, KindNoEndpoint: giveUp, KindTooLarge: giveUp, KindPolicy: giveUp,
		KindCanceled: stop, KindDeadline: stop, KindClosed: stop,
		KindUnsupported: elsewhere, KindRegion: elsewhere, KindPath: elsewhere, KindRedirect: elsewhere, KindIntercepted: elsewhere,
		KindMalformed: elsewhere, KindAnswerTooLarge: elsewhere, KindDNS: elsewhere, KindRefused: elsewhere, KindUnreachable: elsewhere,
		KindConnectTimeout: elsewhere, KindTLS: elsewhere, KindProxy: elsewhere, KindSecret: elsewhere,
		KindAttemptTimeout: elsewhere, KindLost: elsewhere, KindStalled: repeat,
		KindFeature: otherModel, KindContextLength: otherModel, KindModel: otherModel, KindRejected: otherModel,
		KindThinking: strip, KindKey: disableKey, KindPermission: disableModel, KindBilling: parkKey, KindQuota: parkKey,
		KindRateLimit: repeat, KindOverloaded: repeat, KindServer: repeat, KindServerTimeout: repeat, KindConflict: repeat,
		KindGateway: repeat, KindEmpty: repeat, KindTruncated: repeat, KindHandshake: repeat, KindReset: repeat,
		KindHeaderTimeout: repeat, KindTransport: repeat, KindBusy: elsewhere, KindUnavailable: giveUp,
	}
	for kind, v := range want {
		if got := judge(&Error{Kind: kind}, RetryPolicy{}).verdict; got != v {
			t.Errorf("%s: got verdict %d, want %d", kind, got, v)
		}
	}
	for kind := range verdicts {
		if _, ok := want[kind]; !ok {
			t.Errorf("%s has a verdict and no row in this test", kind)
		}
	}
	for _, kind := range declaredKinds(t) {
		if _, ok := verdicts[kind]; !ok {
			t.Errorf("%s has no verdict", kind)
		}
	}
}

// declaredKinds reads the constants from the source, so that a new kind without a verdict fails.
func declaredKinds(t *testing.T) []Kind {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "retry_error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []Kind
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "Kind") {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				kinds = append(kinds, Kind(strings.Trim(lit.Value, `"`)))
			}
		}
		return true
	})
	if len(kinds) < 30 {
		t.Fatalf("found %d kinds only", len(kinds))
	}
	return kinds
}

func TestJudgeOverrides(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		err    Error
		policy RetryPolicy
		want   verdict
	}{
		{"x-should-retry false ends repeats", Error{Kind: KindServer, shouldRetry: new(false)}, RetryPolicy{}, elsewhere},
		{"x-should-retry true starts one", Error{Kind: KindRejected, shouldRetry: new(true)}, RetryPolicy{}, repeat},
		{"x-should-retry true does not revive a key", Error{Kind: KindKey, shouldRetry: new(true)}, RetryPolicy{}, disableKey},
		{"x-should-retry true does not spend where there is no credit", Error{Kind: KindBilling, shouldRetry: new(true)}, RetryPolicy{}, parkKey},
		{"a page's 401 does not disable a key", Error{Kind: KindKey, foreign: true}, RetryPolicy{}, elsewhere},
		{"a page's 403 does not disable a key", Error{Kind: KindPermission, foreign: true}, RetryPolicy{}, elsewhere},
		{"policy elsewhere on request", Error{Kind: KindPolicy}, RetryPolicy{PolicyElsewhere: true}, otherModel},
		{"a kind of the caller's own", Error{Kind: "weather"}, RetryPolicy{}, elsewhere},
	} {
		if got := judge(&c.err, c.policy).verdict; got != c.want {
			t.Errorf("%s: got verdict %d, want %d", c.name, got, c.want)
		}
	}
}

func TestKindOfStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status    int
		own, page Kind // with a JSON body nobody recognises, and with a page
	}{
		{101, KindMalformed, KindMalformed},
		{204, KindIntercepted, KindIntercepted},
		{301, KindRedirect, KindRedirect},
		{302, KindRedirect, KindRedirect},
		{307, KindRedirect, KindRedirect},
		{308, KindRedirect, KindRedirect},
		{400, KindInvalid, KindIntercepted},
		{401, KindKey, KindKey},
		{402, KindBilling, KindBilling},
		{403, KindPermission, KindPermission},
		{404, KindPath, KindPath},
		{405, KindPath, KindPath},
		{407, KindProxy, KindProxy},
		{408, KindServerTimeout, KindServerTimeout},
		{409, KindConflict, KindConflict},
		{413, KindTooLarge, KindTooLarge},
		{418, KindRejected, KindRejected},
		{422, KindInvalid, KindIntercepted},
		{424, KindServer, KindServer},
		{429, KindRateLimit, KindRateLimit},
		{434, KindRejected, KindRejected},
		{435, KindRejected, KindRejected},
		{498, KindOverloaded, KindOverloaded},
		{499, KindServerTimeout, KindServerTimeout},
		{500, KindServer, KindGateway},
		{502, KindServer, KindGateway},
		{503, KindOverloaded, KindGateway},
		{504, KindServerTimeout, KindGateway},
		{511, KindIntercepted, KindIntercepted},
		{520, KindServer, KindGateway},
		{526, KindServer, KindGateway},
		{529, KindOverloaded, KindOverloaded},
		{530, KindServer, KindGateway},
		{599, KindServer, KindServer},
	} {
		if got := kindOfStatus(c.status, false); got != c.own {
			t.Errorf("%d: got %q, want %q", c.status, got, c.own)
		}
		if got := kindOfStatus(c.status, true); got != c.page {
			t.Errorf("%d as a page: got %q, want %q", c.status, got, c.page)
		}
	}
}
