package holdfast_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/holdfast-ai/holdfast"
)

var fenced = regexp.MustCompile("(?ms)^ *```json\n(.*?)^ *```")

// The configurations that the front page shows are taken as they are.
func TestReadmeConfigurations(t *testing.T) {
	for _, name := range []string{"CLIENT1_SECRET", "ANTHROPIC_API_KEY"} {
		t.Setenv(name, "a-test-value")
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := fenced.FindAllSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Fatal("found no configuration")
	}
	for _, b := range blocks {
		conf, err := holdfast.ParseConfig(b[1])
		if err != nil {
			t.Errorf("%v\n%s", err, b[1])
			continue
		}
		if _, err := holdfast.New(conf); err != nil {
			t.Error(err)
		}
	}
}
