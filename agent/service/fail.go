package service

import (
	"fmt"
	"os"

	"github.com/kardianos/service"
)

// fail ends the process with a failure that the service manager sees.
func fail(s service.Service, err error) {
	if logger, lerr := s.Logger(nil); lerr == nil {
		if werr := logger.Error(err); werr != nil {
			fmt.Fprintln(os.Stderr, werr)
		}
	}
	fmt.Fprintln(os.Stderr, "counterpart-agent:", err)
	os.Exit(1)
}
