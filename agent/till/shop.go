package till

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// zoneDefault is the price zone of a store that names none.
const zoneDefault protocol.ZoneID = "default"

// dayEndsAfter is how long after midnight a business day ends that nobody
// closed.
const dayEndsAfter = 4 * time.Hour

// shop is the store as its record has it now. Many requests share it, so
// nothing in it is changed.
type shop struct {
	record *protocol.StoreRecord // never nil; empty where nothing came yet
	loc    *time.Location
	zone   protocol.ZoneID
	taxes  []*protocol.TaxList // of the zone
	// promotions are those of the zone whose dates can be read.
	promotions []datedPromotion
}

func zoneOf(record *protocol.StoreRecord) protocol.ZoneID {
	if record == nil || record.PriceZone == "" {
		return zoneDefault
	}
	return record.PriceZone
}

// knownShop is a shop and the rows that it was made of.
type knownShop struct {
	shop *shop
	rows *reading
}

// readShop reads the store's terms, or finds that those read last still hold.
func (t *Till) readShop(r ledger.Reader) (*shop, error) {
	if known := t.known.Load(); known != nil {
		if same, err := known.rows.same(r); err != nil || same {
			return known.shop, err
		}
	}
	rows := &reading{Reader: r}
	s, err := t.makeShop(ledger.Live(rows), ledger.Live(r))
	if err != nil {
		return nil, err
	}
	rows.Reader = nil // it ends with the transaction
	t.known.Store(&knownShop{s, rows})
	return s, nil
}

// makeShop reads the store's terms. Promotions are read past the rows that are
// looked at again for each sale: they change with the zone's cursor, which is one
// of those rows.
func (t *Till) makeShop(r, past ledger.Reader) (*shop, error) {
	record, err := ledger.ReadStore(r, t.origin().Store)
	if err != nil {
		return nil, err
	}
	if record == nil {
		record = &protocol.StoreRecord{ID: t.origin().Store}
	}
	zone, err := sellingZone(r, zoneOf(record))
	if err != nil {
		return nil, err
	}
	s := &shop{record: record, loc: t.zones.location(record.Timezone, t.o.Log), zone: zone}
	if s.taxes, err = ledger.Taxes(r, zone); err != nil {
		return nil, err
	}
	if _, err := ledger.ReadCursor(r, protocol.PriceFeed(zone)); err != nil {
		return nil, err
	}
	rows, err := ledger.Promotions(past, zone)
	s.promotions = s.datePromotions(rows)
	return s, err
}

// noteZone is the price zone that this machine last had whole.
const noteZone = "price_zone"

// sellingZone is the zone whose prices and taxes are used: the one that the
// store record names, once its feed was here as a whole, and until then the one
// before. A change of zone can so never leave a till without prices, whatever
// the line does in that moment (I22).
func sellingZone(r ledger.Reader, named protocol.ZoneID) (protocol.ZoneID, error) {
	cursor, err := ledger.ReadCursor(r, protocol.PriceFeed(named))
	if err != nil || cursor.Tail {
		return named, err
	}
	b, err := ledger.Note(r, noteZone)
	if err != nil || b == nil {
		return named, err
	}
	return protocol.ZoneID(b), nil
}

// Settle notes that this machine has everything that it needs to sell, and
// which price zone it has whole. It is called whenever something came down.
func (t *Till) Settle(ctx context.Context) error {
	if ready, err := t.Provisioned(ctx); err != nil || !ready {
		return err
	}
	var zone protocol.ZoneID
	var known bool
	err := t.o.Driver.View(ctx, func(r ledger.Reader) error {
		record, err := ledger.ReadStore(r, t.origin().Store)
		if err != nil {
			return err
		}
		if zone, err = sellingZone(r, zoneOf(record)); err != nil {
			return err
		}
		b, err := ledger.Note(r, noteZone)
		known = string(b) == string(zone)
		return err
	})
	if err != nil || known {
		return err
	}
	return t.o.Driver.Update(ctx, func(tx ledger.Tx) error { return ledger.SetNote(tx, []byte(zone), noteZone) })
}

// offsetMin is the store's offset from UTC at a time, in minutes.
func (s *shop) offsetMin(at time.Time) int32 {
	_, seconds := at.In(s.loc).Zone()
	return int32(seconds / 60)
}

// businessDate is the day that a receipt belongs to.
func (s *shop) businessDate(at time.Time) string { return BusinessDate(at, s.loc) }

// BusinessDate is the business day of a moment in a store's time zone. A day
// that nobody closed ends at 04:00 in the store.
func BusinessDate(at time.Time, zone *time.Location) string {
	// The clock on the wall is shifted, not the instant, so that a day ends at
	// 04:00 also when the clocks change in that night.
	local := at.In(zone)
	wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), time.UTC)
	return wall.Add(-dayEndsAfter).Format(time.DateOnly)
}

// display is a time as documents show it.
func (s *shop) display(at time.Time) string { return at.In(s.loc).Format(protocol.TimeLayout) }

// displayRecord is the time of a record as documents show it, with the offset
// that the store had then.
func displayRecord(c protocol.Clock, offsetMin int32) string {
	return time.UnixMilli(c.WallMs).In(time.FixedZone("", int(offsetMin)*60)).Format(protocol.TimeLayout)
}

// startOf reads the beginning of a period: an RFC 3339 time, or a date, which
// means midnight in the store.
func (s *shop) startOf(text string) (time.Time, bool) {
	if len(text) == len(time.DateOnly) {
		at, err := time.ParseInLocation(time.DateOnly, text, s.loc)
		return at, err == nil
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}

// priceInForce is the price of an item at a time: of the zone's prices in the
// store's currency the one that began last, else the item's own.
func (s *shop) priceInForce(item *protocol.Item, list *protocol.PriceList, at time.Time) *protocol.Money {
	var found *protocol.Money
	var since time.Time
	if list != nil {
		for i := range list.Prices {
			p := &list.Prices[i]
			if p.Currency != "" && p.Currency != s.record.Currency {
				continue
			}
			from, ok := s.startOf(p.From)
			if p.From != "" && !ok || from.After(at) || found != nil && from.Before(since) {
				continue
			}
			if to, ok := s.startOf(p.To); p.To != "" && (!ok || !at.Before(to)) {
				continue
			}
			amount := p.Amount
			found, since = &amount, from
		}
	}
	if found == nil && item != nil && item.Price != nil && (item.Currency == "" || item.Currency == s.record.Currency) {
		amount := *item.Price
		found = &amount
	}
	return found
}

// rateInForce is the rate of a tax at a time; false means that none began yet.
func (s *shop) rateInForce(list *protocol.TaxList, at time.Time) (protocol.RatePPM, bool) {
	var found bool
	var rate protocol.RatePPM
	var since time.Time
	for _, r := range list.Rates {
		from, ok := s.startOf(r.From)
		if r.From != "" && !ok || from.After(at) || found && from.Before(since) {
			continue
		}
		rate, since, found = r.Rate, from, true
	}
	return rate, found
}

// zones remembers time zones, because loading one reads a file.
type zones struct {
	mu    sync.Mutex
	named map[string]*time.Location
}

// location is the time zone of a name. One that is not known is UTC, since a
// wrong word in a store's record must not stop the tills.
func (z *zones) location(name string, log *slog.Logger) *time.Location {
	z.mu.Lock()
	defer z.mu.Unlock()
	if loc, ok := z.named[name]; ok {
		return loc
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		log.Warn("time zone of the store is not known, UTC is used", "timezone", name, "error", err)
		loc = time.UTC
	}
	if z.named == nil {
		z.named = map[string]*time.Location{}
	}
	z.named[name] = loc
	return loc
}
