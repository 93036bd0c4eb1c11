package hub

import (
	"context"
	"regexp"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

type storePatch struct {
	id                                                       protocol.StoreID
	name, timezone, country, city, currency, zone, legalName given[string]
	taxID, address, hours, fiscal, primary, source           given[string]
	lat, lon                                                 given[*float64]
	rounding                                                 given[*protocol.Money]
}

// ImportStores takes in the records of stores. An empty primary_agent leaves the
// choice to the hub, whose choice stands while that agent exists.
func (h *Hub) ImportStores(ctx context.Context, rows RowReader) (Report, error) {
	report, err := importRows(ctx, h, rows, table[storePatch]{parse: h.parseStore, merge: h.mergeStores})
	if err != nil {
		return report, err
	}
	return report, h.ensurePrimaries(ctx)
}

func (h *Hub) parseStore(c *cells) storePatch {
	p := storePatch{
		id: protocol.StoreID(c.id("id", "").value), name: c.text("name", textBytesMax),
		lat: c.degrees("lat", 90), lon: c.degrees("lon", 180),
		timezone: c.word("timezone", "", validTimezone, "is not a time zone such as Europe/London"),
		country:  c.text("country", wordBytesMax), city: c.text("city", textBytesMax),
		currency: c.currency("currency", h.currency), zone: c.id("price_zone", defaultZone),
		legalName: c.text("legal_name", textBytesMax), taxID: c.text("tax_id", textBytesMax), address: c.text("address", textBytesMax),
		rounding: c.money("cash_rounding_minor"),
		hours:    c.word("opening_hours", "", validHours, "has to be opening hours such as Mo-Sa 08:00-20:00; Su 10:00-16:00"),
		fiscal:   c.text("fiscal", longBytesMax),
		primary:  c.word("primary_agent", "", validAgent, ruleID+", other than hub"), source: c.text("source", textBytesMax),
	}
	switch {
	case c.err != nil:
	case p.id == "":
		c.err = required("id", c.row.cell("id"))
	case p.name.set && p.name.value == "":
		c.err = required("name", c.row.cell("name"))
	case p.timezone.set && p.timezone.value == "":
		c.err = required("timezone", c.row.cell("timezone"))
	}
	return p
}

func validAgent(s string) bool {
	return protocol.ValidID(s) && protocol.AgentID(s) != protocol.HubAgent
}

// validTimezone tells whether s is in the time zone database. What only means
// the zone of this machine is not.
func validTimezone(s string) bool {
	if s == "Local" {
		return false
	}
	_, err := time.LoadLocation(s)
	return err == nil
}

var hoursRule = regexp.MustCompile(`^(Mo|Tu|We|Th|Fr|Sa|Su)(-(Mo|Tu|We|Th|Fr|Sa|Su))?(,(Mo|Tu|We|Th|Fr|Sa|Su)(-(Mo|Tu|We|Th|Fr|Sa|Su))?)* ` +
	`([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)(,([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00))*$`)

// validHours tells whether s is a list of days with times, as in
// "Mo-Sa 08:00-20:00; Su 10:00-16:00". A time that ends before it starts ends on
// the next day.
func validHours(s string) bool {
	if len(s) > textBytesMax {
		return false
	}
	for rule := range strings.SplitSeq(s, ";") {
		if !hoursRule.MatchString(strings.TrimSpace(rule)) {
			return false
		}
	}
	return true
}

func (h *Hub) mergeStores(tx ledger.Tx, changes []change[storePatch], report *Report) (*protocol.Catalog, int, error) {
	stores := newDrafts[protocol.StoreID](protocol.EncodeStoreRecord)
	taken := 0
	for _, c := range changes {
		if stores.bytes > chunkBytesMax {
			break
		}
		taken++
		if _, ok := stores.rows[c.patch.id]; !ok {
			stored, err := ledger.ReadStore(tx, c.patch.id)
			if err == nil {
				err = stores.stored(c.patch.id, stored)
			}
			if err != nil {
				return nil, 0, err
			}
		}
		store, known := stores.get(c.patch.id)
		if !known {
			store = protocol.StoreRecord{ID: c.patch.id, Currency: h.currency, PriceZone: defaultZone}
		}
		elected := store.Primary
		c.patch.onto(&store)
		if store.Primary == "" && elected != "" {
			stands, err := isAgentOf(tx, elected, store.ID)
			if err != nil {
				return nil, 0, err
			}
			if stands {
				store.Primary = elected
			}
		}
		if store.Name == "" {
			report.reject(c.row.Number, required("name", c.row.cell("name")))
			continue
		}
		if store.Timezone == "" {
			report.reject(c.row.Number, required("timezone", c.row.cell("timezone")))
			continue
		}
		changed, err := stores.put(store.ID, store)
		if err != nil {
			return nil, 0, err
		}
		report.count(changed)
	}
	return &protocol.Catalog{Stores: stores.changed()}, taken, nil
}

func (p *storePatch) onto(s *protocol.StoreRecord) {
	p.name.onto(&s.Name)
	p.lat.onto(&s.Lat)
	p.lon.onto(&s.Lon)
	p.timezone.onto(&s.Timezone)
	p.country.onto(&s.Country)
	p.city.onto(&s.City)
	p.currency.onto(&s.Currency)
	if p.zone.set {
		s.PriceZone = protocol.ZoneID(p.zone.value)
	}
	p.legalName.onto(&s.LegalName)
	p.taxID.onto(&s.TaxID)
	p.address.onto(&s.Address)
	if p.rounding.set {
		s.CashRounding = 0
		if p.rounding.value != nil {
			s.CashRounding = *p.rounding.value
		}
	}
	p.hours.onto(&s.OpeningHours)
	p.fiscal.onto(&s.Fiscal)
	if p.primary.set {
		s.Primary = protocol.AgentID(p.primary.value)
	}
	p.source.onto(&s.Source)
}
