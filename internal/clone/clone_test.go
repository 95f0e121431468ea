package clone_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast/internal/clone"
)

type part interface{ name() string }

type leaf struct {
	Text  string
	Bytes []byte
	Extra map[string][]byte
	When  time.Time
}

func (*leaf) name() string { return "leaf" }

type tree struct {
	Parts  []part
	Count  *int
	Any    any
	Pair   [2][]string
	Table  map[string]*leaf
	Nested []tree
	Nil    *leaf
	own    []int
}

func newTree() tree {
	return tree{
		Parts:  []part{&leaf{Text: "a", Bytes: []byte("b"), Extra: map[string][]byte{"c": []byte("d")}, When: time.Unix(1, 0)}, nil, (*leaf)(nil)},
		Count:  new(3),
		Any:    map[string]any{"e": []any{"f", 1.5, nil}},
		Pair:   [2][]string{{"g"}, nil},
		Table:  map[string]*leaf{"h": {Text: "i"}},
		Nested: []tree{{Count: new(4)}},
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	v := newTree()
	v.own = []int{1}
	got := clone.Of(v)
	v.own[0] = 2
	if got.own[0] != 2 {
		t.Error("a field that is not exported is not shared")
	}
	v.own, got.own = nil, nil
	if !reflect.DeepEqual(got, newTree()) {
		t.Fatalf("got %+v, want the same", got)
	}
	v.Parts[0].(*leaf).Text = "x"
	v.Parts[0].(*leaf).Bytes[0] = 'x'
	v.Parts[0].(*leaf).Extra["c"][0] = 'x'
	v.Parts[0].(*leaf).Extra["y"] = nil
	v.Parts[1] = &leaf{}
	*v.Count = 9
	v.Any.(map[string]any)["e"].([]any)[0] = "x"
	v.Pair[0][0] = "x"
	v.Table["h"].Text = "x"
	*v.Nested[0].Count = 9
	if !reflect.DeepEqual(got, newTree()) {
		t.Errorf("got %+v, want a copy that does not change with the original", got)
	}
}

func TestOfNothing(t *testing.T) {
	t.Parallel()
	if got := clone.Of[*tree](nil); got != nil {
		t.Errorf("got %v, want nil", got)
	}
	if got := clone.Of[any](nil); got != nil {
		t.Errorf("got %v, want nil", got)
	}
	if got := clone.Of(map[string]int{}); got == nil || len(got) != 0 {
		t.Errorf("got %v, want an empty map", got)
	}
}
