package cloud

import (
	"context"
	"crypto/rand"
	"time"

	"counterpart/cloud/api"
	"counterpart/cloud/hub"
	"counterpart/cloud/webhooks"
	"counterpart/protocol"
)

// webhooks hands the sender of webhooks the hub's outbox.
func (c *Cloud) webhooks() webhooks.Options {
	h := c.hub
	return webhooks.Options{
		Driver: c.db,
		Messages: func(ctx context.Context, behind uint64, limit int) ([]webhooks.Message, error) {
			found, err := h.Outbox(ctx, behind, limit)
			list := make([]webhooks.Message, len(found))
			for i := range found {
				list[i] = webhooks.Message(found[i])
			}
			return list, err
		},
		Before: h.OutboxBefore, Head: hub.OutboxHead, Grown: h.OutboxGrown,
		Want:  func(ctx context.Context, g webhooks.Groups) error { return h.SetWanted(ctx, hub.Wanted(g)) },
		Types: hub.MessageTypes(), Once: h.Once, Now: time.Now, Running: h.RunningTime,
		Random: func(b []byte) {
			if _, err := rand.Read(b); err != nil {
				panic(err) // crypto/rand does not fail on supported systems
			}
		},
		AllowPrivate: c.cfg.WebhooksAllowPrivate, AllowHTTP: c.cfg.InsecureDev, Log: c.log,
	}
}

// outside hands the HTTP API what the shop is told beside answers.
func (c *Cloud) outside(d api.Deps) api.Deps {
	d.LocalInventory = func(ctx context.Context, each func(api.LocalItem) error) error {
		return c.hub.LocalInventory(ctx, func(i hub.LocalItem) error { return each(api.LocalItem(i)) })
	}
	d.Product = func(ctx context.Context, code string, store protocol.StoreID) (any, error) {
		return c.hub.Product(ctx, code, store)
	}
	d.Webhooks = func(ctx context.Context, p api.Page) (any, error) { return c.hooks.List(ctx, webhooks.Page(p)) }
	d.AddWebhook = func(ctx context.Context, call protocol.Call, r api.WebhookRequest) (protocol.Answer, error) {
		return c.hooks.Add(ctx, call, webhooks.Request(r))
	}
	d.DropWebhook = func(ctx context.Context, id string) (any, error) { return c.hooks.Drop(ctx, id) }
	d.ReplayWebhook = func(ctx context.Context, call protocol.Call, id string, r api.ReplayRequest) (protocol.Answer, error) {
		return c.hooks.Replay(ctx, call, id, webhooks.ReplayRequest(r))
	}
	d.DeadWebhooks = func(ctx context.Context, id string, p api.Page) (any, error) {
		return c.hooks.Dead(ctx, id, webhooks.Page(p))
	}
	return d
}
