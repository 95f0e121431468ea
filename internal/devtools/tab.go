package devtools

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Tab is a page of a [Browser]. Safe for concurrent use.
type Tab struct {
	browser         *Browser
	target, session string
	events          []Event // guarded by the browser's lock
}

// Event is something that happened in a tab, such as "Network.requestWillBeSent".
type Event struct {
	Method string
	Params json.RawMessage
}

// View is how a tab looks to a page.
type View struct {
	Width, Height int
	Scale         float64 // pixels of the screen for each of the page
	Phone, Dark   bool
}

// Tab opens an empty tab, which notes what happens in it.
func (b *Browser) Tab(ctx context.Context, v View) (*Tab, error) {
	t := &Tab{browser: b}
	var created struct {
		TargetID string `json:"targetId"`
	}
	if err := b.call(ctx, "", "Target.createTarget", object{"url": "about:blank"}, &created); err != nil {
		return nil, err
	}
	t.target = created.TargetID
	var attached struct {
		SessionID string `json:"sessionId"`
	}
	if err := b.call(ctx, "", "Target.attachToTarget", object{"targetId": t.target, "flatten": true}, &attached); err != nil {
		return nil, err
	}
	t.session = attached.SessionID
	b.mu.Lock()
	b.tabs[t.session] = t
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Audits"} {
		if err := t.Call(ctx, domain+".enable", nil, nil); err != nil {
			return nil, err
		}
	}
	if err := t.look(ctx, v); err != nil {
		return nil, err
	}
	return t, t.Call(ctx, "Page.bringToFront", nil, nil) // behind others, it would draw nothing
}

type object = map[string]any

func (t *Tab) look(ctx context.Context, v View) error {
	err := t.Call(ctx, "Emulation.setDeviceMetricsOverride", object{"width": v.Width, "height": v.Height, "deviceScaleFactor": v.Scale, "mobile": v.Phone}, nil)
	if err != nil {
		return err
	}
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	return t.Call(ctx, "Emulation.setEmulatedMedia", object{"features": []object{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Close closes the tab.
func (t *Tab) Close(ctx context.Context) error {
	t.browser.mu.Lock()
	delete(t.browser.tabs, t.session)
	t.browser.mu.Unlock()
	return t.browser.call(ctx, "", "Target.closeTarget", object{"targetId": t.target}, nil)
}

// Call calls a method of the protocol. params and result may be nil.
func (t *Tab) Call(ctx context.Context, method string, params, result any) error {
	return t.browser.call(ctx, t.session, method, params, result)
}

// Navigate goes to a URL and waits until the page is there with all that it loads.
func (t *Tab) Navigate(ctx context.Context, url string) error {
	var result struct {
		ErrorText string `json:"errorText"`
	}
	if err := t.Call(ctx, "Page.navigate", object{"url": url}, &result); err != nil {
		return err
	}
	if result.ErrorText != "" {
		return fmt.Errorf("devtools: %s: %s", url, result.ErrorText)
	}
	for state := ""; state != "complete"; { // asked again and again, since listeners do not run where scripts are switched off
		if err := t.Evaluate(ctx, "document.readyState", &state); err != nil {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Evaluate runs an expression of JavaScript in the page. If it is a promise, it is awaited. The value must fit into JSON.
func (t *Tab) Evaluate(ctx context.Context, expression string, value any) error {
	var answer struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	err := t.Call(ctx, "Runtime.evaluate", object{"expression": expression, "awaitPromise": true, "returnByValue": true}, &answer)
	switch {
	case err != nil:
		return err
	case answer.Exception != nil:
		return fmt.Errorf("devtools: %s %s", answer.Exception.Text, answer.Exception.Exception.Description)
	case value == nil || answer.Result.Value == nil:
		return nil
	}
	return json.Unmarshal(answer.Result.Value, value)
}

// Screenshot returns the whole page as a PNG, also what lies beneath the window's edge.
func (t *Tab) Screenshot(ctx context.Context) ([]byte, error) {
	var layout struct {
		Content struct{ Width, Height float64 } `json:"cssContentSize"`
	}
	if err := t.Call(ctx, "Page.getLayoutMetrics", nil, &layout); err != nil {
		return nil, err
	}
	clip := object{"x": 0, "y": 0, "width": layout.Content.Width, "height": layout.Content.Height, "scale": 1}
	var shot struct {
		Data []byte `json:"data"`
	}
	err := t.Call(ctx, "Page.captureScreenshot", object{"captureBeyondViewport": true, "clip": clip}, &shot)
	return shot.Data, err
}

// Events returns what happened since the tab was opened.
func (t *Tab) Events() []Event {
	t.browser.mu.Lock()
	defer t.browser.mu.Unlock()
	return slices.Clone(t.events)
}
