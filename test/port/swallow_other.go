//go:build !linux

package port

import (
	"errors"
	"io"
)

// Swallow fails: here no socket loses what is dialled.
func Swallow(string) (io.Closer, error) {
	return nil, errors.New("this system has no way to swallow packets")
}
