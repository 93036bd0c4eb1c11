package hub

import (
	"context"
	"io"
	"strconv"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// loadRowsMax bounds a stock load, whose rows are held in memory until their
// number is known.
const loadRowsMax = 500_000

// StockLoad asks the primary of a store to count what a file says. The hub's
// own levels change when those counts come back.
func (h *Hub) StockLoad(ctx context.Context, store protocol.StoreID, rows RowReader, keep keeper) (Report, error) {
	err := h.view(ctx, func(r ledger.Reader) error { return knownStore(r, store) })
	if err != nil {
		return Report{}, err
	}
	spool := stockSpool{report: Report{Errors: []RowError{}}, at: map[protocol.SKU]int{}}
	for err == nil {
		var chunk Report
		var changes []change[protocol.Quantity]
		changes, err = nextChunk(rows, parseStock, &chunk)
		if err != nil && err != io.EOF {
			return spool.report, err
		}
		if viewErr := h.view(ctx, func(r ledger.Reader) error { return spool.resolve(r, changes, &chunk) }); viewErr != nil {
			return spool.report, viewErr
		}
		spool.report.addInOrder(chunk)
	}
	if len(spool.rows) == 0 {
		return spool.report, nil
	}
	id, err := h.logLoad(ctx, store, spool.rows, func(tx ledger.Tx, id string) error {
		if keep == nil {
			return nil
		}
		report := spool.report
		report.LoadID = &id
		return keep(tx, report)
	})
	spool.report.LoadID = &id
	return spool.report, err
}

func parseStock(c *cells) protocol.Quantity {
	q := c.quantity("on_hand")
	switch code := c.row.cell("code"); {
	case c.err != nil:
	case code.text == "":
		c.err = required("code", code)
	case q.value == nil:
		c.err = required("on_hand", c.row.cell("on_hand"))
	}
	if c.err != nil {
		return 0
	}
	return *q.value
}

// stockSpool gathers a load before it is logged, since each of its events says
// how many rows there are in all.
type stockSpool struct {
	report Report
	rows   []protocol.StockRow
	at     map[protocol.SKU]int
}

func (s *stockSpool) resolve(r ledger.Reader, changes []change[protocol.Quantity], chunk *Report) error {
	for _, c := range changes {
		sku, refused, err := namedItem(r, &c.row)
		if err != nil {
			return err
		}
		if refused != nil {
			chunk.reject(c.row.Number, refused)
			continue
		}
		at, again := s.at[sku]
		if !again {
			if len(s.rows) == loadRowsMax {
				return protocol.Refuse(protocol.TooLarge, "The file has more than "+strconv.Itoa(loadRowsMax)+" items. Nothing was loaded. Split it up and send the parts.")
			}
			at = len(s.rows)
			s.at[sku], s.rows = at, append(s.rows, protocol.StockRow{SKU: sku})
		}
		chunk.count(!again || s.rows[at].OnHand != c.patch)
		s.rows[at].OnHand = c.patch
	}
	return nil
}

// loadPrefix begins the name of a stock load; the id of its first event
// follows.
const loadPrefix = "l-"

// logLoad writes the rows as events of the store's stream, the last of them
// together with what whole writes. Should it end in the middle, the primary
// counts what is there and the load stays pending; loading the file again makes
// it whole.
func (h *Hub) logLoad(ctx context.Context, store protocol.StoreID, rows []protocol.StockRow, whole func(tx ledger.Tx, id string) error) (string, error) {
	inc := h.ownStream(store)
	origin := protocol.Origin{Store: store, Agent: protocol.HubAgent, Inc: inc}
	id, primary := "", protocol.AgentID("")
	for first := 0; first < len(rows); first += chunkRowsMax {
		part := rows[first:min(first+chunkRowsMax, len(rows))]
		name := id
		_, err := h.act(ctx, store, func(tx ledger.Tx) (*protocol.Event, error) {
			if name = id; name == "" {
				stream, err := ledger.ReadStream(tx, origin)
				if err != nil {
					return nil, err
				}
				record, err := ledger.ReadStore(tx, store)
				if err != nil {
					return nil, err
				}
				// The load is bound to one machine, so that a change of the
				// primary on the way cannot make two machines count one row.
				primary = record.Primary
				name = loadPrefix + protocol.EventID{Inc: inc, Seq: stream.Seq + 1}.String()
			}
			if first+len(part) == len(rows) {
				if err := whole(tx, name); err != nil {
					return nil, err
				}
			}
			return &protocol.Event{
				Kind:      protocol.KindStockLoad,
				StockLoad: &protocol.StockLoad{ID: name, Agent: primary, First: int64(first), Total: int64(len(rows)), Rows: part},
			}, nil
		})
		if err != nil {
			return id, err
		}
		id = name
	}
	return id, nil
}

// LoadDocument is how far a stock load is.
type LoadDocument struct {
	LoadID  string           `json:"load_id"`
	Store   protocol.StoreID `json:"store"`
	Rows    int64            `json:"rows"`
	Applied int64            `json:"applied"`
	State   string           `json:"state"` // pending or applied
}

// Load tells how far a stock load is. Its name says whose event began it, and
// so which store it is for.
func (h *Hub) Load(ctx context.Context, id string) (LoadDocument, error) {
	doc := LoadDocument{LoadID: id, State: "pending"}
	unknown := protocol.Refuse(protocol.NotFound, "There is no stock load "+clip(id)+". Look for its name in the answer to the upload.")
	name, ok := strings.CutPrefix(id, loadPrefix)
	inc, _, _ := strings.Cut(name, "-")
	if !ok {
		return doc, unknown
	}
	err := h.view(ctx, func(r ledger.Reader) error {
		streams, err := ledger.AllStreams(r)
		if err != nil {
			return err
		}
		for _, s := range streams {
			if s.Origin.Agent != protocol.HubAgent || s.Origin.Inc.String() != inc {
				continue
			}
			load, err := ledger.ReadLoad(r, s.Origin.Store, id)
			if err == nil {
				doc.Store, doc.Rows, doc.Applied = s.Origin.Store, load.Total, min(load.Applied, load.Total)
			}
			return err
		}
		return nil
	})
	if err == nil && doc.Rows == 0 {
		err = unknown
	}
	if doc.Applied == doc.Rows {
		doc.State = "applied"
	}
	return doc, err
}

// knownStore refuses a store that the chain does not have.
func knownStore(r ledger.Reader, store protocol.StoreID) error {
	if protocol.ValidID(string(store)) {
		record, err := ledger.ReadStore(r, store)
		if err != nil || record != nil {
			return err
		}
	}
	return protocol.Refuse(protocol.UnknownStore, "There is no store "+clip(string(store))+". Nothing was recorded. Check the name, or import the store first.").With("value", clip(string(store)))
}
