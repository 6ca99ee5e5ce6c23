// Package refusal holds the errors that the owner of an archive can do something about. Every other error of the builder is
// a failure of the host.
package refusal

import "fmt"

// Code says which kind of refusal it is.
type Code string

const (
	// Invalid: the archive is damaged, or is no root file system that a guest could start from.
	Invalid Code = "invalid"
	// TooLarge: over the limit of bytes.
	TooLarge Code = "too_large"
	// TooMany: over the limit of entries.
	TooMany Code = "too_many"
)

// Refusal is an error with a hint that names the next step; the hint may be empty.
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

// Quote prints a name of the archive so that it fits into one line of a message.
func Quote(name string) string {
	const bytesMax = 200
	if len(name) > bytesMax {
		name = name[:bytesMax] + "…"
	}
	return fmt.Sprintf("%q", name)
}
