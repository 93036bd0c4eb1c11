package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"counterpart/agent/service"
)

type installCommand struct{ runFlags }

// Run registers the service with the flags that it is to run with.
func (c *installCommand) Run(out io.Writer) error {
	if c.Data == "" && c.Config == "" {
		return errors.Join(errUsage, errors.New("say what the service is to run with: --config FILE, or --data, --hub, --store and --agent"))
	}
	if err := service.Install(c.arguments()); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "installed; start it with: counterpart-agent start")
	return err
}

func (f *runFlags) arguments() []string {
	args := []string{"run"}
	add := func(name, value string) {
		if value != "" {
			args = append(args, name, value)
		}
	}
	add("--data", f.Data)
	add("--hub", f.Hub)
	add("--store", f.Store)
	add("--agent", f.Agent)
	add("--mqtt", f.MQTT)
	add("--listen", f.Listen)
	add("--inbox", f.Inbox)
	add("--config", f.Config)
	for _, layout := range f.WeighedCode {
		add("--weighed-code", layout)
	}
	if f.InsecureDev != nil && *f.InsecureDev {
		args = append(args, "--insecure-dev")
	}
	return args
}

type serviceCommand struct{}

// Run does what its command is named after.
func (serviceCommand) Run(out io.Writer, act service.Name) error {
	if err := service.Control(act); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "done:", strings.ToLower(string(act)))
	return err
}
