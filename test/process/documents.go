package process

import "counterpart/protocol"

// The documents below are the members that the test programs use, as an
// integrator would write them down from the interface's description.

// Sale is the body of POST /v1/sales.
type Sale struct {
	Till     string    `json:"till,omitempty"`
	Lines    []Line    `json:"lines"`
	Tenders  []Tender  `json:"tenders,omitempty"`
	Member   string    `json:"member_id,omitempty"`
	Staff    string    `json:"staff,omitempty"`
	External *External `json:"external,omitempty"`
}

// Line is one line of a sale, or of a return without a receipt.
type Line struct {
	Code      string            `json:"code,omitempty"`
	Line      int               `json:"line,omitempty"` // of the receipt, in a return
	Quantity  protocol.Quantity `json:"qty"`
	UnitPrice *int64            `json:"unit_price_minor,omitempty"`
	Amount    *int64            `json:"amount_minor,omitempty"`
	To        string            `json:"to,omitempty"`
}

// Tender is one payment or refund.
type Tender struct {
	Type   string `json:"type"`
	Amount int64  `json:"amount_minor"`
	Ref    string `json:"ref,omitempty"`
}

// External says that another till has done it already.
type External struct {
	Source       string `json:"source"`
	ID           string `json:"id"`
	ReceiptNo    string `json:"receipt_no,omitempty"`
	OccurredAt   string `json:"occurred_at,omitempty"`
	BusinessDate string `json:"business_date,omitempty"`
	Total        int64  `json:"total_minor"`
}

// Return is the body of POST /v1/returns.
type Return struct {
	Till      string    `json:"till,omitempty"`
	ReceiptNo *string   `json:"receipt_no"`
	Lines     []Line    `json:"lines"`
	Tenders   []Tender  `json:"tenders,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	External  *External `json:"external,omitempty"`
}

// Movement is the body of POST /v1/stock/movements.
type Movement struct {
	Type      string         `json:"type"`
	Reference string         `json:"reference,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	Lines     []MovementLine `json:"lines"`
}

// MovementLine is one line of a movement.
type MovementLine struct {
	Code     string            `json:"code"`
	Quantity protocol.Quantity `json:"qty"`
	State    string            `json:"state,omitempty"`
}

// SaleDocument is what became of a sale, a return or a void.
type SaleDocument struct {
	Type      string         `json:"type"`
	EventID   string         `json:"event_id"`
	Inc       string         `json:"inc"`
	Seq       int64          `json:"seq"`
	Store     string         `json:"store"`
	Agent     string         `json:"agent"`
	Till      string         `json:"till"`
	ReceiptNo string         `json:"receipt_no"`
	Currency  string         `json:"currency"`
	Lines     []DocumentLine `json:"lines"`
	Tenders   []Tender       `json:"tenders"`
	Total     int64          `json:"total_minor"`
	External  *External      `json:"external"`
}

// DocumentLine is one line of a sale document.
type DocumentLine struct {
	Line     int               `json:"line"`
	SKU      string            `json:"sku"`
	Quantity protocol.Quantity `json:"qty"`
	Amount   int64             `json:"amount_minor"`
}

// Level is the stock of one item in one store.
type Level struct {
	SKU       string            `json:"sku"`
	OnHand    protocol.Quantity `json:"on_hand"`
	Committed protocol.Quantity `json:"committed"`
	Staged    protocol.Quantity `json:"staged"`
}

// AgentStatus is GET /v1/status of an agent.
type AgentStatus struct {
	Agent string `json:"agent"`
	Store string `json:"store"`
	Link  struct {
		State string  `json:"state"`
		Cause *string `json:"cause"`
	} `json:"link"`
	Stream struct {
		Inc             string  `json:"inc"`
		LastSeq         int64   `json:"last_seq"`
		Pending         int64   `json:"pending"`
		OldestPendingAt *string `json:"oldest_pending_at"`
	} `json:"stream"`
	Feeds []struct {
		Feed   string `json:"feed"`
		State  string `json:"state"`
		Behind int64  `json:"behind"`
	} `json:"feeds"`
	DeadLetters int64 `json:"dead_letters"`
}

// HubStatus is GET /v1/status of the hub.
type HubStatus struct {
	Events      int64 `json:"events"`
	DeadLetters int64 `json:"dead_letters"`
	Gaps        int64 `json:"gaps"`
}

// HubAgent is one item of GET /v1/agents.
type HubAgent struct {
	Agent   string `json:"agent"`
	Store   string `json:"store"`
	Link    string `json:"link"`
	Pending int64  `json:"pending"`
	Streams []struct {
		Inc  string `json:"inc"`
		Seq  int64  `json:"seq"`
		Gaps []struct {
			From int64 `json:"from"`
			To   int64 `json:"to"`
		} `json:"gaps"`
	} `json:"streams"`
}

// page is one page of a list.
type page[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"`
}

// Import is the report of a bulk load.
type Import struct {
	Read      int     `json:"read"`
	Applied   int     `json:"applied"`
	Unchanged int     `json:"unchanged"`
	Rejected  int     `json:"rejected"`
	LoadID    *string `json:"load_id"`
	Errors    []struct {
		Row     int    `json:"row"`
		Field   string `json:"field"`
		Value   string `json:"value"`
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
}
