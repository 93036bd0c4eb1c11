package main

// Files that mutants of holds, deadlines and messages change.
const (
	filePromise = "cloud/hub/promise.go"
	fileHolds   = "cloud/hub/holds.go"
	fileDue     = "cloud/hub/order_due.go"
	fileRunning = "cloud/hub/running.go"
	fileOutbox  = "cloud/hub/outbox.go"
	fileMessage = "cloud/hub/outbox_message.go"
	fileStock   = "cloud/hub/outbox_stock.go"
	fileNews    = "protocol/pickup/news.go"
)

// promiseMutants are the mutants of what carts hold, of what is over at some time,
// and of what the outside is told.
var promiseMutants = []mutant{
	{"hold not counted", "I12", []edit{{filePromise, "Promisable(level, buffer)-held), err", "Promisable(level, buffer)-0*held), err"}}},
	{"expired hold still counts", "I17", []edit{{fileHolds, "		if row.EndsMs > now && id[", "		if row.EndsMs > now-60_000 && id["}}},
	{"hold used twice", "I12", []edit{{fileHolds, "	return row, deleteHold(tx, id, row)\n", "	return row, nil\n"}}},
	{"hold used after its time", "I17", []edit{{fileHolds, "	if row.EndsMs <= h.running().Milliseconds() {\n", "	if row.EndsMs <= h.running().Milliseconds()-60_000 {\n"}}},
	{"hold of another store", "I12", []edit{{fileHolds, "	case row.Store != store:\n", "	case row.Store == \"\":\n"}}},
	{"holds forgotten at a start", "I12", []edit{{fileHolds, "			h.holds.add(row)\n			return true\n", "			h.holds.add(&holdRow{EndsMs: row.EndsMs})\n			return true\n"}}},
	{"hold forgotten before its time", "I17", []edit{{fileHolds, "			if row.EndsMs <= now {\n", "			if row.EndsMs <= now+60_000 {\n"}}},
	{"hold kept from its holder", "I12", []edit{{fileHolds, "id[len(prefix):] != but {", "id != but {"}}},
	{"released hold is kept", "I1, I12", []edit{{fileHolds, "		return deleteHold(tx, id, row)\n	})\n", "		return nil\n	})\n"}}},
	{"one key holds twice", "I3", []edit{{fileHolds, "			return keep(tx, answer)\n", "			return nil\n"}}},
	{"expires before its time", "I17", []edit{{fileDue, "time.UnixMilli(o.PickupByMs).Sub(h.now()))", "time.UnixMilli(o.PickupByMs).Sub(h.now())/2)"}}},
	{"pickup_by is over by the calendar", "I17", []edit{{fileDue, "	now := fmt.Sprintf(\"%016x\", h.running().Milliseconds())\n", "	now := fmt.Sprintf(\"%016x\", h.running().Milliseconds()+h.now().UnixMilli()%86_400_000)\n"}}},
	{"nobody looks at the last deadline", "I17", []edit{{fileDue, "i+1 == len(list) {", "i+2 == len(list) {"}}},
	{"reminded at once", "I17", []edit{{fileDue, "{at: fetchBy - min(fetchSoon, (fetchBy-placedAt)/2), what", "{at: min(placedAt+time.Minute, fetchBy), what"}}},
	{"deadline passes again", "I17", []edit{{fileDue, "errors.Join(ledger.SetNote(tx, nil, d.name()...), h.next(tx, d))", "errors.Join(h.next(tx, d))"}}},
	{"running time goes on while down", "I17", []edit{{fileRunning, "	total := time.Duration(ms) * time.Millisecond\n", "	total := time.Duration(ms)*time.Millisecond + min(time.Hour, time.Duration(ms)*time.Second)\n"}}},
	{"outbox forgets at a crash", "I6", []edit{{fileOutbox, "	b.wanted.Store(uint32(bits))\n", "	b.wanted.Store(0 * uint32(bits))\n"}}},
	{"message after its transaction", "I6", []edit{
		{fileOutbox, "	posted := 0\n	err := b.Driver", "	var late []Outgoing\n	posted := 0\n	err := b.Driver"},
		{fileOutbox, "		posted = len(list)\n		return b.post(tx, list)\n	})\n", "		late, posted = list, len(list)\n		return nil\n	})\n	if err == nil && posted > 0 {\n		err = b.Driver.Update(ctx, func(tx ledger.Tx) error { return b.post(tx, late) })\n	}\n"},
	}},
	{"message told under a new id", "I3", []edit{{fileMessage, "outgoing(messageIDPrefix+told.news.ID.String(),", "outgoing(messageIDPrefix+told.news.ID.String()+b.running().String(),"}}},
	{"message takes the place of another", "I6", []edit{{fileOutbox, "	return setCounter(tx, noteOutboxHead, head)\n", "	return setCounter(tx, noteOutboxHead, head-head%16/15)\n"}}},
	{"old news told again", "I3", []edit{{fileNews, "		so.entries = slices.Clone(before.entries)\n", "		so.entries = slices.Clone(before.entries[:1])\n"}}},
	{"news told in any order", "I15", []edit{{fileNews, "cmp.Compare(a.id.Seq, b.id.Seq))\n	})", "cmp.Compare(b.id.Seq, a.id.Seq))\n	})"}}},
	{"exceptions not told", "I6", []edit{{fileMessage, "	for i := range opened {\n", "	for i := range len(opened) / 2 {\n"}}},
	{"first word of stock is lost", "I6", []edit{{fileStock, "		if noted != nil {\n", "		if noted != nil && len(before) == 0 {\n"}}},
	{"change of stock is not told", "I6", []edit{{fileStock, "data.Availability == before {", "data.Availability == before || level.Quantity(protocol.Staged) > 0 {"}}},
}
