package conformance

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"sync"
)

// anyWord names the types whose constants are not all there is: models, above all.
var anyWord = map[string]bool{"Model": true, "ChatModel": true, "ResponsesModel": true}

// words returns the constants that a client's source declares of a string type; nil if there are none, or any word will do.
func words(t reflect.Type) []string {
	if t.Kind() != reflect.String || t.PkgPath() == "" || t.Name() == "" || anyWord[t.Name()] {
		return nil
	}
	once, _ := constants.LoadOrStore(t.PkgPath(), sync.OnceValue(func() map[string][]string { return declared(t.PkgPath()) }))
	return once.(func() map[string][]string)()[t.Name()]
}

var constants sync.Map // import path → func() map[type name][]word

// declared reads the constants of a package's string types from its source.
func declared(path string) map[string][]string {
	dir, err := build.Import(path, ".", build.FindOnly)
	if err != nil {
		panic(err)
	}
	files, err := filepath.Glob(filepath.Join(dir.Dir, "*.go"))
	if err != nil {
		panic(err)
	}
	out := map[string][]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			panic(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			of, ok := spec.Type.(*ast.Ident)
			for _, v := range spec.Values {
				if literal, isText := v.(*ast.BasicLit); ok && isText && literal.Kind == token.STRING {
					word, _ := strconv.Unquote(literal.Value)
					out[of.Name] = append(out[of.Name], word)
				}
			}
			return false
		})
	}
	return out
}
