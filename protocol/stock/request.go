package stock

import (
	"encoding/hex"
	"strconv"
	"strings"

	"counterpart/protocol"
)

// Limits of a movement's request. They keep its event far below
// protocol.EventBytesMax in ordinary use.
const (
	LinesMax = 2000

	codeBytesMax      = 512
	referenceBytesMax = 128
	reasonBytesMax    = 500
)

// unitQuantity is one unit of an item, and one scan of an ordinary code.
const unitQuantity protocol.Quantity = 1000

// groupSeparator stands between the element strings of a scanned GS1 code. It
// is the one control character that a code may hold.
const groupSeparator = "\x1d"

// MovementRequest asks to move stock (POST /v1/stock/movements). Its members
// are those of HTTP.md, "Agent"; protocol.DecodeJSON reads it strictly.
type MovementRequest struct {
	Type       string         `json:"type"`
	Reference  string         `json:"reference"`
	Reason     string         `json:"reason"`
	Staff      string         `json:"staff"`
	ToStore    string         `json:"to_store"`
	TransferID string         `json:"transfer_id"`
	Lines      []MovementLine `json:"lines"`
}

// MovementLine is one scan or one typed code of a movement.
type MovementLine struct {
	Code string `json:"code"`
	// Qty counts scans of Code: 1 of a case of twelve is twelve pieces. Only
	// an adjustment takes one below zero; for a count it is what was counted.
	Qty *protocol.Quantity `json:"qty"`
	// State is where an adjustment applies; empty means on_hand.
	State string `json:"state"`
}

// Validate refuses a request that no shop can mean. cardNumber tells whether
// free text holds the number of a payment card.
func (r *MovementRequest) Validate(cardNumber func(string) bool) error {
	c := checker{cardNumber: cardNumber, kind: protocol.MovementType(r.Type)}
	switch c.kind {
	case protocol.Receipt, protocol.Adjustment, protocol.Count, protocol.TransferOut, protocol.TransferIn:
	default:
		c.outOfRange("type", "", "not one of receipt, adjustment, count, transfer_out and transfer_in")
	}
	c.text("reference", r.Reference, referenceBytesMax)
	c.text("reason", r.Reason, reasonBytesMax)
	if c.kind == protocol.Adjustment && strings.TrimSpace(r.Reason) == "" {
		c.outOfRange("reason", "", "missing (an adjustment needs one)")
	}
	c.id("staff", r.Staff)
	c.partner("to_store", r.ToStore, protocol.TransferOut)
	c.partner("transfer_id", r.TransferID, protocol.TransferIn)
	if n := len(r.Lines); n < 1 || n > LinesMax {
		c.outOfRange("lines", strconv.Itoa(n), "not a list of 1 to "+strconv.Itoa(LinesMax)+" entries")
	}
	for i, l := range r.Lines {
		c.line = i + 1
		c.movementLine(l)
	}
	if c.err == nil {
		return nil
	}
	return c.err
}

// checker goes over a request and keeps the first thing that is wrong.
type checker struct {
	cardNumber func(string) bool
	kind       protocol.MovementType
	line       int // the line under the eyes, from 1; 0 outside of lines
	err        *protocol.Error
}

func (c *checker) refuse(e *protocol.Error) {
	if c.err == nil {
		c.err = atLine(e, c.line)
	}
}

// atLine adds the line to e; 0 means none.
func atLine(e *protocol.Error, line int) *protocol.Error {
	if line > 0 {
		return e.With("line", line)
	}
	return e
}

func (c *checker) outOfRange(field, value, rule string) {
	c.refuse(protocol.OutOfRange(field, value, rule))
}

// text checks free text.
func (c *checker) text(field, value string, max int) {
	if !protocol.ValidText(value, max) {
		c.outOfRange(field, "", "not text of at most "+strconv.Itoa(max)+" bytes without control characters")
	}
	c.noCard(field, value)
}

func (c *checker) noCard(field, value string) {
	if c.cardNumber != nil && c.cardNumber(value) {
		c.refuse(protocol.Refuse(protocol.CardNumber, "The field "+field+" holds what looks like the number of a payment card. "+
			"Nothing was recorded, and the number was not kept. Take it out and send the rest again.").With("field", field))
	}
}

// id checks an identifier of ours; an empty one was not given.
func (c *checker) id(field, value string) {
	if value != "" && !protocol.ValidID(value) {
		c.outOfRange(field, "", "not 1 to 64 of the characters A–Z, a–z, 0–9, _ and -")
	}
	if !isEventID(value) {
		c.noCard(field, value)
	}
}

// isEventID tells whether an identifier is an event's, which is random and may
// therefore hold any digits.
func isEventID(s string) bool {
	inc, seq, ok := strings.Cut(s, "-")
	if !ok || len(inc) != 32 || seq == "" || strings.Trim(seq, "0123456789") != "" {
		return false
	}
	_, err := hex.DecodeString(inc)
	return err == nil
}

// partner checks a member that one type of movement needs and no other has.
func (c *checker) partner(field, value string, needs protocol.MovementType) {
	c.id(field, value)
	switch {
	case c.kind == needs && value == "":
		c.outOfRange(field, "", "missing (a "+string(needs)+" needs it)")
	case c.kind != needs && value != "":
		c.outOfRange(field, "", "given, but only a "+string(needs)+" has one")
	}
}

func (c *checker) movementLine(l MovementLine) {
	code := strings.ReplaceAll(l.Code, groupSeparator, "")
	if !protocol.ValidText(code, codeBytesMax) {
		c.outOfRange("code", "", "not text of at most "+strconv.Itoa(codeBytesMax)+" bytes without control characters")
	}
	if strings.TrimSpace(code) == "" {
		c.outOfRange("code", "", "missing")
	}
	if state, ok := adjusted(l.State); !ok {
		c.outOfRange("state", "", "not one of on_hand, damaged and quality_control")
	} else if state != protocol.OnHand && c.kind != protocol.Adjustment {
		c.outOfRange("state", l.State, "only possible in an adjustment")
	}
	c.quantity(l.Qty)
}

func (c *checker) quantity(qty *protocol.Quantity) {
	switch {
	case qty == nil:
		c.outOfRange("qty", "", "missing")
	case *qty > protocol.QuantityMax || *qty < -protocol.QuantityMax:
		c.outOfRange("qty", qty.String(), "beyond 10,000,000")
	case c.kind == protocol.Adjustment && *qty == 0:
		c.outOfRange("qty", qty.String(), "0, which changes nothing")
	case c.kind == protocol.Count && *qty < 0:
		c.outOfRange("qty", qty.String(), "below 0, which nobody can count")
	case c.kind == protocol.TransferIn && *qty == 0: // Nothing of it came.
	case c.kind != protocol.Adjustment && c.kind != protocol.Count && *qty <= 0:
		c.outOfRange("qty", qty.String(), "not above 0 (an adjustment takes goods off)")
	}
}

// adjusted is the state that a line names; on_hand where none was given.
func adjusted(state string) (protocol.State, bool) {
	switch state {
	case "", protocol.OnHand.String():
		return protocol.OnHand, true
	case protocol.Damaged.String():
		return protocol.Damaged, true
	case protocol.QualityControl.String():
		return protocol.QualityControl, true
	}
	return 0, false
}
