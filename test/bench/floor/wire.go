package floor

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	dialTimeout = 5 * time.Second
	// redialDelay is short: a floor does not wait to notice that the line is
	// back.
	redialDelay = 10 * time.Millisecond
	quiesce     = 100 // milliseconds
	// framesInFlight is how many frames may be unconfirmed by the broker.
	framesInFlight = 16
)

// connect makes one MQTT connection. Messages are handed over in their order
// and confirmed when the handler returns.
func connect(ctx context.Context, broker string, handler func([]byte)) (mqtt.Client, error) {
	o := mqtt.NewClientOptions()
	o.AddBroker("tcp://" + broker)
	o.SetClientID("floor-" + rand.Text())
	o.SetProtocolVersion(4)
	o.SetCleanSession(true)
	o.SetAutoReconnect(false)
	o.SetConnectTimeout(dialTimeout)
	o.SetOrderMatters(true)
	if handler != nil {
		o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { handler(m.Payload()) })
	}
	client := mqtt.NewClient(o)
	return client, wait(ctx, client.Connect())
}

// connectAtLast tries until somebody answers.
func connectAtLast(ctx context.Context, broker string) (mqtt.Client, error) {
	for {
		client, err := connect(ctx, broker, nil)
		if err == nil || ctx.Err() != nil {
			return client, err
		}
		timer := time.NewTimer(redialDelay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func wait(ctx context.Context, token mqtt.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// subscribe returns when the broker has granted a topic.
func subscribe(ctx context.Context, client mqtt.Client, topic string) error {
	if err := wait(ctx, client.Subscribe(topic, 1, nil)); err != nil {
		return fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	return nil
}
