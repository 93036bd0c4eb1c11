package main

import (
	"context"
	"errors"
	"fmt"

	"counterpart/test/process"
)

// unresolved is a name that nobody answers for.
const unresolved = "hub.counterpart.test"

// resolve measures sales of an agent that has to look the hub up by a name,
// where the name server takes questions and answers none. It has been online
// before, as any agent of a shop has.
func (c *counter) resolve(ctx context.Context, r *record) error {
	const name = "DNS hangs"
	silence, err := newSilence(ctx, c.host.Dir())
	if err != nil {
		r.note("Not measured: " + name + ". " + err.Error())
		return nil
	}
	err = c.unresolved(ctx, r, name, silence)
	return errors.Join(err, silence.Close())
}

func (c *counter) unresolved(ctx context.Context, r *record, name string, s *silence) error {
	sighted := c.chain.Machines[1]
	if err := sighted.Agent.Stop(); err != nil {
		return err
	}
	blind, err := c.host.StartAgent(ctx, process.AgentOptions{
		Agent: sighted.ID(), Store: sighted.Store(), Data: sighted.Data(), Wrap: s.wrap,
		Hub: "https://" + unresolved, MQTT: "mqtts://" + unresolved,
	})
	if err != nil {
		return err
	}
	err = c.paced(ctx, r, blind, name)
	if err == nil {
		err = c.awaitOffline(ctx, blind)
	}
	if err == nil && s.questions.Load() == 0 {
		err = fmt.Errorf("%s: the agent asked the name server nothing", name)
	}
	if err := errors.Join(err, blind.Stop(), sighted.Restart(ctx)); err != nil {
		return err
	}
	return c.settle(ctx)
}
