package guard

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const wait = 30 * time.Second

func TestAPanicIsLoggedAndEndsNothingElse(t *testing.T) {
	lines := make(chan string, 2)
	log := func(format string, args ...interface{}) { lines <- fmt.Sprintf(format, args...) }
	Go("the work", log, func() { panic("on purpose") })
	timer := After(0, "the late work", log, func() { panic("also on purpose") })
	defer timer.Stop()
	for i := 0; i < 2; i++ {
		select {
		case line := <-lines:
			if !strings.Contains(line, "on purpose") || !strings.Contains(line, "work: panic:") {
				t.Errorf("logged %q", line)
			}
		case <-time.After(wait):
			t.Fatal("the panic was not logged")
		}
	}
	if Try("more work", log, func() { panic(1) }) {
		t.Error("a panic counts as an end")
	}
	<-lines
	if !Try("more work", log, func() {}) {
		t.Error("an end counts as a panic")
	}
}

// A panic of a goroutine started elsewhere would end the guest.
func TestNobodyElseStartsGoroutines(t *testing.T) {
	files := 0
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		relative, _ := filepath.Rel(root, path)
		// These never run in a guest: the tests' host, and the peer for the TypeScript tests.
		for _, folder := range []string{"internal/guard/", "internal/linktest/", "cmd/yamux-peer/"} {
			if strings.HasPrefix(relative, folder) {
				return nil
			}
		}
		files++
		for _, place := range goroutines(t, path) {
			t.Errorf("%s starts a goroutine that a panic would end the guest from; use guard", place)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("only %d files were looked at", files)
	}
}

func goroutines(t *testing.T, path string) []string {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.GoStmt:
			found = append(found, set.Position(node.Pos()).String())
		case *ast.SelectorExpr:
			if owner, ok := node.X.(*ast.Ident); ok && owner.Name == "time" && node.Sel.Name == "AfterFunc" {
				found = append(found, set.Position(node.Pos()).String())
			}
		}
		return true
	})
	return found
}
