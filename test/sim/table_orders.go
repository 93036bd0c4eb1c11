package main

// orderMutants are the mutants of what becomes of online orders.
var orderMutants = []mutant{
	{"promises count against nothing", "I12", []edit{{fileLevel, "	return max(0, l.Allotment(safetyStock)-l.quantities[protocol.Committed])\n", "	return l.Allotment(safetyStock)\n"}}},
	{"damaged goods are promised", "I12", []edit{{fileLevel, "	return max(0, q[protocol.OnHand]-q[protocol.Staged]-q[protocol.Damaged]-", "	return max(0, q[protocol.OnHand]-q[protocol.Staged]-"}}},
	{"order checked before its commit", "I12", []edit{
		{fileOrder, "	err = h.view(ctx, func(v ledger.Reader) error {\n		if err := knownStore(v, store)", "	var early *protocol.Order\n	err = h.view(ctx, func(v ledger.Reader) error {\n		if err := knownStore(v, store)"},
		{fileOrder, "			_, err = h.order(v, r, record)\n", "			early, err = h.order(v, r, record)\n"},
		{fileOrder, "		order, err := h.order(tx, r, record)\n", "		_ = record\n		order, err := early, error(nil)\n"},
	}},
	{"nothing is owed after a start", "I12, I15", []edit{{fileHub, "	if err := h.settleAll(ctx); protocol.CodeOf", "	if err := error(nil); protocol.CodeOf"}}},
	{"released again and again", "I12", []edit{{filePart, "		s.move(c.Lines, s.Committed, s.Released)\n", "		s.move(c.Lines, s.Released, nil)\n"}}},
	{"shortage stays promised", "I12", []edit{{fileOwed, "	case s.Store >= PartiallyPicked:\n", "	case s.Store >= Ready && s.Store < PutBack:\n"}}},
	{"picked twice is not corrected", "I12", []edit{{fileOwed, "	if twice := below(s.Staged); len(twice) > 0 {\n", "	if twice := below(s.Staged); len(twice) > 4 {\n"}}},
	{"one key orders twice", "I3", []edit{{fileOrderAct, "	if first != nil {\n", "	if first != nil && first.Status == 0 {\n"}}},
	{"handed over after a cancellation", "I15", []edit{{filePlan, "	protocol.HandOver: {[]StoreState{PartiallyPicked, Picked, Ready}, Paid},\n", "	protocol.HandOver: {[]StoreState{PartiallyPicked, Picked, Ready}, CancelRequested},\n"}}},
	{"undo goes down a rank", "I15", []edit{
		{filePlan, "f.Attempt, f.Lines = s.Attempt+1, above(s.Staged)", "f.Attempt, f.Lines = s.Attempt, above(s.Staged)"},
		{filePart, "	if to == PickedUp || f.Attempt > s.Attempt", "	if to == PickedUp || f.Act == protocol.Undo || f.Attempt > s.Attempt"},
	}},
	{"rejection below what was begun", "I15", []edit{{filePlan, "			f.Attempt++ // Or", "			_ = f // Or"}}},
	{"two at once go unnoticed", "I15", []edit{{fileOwed, "return id.Inc != ids[0].Inc", "return id.Seq == 0 && id.Inc != ids[0].Inc"}}},
	{"second hand-over goes unnoticed", "I15", []edit{{fileOwed, "	if len(handed) > 1 {\n", "	if len(handed) > 2 {\n"}}},
	{"refund without the store's word", "I15", []edit{{fileOrderAct, "	case !s.RefundRequested:\n", "	case !s.RefundRequested && s.Hub < pickup.CancelRequested:\n"}}},
	{"late payment is kept", "I15", []edit{{fileOrderAct, "		return answer, h.settleOrLater(ctx, store, []protocol.PartID{part})\n", "		_ = part\n		return answer, nil\n"}}},
	{"two clerks pick one order", "I15", []edit{{filePlan, "s.Picker != ask.Staff:", "s.Picker == \"nobody\":"}}},
	{"any code fetches the goods", "I15", []edit{{fileCode, "hmac.Equal(sum[:], s.Order.CodeSum[:])", "len(sum) > 0"}}},
	{"paid orders wait for the hub", "I22", []edit{{filePlan, "	protocol.Pick:     {[]StoreState{Received, Accepted, Picking}, Paid},\n", "	protocol.Pick:     {[]StoreState{Received, Accepted, Picking}, Placed},\n"}}},
}
