package link_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Secrets are compared only by crypto/subtle, in constant time, so that timing reveals nothing about them.
func TestTokensAreComparedInConstantTime(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	constant := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.CallExpr:
				switch name := selector(node.Fun); name {
				case "subtle.ConstantTimeCompare":
					constant++
				case "bytes.Equal", "bytes.Compare", "bytes.HasPrefix", "reflect.DeepEqual":
					t.Errorf("%s: %s compares bytes in a time that depends on them", set.Position(node.Pos()), name)
				}
			case *ast.BinaryExpr:
				isComparison := node.Op == token.EQL || node.Op == token.NEQ
				if isComparison && (isSecret(node.X) || isSecret(node.Y)) && selector(node.Y) != "nil" {
					t.Errorf("%s: a token is compared by %s", set.Position(node.Pos()), node.Op)
				}
			}
			return true
		})
	}
	if constant == 0 {
		t.Error("nothing is compared in constant time")
	}
}

// selector returns an expression's name as written.
func selector(expression ast.Expr) string {
	switch expression := expression.(type) {
	case *ast.Ident:
		return expression.Name
	case *ast.SelectorExpr:
		return selector(expression.X) + "." + expression.Sel.Name
	case *ast.IndexExpr:
		return selector(expression.X)
	case *ast.SliceExpr:
		return selector(expression.X)
	case *ast.CallExpr:
		if len(expression.Args) == 1 {
			return selector(expression.Args[0])
		}
	}
	return ""
}

func isSecret(expression ast.Expr) bool {
	name := strings.ToLower(selector(expression))
	return strings.HasSuffix(name, "token")
}
