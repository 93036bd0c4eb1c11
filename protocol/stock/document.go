package stock

import "counterpart/protocol"

// SafetyStockDefault is what is kept back from the online promise where no
// policy says otherwise: one unit.
const SafetyStockDefault = unitQuantity

// Document is the level of HTTP.md: what a store holds of one item. Every
// member is always present, null where nothing is known.
type Document struct {
	Store            protocol.StoreID  `json:"store"`
	SKU              protocol.SKU      `json:"sku"`
	GTIN             *string           `json:"gtin"`
	Name             *string           `json:"name"`
	Unit             protocol.Unit     `json:"unit"`
	OnHand           protocol.Quantity `json:"on_hand"`
	Committed        protocol.Quantity `json:"committed"`
	Staged           protocol.Quantity `json:"staged"`
	Damaged          protocol.Quantity `json:"damaged"`
	QualityControl   protocol.Quantity `json:"quality_control"`
	SafetyStock      protocol.Quantity `json:"safety_stock"`
	Incoming         protocol.Quantity `json:"incoming"`
	Available        protocol.Quantity `json:"available"`
	Allotment        protocol.Quantity `json:"allotment"`
	RecountSuggested bool              `json:"recount_suggested"`
	AsOf             string            `json:"as_of"`
}

// Meta is what a level's document says beside the level.
type Meta struct {
	Store  protocol.StoreID
	SKU    protocol.SKU
	Item   *protocol.Item // nil where the catalogue does not know the item
	Policy Policy
	AsOf   string // RFC 3339 with the store's offset
}

// NewDocument shows a level.
func NewDocument(m Meta, l *Level) Document {
	d := Document{
		Store: m.Store, SKU: m.SKU, Unit: protocol.Each,
		OnHand: l.OnHand(), Committed: l.Quantity(protocol.Committed), Staged: l.Quantity(protocol.Staged),
		Damaged: l.Quantity(protocol.Damaged), QualityControl: l.Quantity(protocol.QualityControl),
		SafetyStock: m.Policy.SafetyStock, Incoming: l.Quantity(protocol.Incoming),
		Available: l.Available(m.Policy.SafetyStock), Allotment: m.Policy.Allotment(l, 0),
		RecountSuggested: l.RecountSuggested(), AsOf: m.AsOf,
	}
	if m.Item != nil {
		d.GTIN, d.Name, d.Unit = orNull(m.Item.GTIN), orNull(m.Item.Name), unitOf(m.Item.Unit)
	}
	return d
}

// MovementDocument is what a movement is answered with and how it is shown
// later. HTTP.md fixes event_id, seq, transfer_id, warnings and, of a line,
// line, sku, gtin and on_hand; the other members say what was asked for.
type MovementDocument struct {
	Type       protocol.MovementType  `json:"type"`
	EventID    string                 `json:"event_id"`
	Inc        string                 `json:"inc"`
	Seq        protocol.Seq           `json:"seq"`
	Store      protocol.StoreID       `json:"store"`
	Agent      protocol.AgentID       `json:"agent"`
	At         string                 `json:"at"`
	Reference  *string                `json:"reference"`
	Reason     *string                `json:"reason"`
	Staff      *string                `json:"staff"`
	ToStore    *string                `json:"to_store"`
	TransferID *string                `json:"transfer_id"`
	LoadID     *string                `json:"load_id"`
	Warnings   []MovementWarning      `json:"warnings"`
	Lines      []MovementDocumentLine `json:"lines"`
}

// MovementDocumentLine is one line of a movement. Qty is in the item's unit.
type MovementDocumentLine struct {
	Line   int               `json:"line"`
	SKU    protocol.SKU      `json:"sku"`
	GTIN   *string           `json:"gtin"`
	Name   *string           `json:"name"`
	Qty    protocol.Quantity `json:"qty"`
	State  string            `json:"state"`
	OnHand protocol.Quantity `json:"on_hand"`
}

// MovementWarning tells staff something that did not stop the movement.
type MovementWarning struct {
	Code    string  `json:"code"`
	Line    *uint32 `json:"line"`
	Message string  `json:"message"`
}

// MovementMeta is what a movement's document says beside the movement.
type MovementMeta struct {
	EventID protocol.EventID
	Inc     protocol.Inc
	Seq     protocol.Seq
	Store   protocol.StoreID
	Agent   protocol.AgentID
	At      string              // RFC 3339 with the store's offset
	OnHand  []protocol.Quantity // of each line's item now
	// Item finds what the catalogue knows of a SKU, nil for nothing.
	Item func(protocol.SKU) *protocol.Item
}

// NewMovementDocument shows a movement. The transfer that goods leave with is
// named by their event, so that the other store can refer to it.
func NewMovementDocument(meta MovementMeta, m *protocol.Movement) MovementDocument {
	d := MovementDocument{
		Type: m.Type, EventID: meta.EventID.String(), Inc: meta.Inc.String(), Seq: meta.Seq, Store: meta.Store, Agent: meta.Agent, At: meta.At,
		Reference: orNull(m.Reference), Reason: orNull(m.Reason), Staff: orNull(string(m.Staff)),
		ToStore: orNull(string(m.ToStore)), TransferID: orNull(m.TransferID), LoadID: orNull(m.Load),
		Warnings: []MovementWarning{}, Lines: make([]MovementDocumentLine, 0, len(m.Lines)),
	}
	if m.Type == protocol.TransferOut && d.TransferID == nil {
		d.TransferID = &d.EventID
	}
	for i, l := range m.Lines {
		line := MovementDocumentLine{
			Line: i + 1, SKU: l.Item.SKU, GTIN: orNull(l.Item.GTIN), Name: orNull(l.Item.Name),
			Qty: l.Quantity, State: l.State.String(),
		}
		if i < len(meta.OnHand) {
			line.OnHand = meta.OnHand[i]
		}
		if item := meta.Item(l.Item.SKU); item != nil {
			line.GTIN, line.Name = orNull(item.GTIN), orNull(item.Name)
			if !item.Stocked {
				d.warn("not_stocked", i, item.Name+" is not kept in stock: sales do not change its book.")
			}
		}
		if line.OnHand < 0 {
			d.warn("below_zero", i, BelowZero(line.OnHand))
		}
		d.Lines = append(d.Lines, line)
	}
	return d
}

func (d *MovementDocument) warn(code string, i int, message string) {
	line := uint32(i + 1)
	d.Warnings = append(d.Warnings, MovementWarning{Code: code, Line: &line, Message: message})
}

// BelowZero is what staff are told when the book falls below zero.
func BelowZero(onHand protocol.Quantity) string {
	return "The book shows −" + (-onHand).String() + " on hand."
}

// PromisedOnline is what staff are told when a sale leaves less than online may
// hold: what is known to be promised, and what may be beyond it.
func PromisedOnline(known, beyond, left protocol.Quantity) string {
	text := known.String() + " promised online"
	if beyond > 0 {
		text += ", and perhaps " + beyond.String() + " more"
	}
	return text + "; the book leaves " + max(0, left).String() + " for it."
}

// ItemDocument is a row of GET /v1/items: the catalogue's item with its price
// in force and what the store holds of it.
type ItemDocument struct {
	SKU        protocol.SKU       `json:"sku"`
	GTIN       *string            `json:"gtin"`
	Codes      []ItemCodeDocument `json:"codes"`
	Name       *string            `json:"name"`
	Brand      *string            `json:"brand"`
	Category   *string            `json:"category"`
	Unit       protocol.Unit      `json:"unit"`
	PriceMinor *protocol.Money    `json:"price_minor"`
	Currency   *string            `json:"currency"`
	TaxCode    *string            `json:"tax_code"`
	Stocked    bool               `json:"stocked"`
	Blocked    bool               `json:"blocked"`
	MinAge     *uint32            `json:"min_age"`
	ParentSKU  *string            `json:"parent_sku"`
	Attributes map[string]string  `json:"attributes"`
	OnHand     protocol.Quantity  `json:"on_hand"`
}

// ItemCodeDocument is one more code of an item. Multiplier is in its unit.
type ItemCodeDocument struct {
	Code       string            `json:"code"`
	Multiplier protocol.Quantity `json:"multiplier"`
}

// NewItemDocument shows an item. price is the one in force in the store, in
// its currency, nil where there is none.
func NewItemDocument(it *protocol.Item, price *protocol.Money, currency string, onHand protocol.Quantity) ItemDocument {
	d := ItemDocument{
		SKU: it.SKU, GTIN: orNull(it.GTIN), Codes: make([]ItemCodeDocument, 0, len(it.Codes)),
		Name: orNull(it.Name), Brand: orNull(it.Brand), Category: orNull(it.Category), Unit: unitOf(it.Unit),
		PriceMinor: price, Currency: orNull(currency), TaxCode: orNull(it.TaxCode),
		Stocked: it.Stocked, Blocked: it.Blocked, ParentSKU: orNull(string(it.Parent)),
		Attributes: make(map[string]string, len(it.Attributes)), OnHand: onHand,
	}
	if it.MinAge > 0 {
		d.MinAge = &it.MinAge
	}
	for _, c := range it.Codes {
		d.Codes = append(d.Codes, ItemCodeDocument{Code: c.Code, Multiplier: c.Multiplier})
	}
	for _, a := range it.Attributes {
		d.Attributes[a.Name] = a.Value
	}
	return d
}

// unitOf is the unit of an item; an empty one means each.
func unitOf(u protocol.Unit) protocol.Unit {
	if u == "" {
		return protocol.Each
	}
	return u
}

// orNull is null for empty text.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
