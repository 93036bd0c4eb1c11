package protocol

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"counterpart/protocol/wire"
)

// checkBodies checks that a known kind has its body and no event has another.
func checkBodies(c *check, e *Event) {
	for _, body := range [...]struct {
		kind Kind
		set  bool
	}{
		{KindSale, e.Sale != nil},
		{KindMovement, e.Movement != nil},
		{KindCountSeen, e.CountSeen != nil},
		{KindStockLoad, e.StockLoad != nil},
		{KindCatalog, e.Catalog != nil},
		{KindReissue, e.Reissue != nil},
		{KindGap, e.Gap != nil},
		{KindDigest, e.Digest != nil},
		{KindOrder, e.Order != nil},
		{KindOrderChange, e.OrderChange != nil},
		{KindFulfilment, e.Fulfilment != nil},
		{KindExceptionChange, e.ExceptionChange != nil},
		{KindTransfer, e.Transfer != nil},
		{KindLease, e.Lease != nil},
		{KindPointsChange, e.PointsChange != nil},
		{KindMember, e.Member != nil},
		{KindCart, e.Cart != nil},
		{KindContact, e.Contact != nil},
		{KindAccountChange, e.AccountChange != nil},
	} {
		switch {
		case body.set && e.Kind != body.kind:
			c.failf("an event of kind %s has the body of a %s", e.Kind, body.kind)
		case !body.set && e.Kind == body.kind:
			c.failf("the body is missing")
		}
	}
}

// encodeBody makes the message of every body but a sale.
func encodeBody(c *check, e *Event, items *itemTable) proto.Message {
	switch {
	case e.Movement != nil:
		return encodeMovement(c, e.Movement, items)
	case e.CountSeen != nil:
		return encodeCountSeen(e.CountSeen)
	case e.StockLoad != nil:
		return encodeStockLoad(e.StockLoad)
	case e.Catalog != nil:
		return encodeCatalog(e.Catalog)
	case e.Reissue != nil:
		return encodeReissue(e.Reissue)
	case e.Gap != nil:
		return encodeGap(e.Gap)
	case e.Digest != nil:
		return encodeOwnDigest(e.Digest)
	case e.Order != nil:
		return encodeOrder(c, e.Order, items)
	case e.OrderChange != nil:
		return encodeOrderChange(c, e.OrderChange, items)
	case e.Fulfilment != nil:
		return encodeFulfilment(c, e.Fulfilment, items)
	case e.ExceptionChange != nil:
		return encodeExceptionChange(e.ExceptionChange)
	case e.Transfer != nil:
		return encodeTransfer(c, e.Transfer, items)
	case e.Lease != nil:
		return encodeLease(e.Lease)
	case e.PointsChange != nil:
		return encodePointsChange(e.PointsChange)
	case e.Member != nil:
		return encodeMember(e.Member)
	case e.Cart != nil:
		return encodeCart(e.Cart)
	case e.Contact != nil:
		return encodeContact(e.Contact)
	case e.AccountChange != nil:
		return encodeAccountChange(e.AccountChange)
	}
	return nil
}

// decodeBody reads every body but a sale.
func decodeBody(c *check, field protowire.Number, b []byte, e *Event, items []ItemRef) {
	switch field {
	case eventMovement:
		e.Movement = readLines(c, b, &wire.Movement{}, decodeMovement, items)
	case eventCountSeen:
		e.CountSeen = readBody(c, b, &wire.CountSeen{}, decodeCountSeen)
	case eventStockLoad:
		e.StockLoad = readBody(c, b, &wire.StockLoad{}, decodeStockLoad)
	case eventCatalog:
		e.Catalog = readBody(c, b, &wire.Catalog{}, decodeCatalog)
	case eventReissue:
		e.Reissue = readBody(c, b, &wire.Reissue{}, decodeReissue)
	case eventGap:
		e.Gap = readBody(c, b, &wire.Gap{}, decodeGap)
	case eventDigest:
		e.Digest = readBody(c, b, &wire.OwnDigest{}, decodeOwnDigest)
	case eventOrder:
		e.Order = readLines(c, b, &wire.Order{}, decodeOrder, items)
	case eventOrderChange:
		e.OrderChange = readLines(c, b, &wire.OrderChange{}, decodeOrderChange, items)
	case eventFulfilment:
		e.Fulfilment = readLines(c, b, &wire.Fulfilment{}, decodeFulfilment, items)
	case eventExceptionChange:
		e.ExceptionChange = readBody(c, b, &wire.ExceptionChange{}, decodeExceptionChange)
	case eventTransfer:
		e.Transfer = readLines(c, b, &wire.Transfer{}, decodeTransfer, items)
	case eventLease:
		e.Lease = readBody(c, b, &wire.Lease{}, decodeLease)
	case eventPointsChange:
		e.PointsChange = readBody(c, b, &wire.PointsChange{}, decodePointsChange)
	case eventMember:
		e.Member = readBody(c, b, &wire.Member{}, decodeMember)
	case eventCart:
		e.Cart = readBody(c, b, &wire.Cart{}, decodeCart)
	case eventContact:
		e.Contact = readBody(c, b, &wire.Contact{}, decodeContact)
	case eventAccountChange:
		e.AccountChange = readBody(c, b, &wire.AccountChange{}, decodeAccountChange)
	}
}

// readBody reads a body; it is nil for one that cannot be read.
func readBody[M proto.Message, T any](c *check, b []byte, m M, decode func(*check, M) *T) *T {
	if !c.read(b, m) {
		return nil
	}
	return decode(c, m)
}

// readLines is readBody for a body that refers to the event's items.
func readLines[M proto.Message, T any](c *check, b []byte, m M, decode func(*check, M, []ItemRef) *T, items []ItemRef) *T {
	if !c.read(b, m) {
		return nil
	}
	return decode(c, m, items)
}
