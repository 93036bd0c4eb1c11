package pickup

import (
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"
)

// The bounds of what staff may write.
const (
	textBytesMax     = 500
	digitsMin        = 3
	digitsMax        = 8
	codeBytesMax     = 64
	itemCodeBytesMax = 512
	actLinesMax      = protocol.SaleLinesMax
	unknownMembers   = "The request has a member that does not belong to this action: "
)

// Request is the JSON of POST /v1/orders/{id}/{action} at an agent. Which
// members an action has is HTTP.md's; protocol.DecodeJSON reads it strictly.
type Request struct {
	Staff      string        `json:"staff"`
	Reason     string        `json:"reason"`
	Shelf      string        `json:"shelf"`
	Bay        string        `json:"bay"`
	Car        string        `json:"car"`
	Lines      []RequestLine `json:"lines"`
	Till       string        `json:"till"`
	PickupCode string        `json:"pickup_code"`
	Check      *Check        `json:"check"`
	Tenders    []Tender      `json:"tenders"`
}

// Tender is one payment of what was due, as in a sale.
type Tender struct {
	Type        string          `json:"type"`
	AmountMinor *protocol.Money `json:"amount_minor"`
	Ref         string          `json:"ref"`
	Code        string          `json:"code"`
	Credit      bool            `json:"credit"`
}

// RequestLine is a quantity of one line of the order, in the item's unit. Code
// says which other item is in the line's place, as a sale would find it; the
// quantity counts units of that item, whatever the code stands for.
type RequestLine struct {
	Line uint32             `json:"line"`
	Qty  *protocol.Quantity `json:"qty"`
	Code string             `json:"code"`
}

// Check is what staff asked a shopper who has lost the code.
type Check struct {
	PhoneDigits string `json:"phone_digits"`
}

// actions are the acts by the last part of their address, with their members
// besides staff.
var actions = map[string]struct {
	act     protocol.Act
	members []string
}{
	"accept":    {protocol.Accept, nil},
	"reject":    {protocol.Reject, []string{"reason"}},
	"pick":      {protocol.Pick, []string{"lines"}},
	"ready":     {protocol.Ready, []string{"shelf"}},
	"arrive":    {protocol.Arrive, []string{"bay", "car"}},
	"hand-over": {protocol.HandOver, []string{"pickup_code", "check", "tenders", "till"}},
	"put-back":  {protocol.PutBack, []string{"lines"}},
	"undo":      {protocol.Undo, []string{"reason"}},
}

// ParsePartID reads where a page of a list begins; nothing is the first.
func ParsePartID(text string) (protocol.PartID, error) {
	if text == "" {
		return protocol.PartID{}, nil
	}
	order, number, _ := strings.Cut(text, "/")
	part, err := strconv.ParseUint(number, 10, 32)
	if err != nil || part == 0 || !protocol.ValidID(order) {
		return protocol.PartID{}, protocol.OutOfRange("after", "", "not where an earlier page ended")
	}
	return protocol.PartID{Order: protocol.OrderID(order), Part: uint32(part)}, nil
}

// ActOf is the act of an address, empty for none.
func ActOf(action string) protocol.Act { return actions[action].act }

// Validate refuses a request that nobody can mean, and makes what it asks for.
// cardNumber tells whether free text holds the number of a payment card.
func (r *Request) Validate(action string, cardNumber func(string) bool) (Ask, error) {
	ask := Ask{
		Act: ActOf(action), Staff: protocol.StaffID(r.Staff), Reason: strings.TrimSpace(r.Reason), Shelf: r.Shelf, Bay: r.Bay, Car: r.Car,
	}
	allowed := actions[action].members
	for name, given := range map[string]bool{
		"reason": r.Reason != "", "shelf": r.Shelf != "", "bay": r.Bay != "", "car": r.Car != "", "lines": len(r.Lines) > 0, "till": r.Till != "",
		"pickup_code": r.PickupCode != "", "check": r.Check != nil, "tenders": len(r.Tenders) > 0,
	} {
		if given && !slices.Contains(allowed, name) {
			return ask, protocol.Refuse(protocol.UnknownField, unknownMembers+name+". Nothing was recorded. Remove it and send the rest again.").With("field", name)
		}
	}
	if r.Staff != "" && !protocol.ValidID(r.Staff) {
		return ask, protocol.OutOfRange("staff", "", "not an identifier")
	}
	if r.Till != "" && !protocol.ValidTill(r.Till) {
		return ask, protocol.OutOfRange("till", "", "not 1 to 16 letters, digits and _")
	}
	for name, text := range map[string]string{"reason": r.Reason, "shelf": r.Shelf, "bay": r.Bay, "car": r.Car, "pickup_code": r.typedCode()} {
		if err := checkText(name, text, textBytesMax, cardNumber); err != nil {
			return ask, err
		}
	}
	if ask.Act == protocol.Reject && ask.Reason == "" {
		return ask, protocol.OutOfRange("reason", "", "missing (a rejection needs one)")
	}
	if len(r.Lines) > actLinesMax {
		return ask, protocol.OutOfRange("lines", strconv.Itoa(len(r.Lines)), "not a list of at most "+strconv.Itoa(actLinesMax)+" entries")
	}
	for i, l := range r.Lines {
		if l.Qty == nil {
			return ask, protocol.OutOfRange("qty", "", "missing").With("line", i+1)
		}
		if !protocol.ValidText(l.Code, itemCodeBytesMax) {
			return ask, protocol.OutOfRange("code", "", "not text of at most "+strconv.Itoa(itemCodeBytesMax)+" bytes without control characters").With("line", i+1)
		}
		ask.Lines = append(ask.Lines, protocol.PartLine{Line: l.Line, Quantity: *l.Qty})
	}
	return ask, nil
}

// typedCode is the code where it is no token, whose letters may look like
// anything.
func (r *Request) typedCode() string {
	if IsToken(r.PickupCode) {
		return ""
	}
	return r.PickupCode
}

// checkText refuses what is too long, and card numbers, which are not ours to
// keep.
func checkText(field, text string, bytesMax int, cardNumber func(string) bool) error {
	if !protocol.ValidText(text, bytesMax) {
		return protocol.OutOfRange(field, "", "not text of at most "+strconv.Itoa(bytesMax)+" bytes without control characters")
	}
	if cardNumber(text) {
		return protocol.Refuse(protocol.CardNumber, "The field "+field+" holds what looks like the number of a payment card. Nothing was recorded, and the number was not kept. Take it out and send the rest again.").
			With("field", field)
	}
	return nil
}
