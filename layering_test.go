package holdfast_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/holdfast-ai/holdfast"

// chosen are the modules that the root depends on. A fourth needs a reason that a reader of its commit would accept.
var chosen = []string{"github.com/hashicorp/go-retryablehttp", "github.com/oschwald/geoip2-golang/v2", "golang.org/x/time"}

// arrows says what the packages of this module may import beside the standard library: packages, or with /… all beneath one. The first
// row whose folder fits counts; tests may also import what is in tests.
var arrows = []arrow{
	{"internal/geo", []string{"internal/…", "github.com/oschwald/geoip2-golang/v2"}, nil},
	{"internal/…", []string{"internal/…"}, nil},
	{"holdfasttest", []string{"internal/memhttp"}, []string{".", "holdfasttest"}},
	{"examples/…", []string{".", "holdfasttest"}, nil},
	{".", append([]string{"internal/…", "golang.org/x/time/…"}, chosen...), []string{".", "holdfasttest"}},
}

type arrow struct {
	folder  string
	imports []string
	tests   []string
}

// source is a Go file of this module. Nested modules (contrib, internal/bench, internal/conformance) follow rules of their own.
type source struct {
	path   string // from the root, such as "internal/sse/sse.go"
	folder string
	test   bool
	file   *ast.File
}

func parse(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	set := token.NewFileSet()
	var all []source
	walk(t, func(name string) {
		if path.Ext(name) != ".go" {
			return
		}
		f, err := parser.ParseFile(set, filepath.FromSlash(name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{name, path.Dir(name), strings.HasSuffix(name, "_test.go"), f})
	}, false)
	if len(all) < 20 {
		t.Fatalf("found %d Go files only", len(all))
	}
	return set, all
}

// walk visits the files of the repository, but for test data and hidden folders; those of nested modules if asked.
func walk(t *testing.T, visit func(name string), nested bool) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			visit(filepath.ToSlash(name))
			return nil
		}
		_, err = os.Stat(filepath.Join(name, "go.mod"))
		isNested := err == nil && name != "."
		if d.Name() == "testdata" || (name != "." && strings.HasPrefix(d.Name(), ".")) || (isNested && !nested) {
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func fits(name, pattern string) bool {
	if beneath, ok := strings.CutSuffix(pattern, "/…"); ok {
		return strings.HasPrefix(name, beneath+"/")
	}
	return name == pattern
}

func TestArrows(t *testing.T) {
	t.Parallel()
	_, all := parse(t)
	for _, s := range all {
		i := slices.IndexFunc(arrows, func(a arrow) bool { return fits(s.folder, a.folder) })
		if i < 0 {
			t.Errorf("%s: no arrow leads from the folder %s: say in DESIGN.md what it is", s.path, s.folder)
			continue
		}
		may := arrows[i].imports
		if s.test {
			may = slices.Concat(may, arrows[i].tests)
		}
		for _, spec := range s.file.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			first, _, _ := strings.Cut(name, "/")
			if name == "C" {
				t.Errorf("%s imports C", s.path)
			}
			if !strings.Contains(first, ".") {
				continue // the standard library
			}
			if name == module {
				name = "."
			}
			name = strings.TrimPrefix(name, module+"/")
			if !slices.ContainsFunc(may, func(pattern string) bool { return fits(name, pattern) }) {
				t.Errorf("%s imports %s, which packages in %s may not", s.path, name, arrows[i].folder)
			}
		}
	}
}

func TestDependenciesAreTheChosenOnes(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "require "), " ")
		if !strings.HasPrefix(rest, "v") || strings.Contains(rest, "// indirect") {
			continue
		}
		if !slices.Contains(chosen, name) {
			t.Errorf("go.mod requires %s, which was not chosen", name)
		}
	}
}

var (
	family   = regexp.MustCompile(`^(client|adapter|endpoint|retry|signing)(_[a-z0-9_]+)?\.go$`)
	tests    = regexp.MustCompile(`^((client|adapter|endpoint|retry|signing|example)(_[a-z0-9_]+)?|layering)_test\.go$`)
	nameless = regexp.MustCompile(`(?i)(^|[/_])(utils?|common|helpers?|misc|managers?)([/_.]|$)`)
)

func TestFilesBelongToAFamily(t *testing.T) {
	t.Parallel()
	_, all := parse(t)
	for _, s := range all {
		if nameless.MatchString(s.path) {
			t.Errorf("%s: the name does not say what it is", s.path)
		}
		if s.folder != "." {
			continue
		}
		switch {
		case s.path == "doc.go":
			if len(s.file.Decls) > 0 {
				t.Errorf("doc.go holds more than the package's comment")
			}
		case s.test && !tests.MatchString(s.path), !s.test && !family.MatchString(s.path):
			t.Errorf("%s belongs to none of the five families", s.path)
		}
	}
}

// An adapter is a pure codec: it takes types from these packages, but does not look at the clock, the network or the environment.
func TestAdaptersArePure(t *testing.T) {
	t.Parallel()
	banned := []string{"os", "net", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "context"}
	types := map[string][]string{"time": {"Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour", "Time"}, "http": {"Header"}}
	pure := map[string][]string{"time": {"Parse", "ParseDuration", "RFC3339", "RFC1123", "Unix", "UnixMilli"}, "http": {"CanonicalHeaderKey", "ParseTime"}}
	_, all := parse(t)
	for _, s := range all {
		if s.folder != "." || s.test || !strings.HasPrefix(s.path, "adapter") {
			continue
		}
		for _, spec := range s.file.Imports {
			if name, _ := strconv.Unquote(spec.Path.Value); slices.Contains(banned, name) {
				t.Errorf("%s imports %s", s.path, name)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok || types[pkg.Name] == nil {
				return true
			}
			name := sel.Sel.Name
			if !slices.Contains(types[pkg.Name], name) && !slices.Contains(pure[pkg.Name], name) && !strings.HasPrefix(name, "Status") {
				t.Errorf("%s uses %s.%s", s.path, pkg.Name, name)
			}
			return true
		})
	}
}

// TestNoHiddenState finds init functions, and variables of a package that something changes after the program's start.
func TestNoHiddenState(t *testing.T) {
	t.Parallel()
	set, all := parse(t)
	packages := map[string][]*ast.File{}
	for _, s := range all {
		if s.test {
			continue
		}
		packages[s.folder] = append(packages[s.folder], s.file)
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has a function init", s.path)
			}
		}
	}
	for folder, files := range packages {
		for _, at := range written(set, folder, files) {
			t.Errorf("%s: a variable of the package is changed", at)
		}
	}
}

// written returns the places where a function changes a variable of its package. It sees no change behind a method (which is
// why a sync.Pool passes), through a pointer, or through a copy of a map or slice.
func written(set *token.FileSet, folder string, files []*ast.File) (places []string) {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: blind{}, Error: func(error) {}}
	pkg, _ := conf.Check(folder, set, files, info)
	isState := func(e ast.Expr) bool {
		id := root(e)
		v, ok := info.Uses[id].(*types.Var)
		return ok && v.Parent() == pkg.Scope()
	}
	mark := func(e ast.Expr) {
		if e != nil && isState(e) {
			places = append(places, set.Position(e.Pos()).String())
		}
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						mark(e)
					}
				}
			case *ast.IncDecStmt:
				mark(n.X)
			case *ast.RangeStmt:
				if n.Tok == token.ASSIGN {
					mark(n.Key)
					mark(n.Value)
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear" || id.Name == "copy") && len(n.Args) > 0 {
					mark(n.Args[0])
				}
			}
			return true
		})
	}
	return places
}

// root returns the variable that an expression reaches into, nil if it is none.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// blind imports every package as an empty one: which variable a name means can be told without them.
type blind struct{}

func (blind) Import(name string) (*types.Package, error) {
	p := types.NewPackage(name, path.Base(name))
	p.MarkComplete()
	return p, nil
}

func TestNothingIsLeftForLater(t *testing.T) {
	t.Parallel()
	later := regexp.MustCompile(`\b(` + "TO" + `DO|FIX` + `ME)\b`)
	walk(t, func(name string) {
		if !slices.Contains([]string{".go", ".md", ".yml", ".mod", ""}, path.Ext(name)) {
			return
		}
		content, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		if at := later.FindIndex(content); at != nil {
			t.Errorf("%s:%d leaves something for later", name, 1+strings.Count(string(content[:at[0]]), "\n"))
		}
	}, true)
}

// TestTheRulesBite shows each rule something that breaks it.
func TestTheRulesBite(t *testing.T) {
	t.Parallel()
	const code = `package p
import "sync"
var table = map[string]int{}
var list = []int{1}
var count int
var config struct{ on bool }
var pool sync.Pool
func a() { table["x"] = 1 }
func b() { count++ }
func c() { config.on = true }
func e() { delete(table, "x") }
func f() { for count = range list {} }
func g() { list[0], _ = 2, 3 }
func fine() { count := 1; count++; table := map[string]int{}; table["x"] = count; pool.Put(list[0]) }
`
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "p.go", code, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	got := written(set, "p", []*ast.File{f})
	if len(got) != 6 || slices.ContainsFunc(got, func(at string) bool { return strings.HasPrefix(at, "p.go:14") }) {
		t.Errorf("got changes at %v, want one in each of the lines 8 to 13", got)
	}
	for name, want := range map[string]bool{
		"client.go": true, "client_config.go": true, "adapter_openai.go": true, "clients.go": false, "util.go": false, "Client.go": false, "client-x.go": false,
	} {
		if family.MatchString(name) != want {
			t.Errorf("%s: got %v, want %v", name, !want, want)
		}
	}
	for name, want := range map[string]bool{"internal/util/x.go": true, "retry_helpers.go": true, "internal/common.go": true, "utility.go": false, "commons/x.go": false} {
		if nameless.MatchString(name) != want {
			t.Errorf("%s: got %v, want %v", name, !want, want)
		}
	}
	if !fits("internal/sse", "internal/…") || fits("internal", "internal/…") || fits("internals/x", "internal/…") || !fits(".", ".") {
		t.Error("the patterns of the arrows do not fit as they say")
	}
}
