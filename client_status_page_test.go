package holdfast

import (
	"encoding/json"
	"html"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// look asks for a path beneath the status page's mount point.
func look(status Status, method, path string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	mux.Handle("/debug/holdfast/", statusHandler(func() Status { return status }))
	mux.Handle("/exactly/here", statusHandler(func() Status { return status }))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestStatusPagePaths(t *testing.T) {
	t.Parallel()
	const page, data, plain = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"
	for _, c := range []struct {
		method, path string
		code         int
		contentType  string
	}{
		{"GET", "/debug/holdfast/", 200, page},
		{"HEAD", "/debug/holdfast/", 200, page},
		{"GET", "/debug/holdfast/?x=1", 200, page},
		{"GET", "/debug/holdfast/?format=json", 200, data},
		{"GET", "/debug/holdfast/status.json", 200, data},
		{"HEAD", "/debug/holdfast/status.json", 200, data},
		{"GET", "/exactly/here", 200, page},
		{"GET", "/exactly/here?format=json", 200, data},
		{"GET", "/debug/holdfast/other", 404, plain},
		{"GET", "/debug/holdfast/favicon.ico", 404, plain},
		{"POST", "/debug/holdfast/", 405, plain},
		{"PUT", "/debug/holdfast/status.json", 405, plain},
		{"DELETE", "/debug/holdfast/other", 405, plain},
		{"OPTIONS", "/debug/holdfast/", 405, plain},
	} {
		w := look(mixedScene(), c.method, c.path)
		h := w.Header()
		if w.Code != c.code || h.Get("Content-Type") != c.contentType {
			t.Errorf("%s %s: got %d, %s, want %d, %s", c.method, c.path, w.Code, h.Get("Content-Type"), c.code, c.contentType)
		}
		if allow := h.Get("Allow"); (c.code == 405) != (allow == "GET, HEAD") {
			t.Errorf("%s %s: got Allow %q", c.method, c.path, allow)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: got %v", c.method, c.path, h)
		}
		policy := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "connect-src 'self'"} {
			if !strings.Contains(policy, want) || strings.Contains(policy, "unsafe") {
				t.Errorf("%s %s: got the policy %q, want %s", c.method, c.path, policy, want)
			}
		}
	}
}

func TestStatusPageJSON(t *testing.T) {
	t.Parallel()
	for name, want := range scenes() {
		w := look(want, "GET", "/debug/holdfast/status.json")
		var got Status
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %s, %v", name, w.Body, err)
		}
	}
}

// A status that cannot be told is an error, not half an answer.
func TestStatusPageFails(t *testing.T) {
	t.Parallel()
	status := mixedScene()
	status.RetryBudget = math.NaN()
	if w := look(status, "GET", "/debug/holdfast/status.json"); w.Code != 500 || w.Header().Get("Content-Type") == "application/json" {
		t.Errorf("got %d, %s", w.Code, w.Body)
	}
}

func TestStatusPageFigures(t *testing.T) {
	t.Parallel()
	for name, status := range scenes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkFigures(t, look(status, "GET", "/debug/holdfast/").Body.String(), status)
		})
	}
}

// Foreign texts are shown and are not markup.
func TestStatusPageEscapes(t *testing.T) {
	t.Parallel()
	page := look(longScene(), "GET", "/debug/holdfast/").Body.String()
	for _, bad := range []string{"<script>alert", "<img", "<i ", "</style><i"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	if !strings.Contains(page, "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;&amp;amp;&#39;</bdi></h3>") {
		t.Error("the name is not shown as it is")
	}
}

var figurePattern = regexp.MustCompile(`data-figure="([^"]*)"[^>]*>(?:<bdi>)?([^<]*)<`)

// checkFigures compares the figures that a page shows with those of a status. Every figure of the status must be there, once or more.
func checkFigures(t *testing.T, page string, status Status) {
	t.Helper()
	shown := map[string][]string{}
	for _, m := range figurePattern.FindAllStringSubmatch(page, -1) {
		name := html.UnescapeString(m[1])
		shown[name] = append(shown[name], html.UnescapeString(m[2]))
	}
	for name, want := range figuresOf(status) {
		if len(shown[name]) == 0 {
			t.Errorf("%s is not shown", name)
		}
		for _, text := range shown[name] {
			if !isShown(text, want) {
				t.Errorf("%s: shown as %q, want %v", name, text, want)
			}
		}
	}
}

// figuresOf lists all that a page must show of a status: texts, counts, shares (float32), seconds (float64) and durations.
func figuresOf(s Status) map[string]any {
	all := map[string]any{"at": s.At.Format("15:04:05 MST"), "retry_budget": int(s.RetryBudget), "waiting": s.Waiting}
	var answered, failed, running int
	for _, e := range s.Endpoints {
		a, f := 0, 0
		for _, i := range e.Recent {
			a, f = a+i.Answered, f+i.Failed
		}
		answered, failed, running = answered+a, failed+f, running+e.Running
		all[e.Name+"/answered"], all[e.Name+"/failed"], all[e.Name+"/median"] = a, f, e.Health.Median
		if e.Queued > 0 {
			all[e.Name+"/queued"] = e.Queued
		} else {
			all[e.Name+"/running"] = e.Running
		}
		figuresOfHealth(all, e.Name, e.Health)
		figuresOfHealth(all, e.Name+"/whole", e.Whole)
		for country, h := range e.ByCountry {
			figuresOfHealth(all, e.Name+"/"+country, h)
		}
		for i, f := range e.Failures {
			all[e.Name+"/failure/"+strconv.Itoa(i)] = string(f.Kind)
		}
		for i, b := range e.Blocks {
			all[e.Name+"/block/"+strconv.Itoa(i)] = string(b.Kind)
		}
		if e.Health.Breaker != "closed" {
			all[e.Name+"/state"], all[e.Name+"/badge"] = e.Health.Breaker, e.Health.Breaker
		}
	}
	all["answered"], all["failed"], all["running"] = answered, failed, running
	return all
}

func figuresOfHealth(all map[string]any, name string, h Health) {
	all[name+"/score"], all[name+"/latency_cost"], all[name+"/failure_cost"] = h.Score, h.LatencyCost, h.FailureCost
	all[name+"/price_cost"], all[name+"/headroom_cost"] = h.PriceCost, h.HeadroomCost
	all[name+"/p99"], all[name+"/failure_rate"], all[name+"/headroom"] = h.P99, float32(h.FailureRate), float32(h.Headroom)
}

var numberPattern = regexp.MustCompile(`^(−?)([0-9,]+)(\.[0-9]+)?(?: (%|ms|s|min|h|d))?(?: ([0-9]+) (s|min|h))?$`)

// isShown reports whether a text is that of a value, to within half of its last digit.
func isShown(text string, value any) bool {
	if want, ok := value.(string); ok {
		return text == want
	}
	m := numberPattern.FindStringSubmatch(strings.ReplaceAll(text, "\u00a0", " "))
	if m == nil {
		return false
	}
	number, _ := strconv.ParseFloat(strings.ReplaceAll(m[2], ",", "")+m[3], 64)
	if m[1] != "" {
		number = -number
	}
	half := 0.5 * math.Pow(10, -float64(max(len(m[3])-1, 0)))
	near := func(want, unit float64) bool {
		return math.Abs(number*unit-want) <= half*unit*1.0001
	}
	units := map[string]float64{"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
	switch want := value.(type) {
	case int:
		return m[3] == "" && m[4] == "" && int(number) == want
	case float64:
		return m[4] == "" && near(want, 1) || number == 0 && math.Abs(want) <= 0.005
	case float32:
		return m[4] == "%" && near(float64(want), 0.01)
	case time.Duration:
		if m[5] != "" {
			more, _ := strconv.ParseFloat(m[5], 64)
			number += more * units[m[6]] / units[m[4]]
			half *= units[m[6]] / units[m[4]]
		}
		return units[m[4]] > 0 && near(want.Seconds(), units[m[4]])
	}
	return false
}
