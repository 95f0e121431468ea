package score

import (
	"testing"
	"time"
)

func TestAffinity(t *testing.T) {
	t.Parallel()
	type turn struct {
		at           time.Duration
		conversation uint64
		endpoint     string
	}
	cases := map[string]struct {
		turns []turn
		at    time.Duration
		want  string
	}{
		"nothing known":            {nil, 0, ""},
		"another conversation":     {[]turn{{0, 2, "a"}}, 0, ""},
		"who served it":            {[]turn{{0, 1, "a"}, {0, 2, "b"}}, 0, "a"},
		"who served it last":       {[]turn{{0, 1, "a"}, {second, 1, "b"}}, second, "b"},
		"within five minutes":      {[]turn{{0, 1, "a"}}, 300*second - 1, "a"},
		"not after":                {[]turn{{0, 1, "a"}}, 300 * second, ""},
		"in spite of a generation": {[]turn{{0, 2, "b"}, {299 * second, 1, "a"}, {301 * second, 3, "c"}}, 400 * second, "a"},
		"not after two of them":    {[]turn{{0, 1, "a"}, {301 * second, 2, "b"}, {602 * second, 3, "c"}}, 602 * second, ""},
		"a clock set back":         {[]turn{{time.Hour, 1, "a"}}, 0, "a"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var a Affinity
			for _, turn := range c.turns {
				a.Served(begin.Add(turn.at), turn.conversation, turn.endpoint)
			}
			if got := a.Last(begin.Add(c.at), 1); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAffinityIsBounded(t *testing.T) {
	t.Parallel()
	var a Affinity
	for i := range uint64(100_000) {
		a.Served(begin, i, "a")
	}
	if n := len(a.young) + len(a.old); n > 2*mostConversations {
		t.Errorf("got %d conversations", n)
	}
	if a.Last(begin, 99_999) != "a" || a.Last(begin, 99_999-mostConversations+1) != "a" || a.Last(begin, 0) != "" {
		t.Error("want the latest remembered and the first forgotten")
	}
}
