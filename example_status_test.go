package holdfast_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"

	"github.com/holdfast-ai/holdfast"
)

// The status page is mounted with one line. Programs read the same as JSON.
func ExampleClient_StatusHandler() {
	client, _, _, stop := twoProviders()
	defer stop()

	mux := http.NewServeMux()
	mux.Handle("/debug/holdfast/", client.StatusHandler())

	page := httptest.NewRecorder()
	mux.ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/debug/holdfast/", nil))
	fmt.Println(page.Header().Get("Content-Type"))
	fmt.Println(regexp.MustCompile(`<h1.*?>(.*?)</h1>`).FindStringSubmatch(page.Body.String())[1])

	data := httptest.NewRecorder()
	mux.ServeHTTP(data, httptest.NewRequest(http.MethodGet, "/debug/holdfast/status.json", nil))
	var status holdfast.Status
	if err := json.Unmarshal(data.Body.Bytes(), &status); err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range status.Endpoints {
		fmt.Println(e.Name, e.Health.Breaker, e.Next)
	}
	// Output:
	// text/html; charset=utf-8
	// Both endpoints are available
	// claude closed true
	// openai closed false
}
