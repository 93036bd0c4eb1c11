// Package service runs the agent under the operating system's service manager:
// systemd, launchd or the Windows service control manager.
package service

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/kardianos/service"
)

// Name is what to do with the installed service: start, stop or uninstall.
type Name string

// systemdUnit starts the agent whether or not there is a network, and again
// whenever it ends. It may write nothing but its own folder.
const systemdUnit = `[Unit]
Description={{.Description}}
# Not after network-online.target: a till must start with the cable out.
After=local-fs.target

[Service]
Type=simple
ExecStart={{.Path|cmdEscape}}{{range .Arguments}} {{.|cmd}}{{end}}
Restart=always
RestartSec=1
StateDirectory=counterpart-agent
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallFilter=@system-service
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
`

func config(arguments []string) *service.Config {
	return &service.Config{
		Name: "counterpart-agent", DisplayName: "Counterpart Agent", Description: "Keeps the store selling while the cloud is away.",
		Arguments: arguments,
		Option: service.KeyValue{
			"SystemdScript": systemdUnit,
			"OnFailure":     "restart", "OnFailureDelayDuration": "5s", "OnFailureResetPeriod": 86400,
			"KeepAlive": true, "RunAtLoad": true,
		},
	}
}

// program lets the service manager start and stop serve. Start must not block,
// and an error of serve must end the process with a failure, so that the
// manager starts it again.
type program struct {
	serve  func(context.Context) error
	cancel context.CancelFunc
	done   chan error
}

// Start begins serving.
func (p *program) Start(s service.Service) error {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.done = cancel, make(chan error, 1)
	go func() {
		err := p.serve(ctx)
		p.done <- err
		if err != nil && ctx.Err() == nil {
			// The manager restarts only what failed by itself.
			fail(s, err)
		}
	}()
	return nil
}

// Stop ends serving and waits for it.
func (p *program) Stop(service.Service) error {
	p.cancel()
	return <-p.done
}

// Serve runs serve until ctx ends. On Windows the service manager has a protocol
// of its own; elsewhere it sends the signals that end ctx.
func Serve(ctx context.Context, serve func(context.Context) error) error {
	if runtime.GOOS != "windows" || service.Interactive() {
		return serve(ctx)
	}
	s, err := service.New(&program{serve: serve}, config(nil))
	if err != nil {
		return fmt.Errorf("service: %w", err)
	}
	return s.Run()
}

// Install registers the service with the arguments that it is run with.
func Install(arguments []string) error {
	s, err := service.New(&program{}, config(arguments))
	if err != nil {
		return fmt.Errorf("service: %w", err)
	}
	if err := s.Install(); err != nil {
		return fmt.Errorf("the service was not installed: %w. It needs the rights of an administrator", err)
	}
	return nil
}

// Control starts, stops or uninstalls the service.
func Control(act Name) error {
	s, err := service.New(&program{}, config(nil))
	if err != nil {
		return fmt.Errorf("service: %w", err)
	}
	err = service.Control(s, string(act))
	if errors.Is(err, service.ErrNotInstalled) {
		return errors.New("the service is not installed; install it with: counterpart-agent install")
	}
	return err
}
