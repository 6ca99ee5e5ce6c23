package process

import (
	"os"
	"path/filepath"
	"strings"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment adds extra to the default environment and returns it with its PATH.
func environment(extra map[string]string, user *account) ([]string, string, error) {
	home := user.home
	if home == "" {
		home = "/"
	}
	all := map[string]string{
		"PATH":    defaultPath,
		"HOME":    home,
		"USER":    user.name,
		"LOGNAME": user.name,
		"LANG":    "C.UTF-8",
	}
	for name, value := range extra {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.IndexByte(value, 0) >= 0 {
			return nil, "", &InvalidError{Reason: "not an environment variable: " + name}
		}
		all[name] = value
	}
	env := make([]string, 0, len(all))
	for name, value := range all {
		env = append(env, name+"="+value)
	}
	return env, all["PATH"], nil
}

// lookUpProgram finds the program of argv like execvp from cwd: the first runnable one, else the reason why
// there is none.
func lookUpProgram(argv []string, path, cwd string) (string, error) {
	if len(argv) == 0 || argv[0] == "" {
		return "", &InvalidError{Reason: "argv must name a program"}
	}
	for _, argument := range argv {
		if strings.IndexByte(argument, 0) >= 0 {
			return "", &InvalidError{Reason: "an argument holds a NUL byte"}
		}
	}
	name := argv[0]
	if strings.Contains(name, "/") {
		program := within(cwd, name)
		if err := runnable(name, program); err != nil {
			return "", err
		}
		return program, nil
	}
	var refusal error
	for _, directory := range strings.Split(path, ":") {
		program := filepath.Join(within(cwd, directory), name)
		err := runnable(name, program)
		if err == nil {
			return program, nil
		}
		if refusal == nil && err.ExitCode == 126 {
			refusal = err
		}
	}
	if refusal != nil {
		return "", refusal
	}
	return "", &NotRunnableError{ExitCode: 127, Reason: name + ": not found"}
}

func within(cwd, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(cwd, path)
}

func runnable(name, program string) *NotRunnableError {
	info, err := os.Stat(program)
	switch {
	case os.IsPermission(err):
		return &NotRunnableError{ExitCode: 126, Reason: name + ": permission denied"}
	case err != nil:
		return &NotRunnableError{ExitCode: 127, Reason: name + ": not found"}
	case info.IsDir():
		return &NotRunnableError{ExitCode: 126, Reason: name + ": is a directory"}
	case info.Mode()&0o111 == 0:
		return &NotRunnableError{ExitCode: 126, Reason: name + ": permission denied"}
	}
	return nil
}
