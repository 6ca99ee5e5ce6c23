// Package refusal defines the errors that the owner of an archive can correct. Every other error of the builder is a failure
// of the host.
package refusal

import "fmt"

// Code is the kind of a refusal.
type Code string

const (
	// Invalid: the archive is damaged, or is not a root file system from which a guest can start.
	Invalid Code = "invalid"
	// TooLarge: the archive exceeds the limit of bytes.
	TooLarge Code = "too_large"
	// TooMany: the archive exceeds the limit of entries.
	TooMany Code = "too_many"
)

// Refusal is an error with a hint that names the next step. The hint may be empty.
type Refusal struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (r *Refusal) Error() string { return r.Message }

// New returns an Invalid refusal without a hint.
func New(format string, values ...interface{}) *Refusal {
	return &Refusal{Code: Invalid, Message: fmt.Sprintf(format, values...)}
}

// WithHint returns the refusal with a hint.
func (r *Refusal) WithHint(hint string) *Refusal {
	r.Hint = hint
	return r
}

// Quote returns a name of the archive in a form that fits into one line of a message.
func Quote(name string) string {
	const bytesMax = 200
	if len(name) > bytesMax {
		name = name[:bytesMax] + "…"
	}
	return fmt.Sprintf("%q", name)
}
