//go:build chromium

package holdfast

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast/internal/devtools"
)

// startChromium starts the browser that must be there: with this build tag, its absence is a failure.
func startChromium(t *testing.T) (context.Context, *devtools.Browser) {
	t.Helper()
	path, err := devtools.Find()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	browser, err := devtools.Start(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := browser.Close(); err != nil {
			t.Error(err)
		}
	})
	return ctx, browser
}

// site serves a status page over loopback and counts who asks.
type site struct {
	*httptest.Server
	url    string
	asked  atomic.Int32
	status atomic.Pointer[Status]
}

func newSite(t *testing.T, status Status) *site {
	s := new(site)
	s.status.Store(&status)
	page := statusHandler(func() Status { return *s.status.Load() })
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		page.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	s.url = s.URL + "/debug/holdfast/"
	return s
}

// open opens the page in a tab in which time passes ten times as fast for timers.
func (s *site) open(ctx context.Context, t *testing.T, b *devtools.Browser, v devtools.View) *devtools.Tab {
	t.Helper()
	tab, err := b.Tab(ctx, v)
	if err != nil {
		t.Fatal(err)
	}
	hurry := map[string]any{"source": "{ const wait = setTimeout; window.setTimeout = (f, ms) => wait(f, ms / 10) }"}
	if err := tab.Call(ctx, "Page.addScriptToEvaluateOnNewDocument", hurry, nil); err != nil {
		t.Fatal(err)
	}
	if err := tab.Navigate(ctx, s.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.checkEvents(t, tab)
		if err := tab.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return tab
}

// checkEvents looks for errors, violations of the policy, and requests to anywhere else.
func (s *site) checkEvents(t *testing.T, tab *devtools.Tab) {
	t.Helper()
	seen := 0
	for _, e := range tab.Events() {
		switch e.Method {
		case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Audits.issueAdded", "Page.javascriptDialogOpening":
			t.Errorf("%s: %s", e.Method, e.Params)
		case "Network.requestWillBeSent":
			var sent struct {
				Request struct{ URL string }
			}
			if err := json.Unmarshal(e.Params, &sent); err != nil {
				t.Fatal(err)
			}
			if url := sent.Request.URL; !strings.HasPrefix(url, s.url) && !strings.HasPrefix(url, "data:") {
				t.Errorf("the page asked for %s", url)
			}
			seen++
		}
	}
	if seen == 0 {
		t.Error("no request was seen")
	}
}

func evaluate[T any](ctx context.Context, t *testing.T, tab *devtools.Tab, expression string) (value T) {
	t.Helper()
	if err := tab.Evaluate(ctx, expression, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// await waits until an expression is true in the page.
func await(ctx context.Context, t *testing.T, tab *devtools.Tab, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := tab.Evaluate(ctx, "new Promise(done => { const again = () => "+expression+" ? done() : requestAnimationFrame(again); again() })", nil)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
}

// rests checks that the page asks for nothing any more.
func (s *site) rests(t *testing.T, why string) {
	t.Helper()
	time.Sleep(200 * time.Millisecond) // for what is under way
	before := s.asked.Load()
	time.Sleep(1500 * time.Millisecond) // three intervals
	if n := s.asked.Load() - before; n != 0 {
		t.Errorf("%s: got %d requests", why, n)
	}
}

// goesOn checks that the page is refreshed again and again after something was done.
func (s *site) goesOn(t *testing.T, after func()) {
	t.Helper()
	before := s.asked.Load()
	after()
	for end := time.Now().Add(10 * time.Second); s.asked.Load() < before+2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the page is not refreshed any more")
		}
	}
}

// keep takes a picture and writes it where HOLDFAST_SCREENSHOTS says, or into a folder that does not outlive the test.
func keep(ctx context.Context, t *testing.T, tab *devtools.Tab, name string) []byte {
	t.Helper()
	folder := os.Getenv("HOLDFAST_SCREENSHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	shot, err := tab.Screenshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), shot, 0o600); err != nil {
		t.Fatal(err)
	}
	return shot
}

// checkWidth looks for what is wider than the screen, or sticks out of its panel.
func checkWidth(ctx context.Context, t *testing.T, tab *devtools.Tab, width int) {
	t.Helper()
	if got := evaluate[int](ctx, t, tab, "document.documentElement.scrollWidth"); got != width {
		t.Errorf("the page is %d wide, want %d", got, width)
	}
	wide := evaluate[[]string](ctx, t, tab, `[...document.querySelectorAll("main *, header *, footer *")].filter(e => !e.closest("svg svg, thead") && e.checkVisibility() &&
		e.getBoundingClientRect().width && e.getBoundingClientRect().right > (e.parentElement.closest(".panel") ?? document.body).getBoundingClientRect().right + 0.5 && !e.matches("svg *")).map(e => e.outerHTML.slice(0, 200))`)
	for _, e := range wide {
		t.Errorf("at a width of %d, this sticks out: %s", width, e)
	}
}

// checkLook decodes a picture and looks at it from afar.
func checkLook(t *testing.T, shot []byte, view devtools.View) {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	if want := int(float64(view.Width) * view.Scale); picture.Bounds().Dx() != want || picture.Bounds().Dy() < want {
		t.Errorf("got a picture of %v, want one that is %d wide", picture.Bounds(), want)
	}
	mean, colours := survey(picture)
	if view.Dark && mean > 0.25 || !view.Dark && mean < 0.85 {
		t.Errorf("got a mean luminance of %.2f", mean)
	}
	if colours < 100 {
		t.Errorf("got %d colours: the picture is blank", colours)
	}
}

// survey returns the mean luminance of a picture, from 0 to 1, and how many colours it has.
func survey(picture image.Image) (mean float64, colours int) {
	b := picture.Bounds()
	seen := map[[3]uint32]bool{}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, b, _ := picture.At(x, y).RGBA()
			mean += 0.2126*float64(r) + 0.7152*float64(g) + 0.0722*float64(b)
			seen[[3]uint32{r, g, b}] = true
		}
	}
	return mean / 0xffff / float64(b.Dx()*b.Dy()), len(seen)
}
