package main

// Files that mutants of orders change.
const (
	filePolicy   = "protocol/stock/policy.go"
	fileOnce     = "cloud/hub/once.go"
	fileSource   = "cloud/hub/order_source.go"
	fileLevel    = "protocol/stock/level.go"
	fileOrder    = "cloud/hub/order.go"
	fileOrderAct = "cloud/hub/order_act.go"
	fileSettle   = "cloud/hub/order_settle.go"
	fileHub      = "cloud/hub/hub.go"
	filePart     = "protocol/pickup/state.go"
	fileOwed     = "protocol/pickup/owed.go"
	filePlan     = "protocol/pickup/plan.go"
	fileSold     = "protocol/pickup/part.go"
	fileCode     = "protocol/pickup/code.go"
	fileDeadline = "protocol/pickup/deadline.go"
)

// orderMutants are the mutants of what becomes of online orders.
var orderMutants = []mutant{
	{"shortage leaves the book trusted", "I8", []edit{{fileFold, "	if ev.Fulfilment == nil || ev.Fulfilment.Act != protocol.Pick {\n", "	if ev.Fulfilment == nil || ev.Fulfilment.Act != \"\" {\n"}}},
	{"doubt holds nothing back", "I12", []edit{{filePolicy, "	if l.RecountSuggested() {\n", "	if l.RecountSuggested() && kept < 0 {\n"}}},
	{"sale at once goes unnoticed", "I15", []edit{{fileOwed, "			if !e.after.IsZero() {\n				after[e.after] =", "			if e.after.Seq == 1<<60 {\n				after[e.after] ="}}},
	{"picks at once make room", "I12", []edit{{filePolicy, "-max(0, l.quantities[protocol.Committed]))\n", "-l.quantities[protocol.Committed])\n"}}},
	{"promises count against nothing", "I12", []edit{{filePolicy, "	return max(0, p.Allotment(l, buffer)-max(0, l.quantities[protocol.Committed]))\n", "	return p.Allotment(l, buffer)\n"}}},
	{"damaged goods are promised", "I12", []edit{{fileLevel, "	return max(0, q[protocol.OnHand]-q[protocol.Staged]-q[protocol.Damaged]-", "	return max(0, q[protocol.OnHand]-q[protocol.Staged]-"}}},
	{"order checked before its commit", "I12", []edit{
		{fileSource, "	hold  string // of", "	lines []protocol.OrderLine\n	hold  string // of"},
		{fileSource, "		p.hold = request.Hold\n		_, err =", "		p.hold = request.Hold\n		p.lines, err ="},
		{fileOrder, "	if o.Lines, err = h.orderLines(tx, p, partial); err != nil {\n", "	if o.Lines = p.lines; o.Lines != nil {\n	} else if o.Lines, err = h.orderLines(tx, p, partial); err != nil {\n"},
	}},
	{"nothing is owed after a start", "I12, I15", []edit{{fileHub, "h.settleAll(ctx), h.settleAllTransfers", "h.settleAllTransfers"}}},
	{"released again and again", "I12", []edit{{filePart, "		s.move(c.Lines, s.Committed, s.Released)\n", "		s.move(c.Lines, s.Released, nil)\n"}}},
	{"shortage stays promised", "I12", []edit{{fileOwed, "	case s.Store >= PartiallyPicked && s.Store != PutBack:\n", "	case s.Store >= Ready && s.Store < PutBack:\n"}}},
	{"picked twice is not corrected", "I12", []edit{{fileOwed, "	if twice := s.below(s.Staged); len(twice) > 0 {\n", "	if twice := s.below(s.Staged); len(twice) > 4 {\n"}}},
	{"one key orders twice", "I3", []edit{{fileOnce, "	if first != nil {\n", "	if first != nil && first.Status == 0 {\n"}}},
	{"handed over after a cancellation", "I15", []edit{{filePlan, "	protocol.HandOver: {[]StoreState{PartiallyPicked, Picked, Ready}, Paid},\n", "	protocol.HandOver: {[]StoreState{PartiallyPicked, Picked, Ready}, CancelRequested},\n"}}},
	{"undo goes down a rank", "I15", []edit{
		{filePlan, "f.Attempt, f.Lines = s.Attempt+1, s.above(s.Staged)", "f.Attempt, f.Lines = s.Attempt, s.above(s.Staged)"},
		{filePart, "	if to == PickedUp || f.Attempt > s.Attempt", "	if to == PickedUp || f.Act == protocol.Undo || f.Attempt > s.Attempt"},
	}},
	{"rejection below what was begun", "I15", []edit{{filePlan, "			f.Attempt++ // The", "			_ = f // The"}}},
	{"two at once go unnoticed", "I15", []edit{{fileOwed, "return id.Inc != ids[0].Inc", "return id.Seq == 0 && id.Inc != ids[0].Inc"}}},
	{"second hand-over goes unnoticed", "I15", []edit{{fileOwed, "	if len(handed) > 1 {\n", "	if len(handed) > 2 {\n"}}},
	{"refund without the store's word", "I15", []edit{{fileOwed, "		if !s.Ended() {\n			// What", "		if !s.Ended() && s.Hub < CancelRequested {\n			// What"}}},
	{"refund while the clerk still looks", "I15", []edit{{fileOwed, "	if !s.Ended() && s.Store < Ready {\n", "	if s.Order == nil {\n"}}},
	{"refund that nobody asked for", "I15", []edit{{fileOrderAct, "range s.RefundsDue() {", "range append(s.RefundsDue(), \"\") {"}}},
	{"refund of what was due", "I15", []edit{{fileOwed, "s.missing(); s.Prepaid &&", "s.missing(); s.Paid &&"}}},
	{"stand-in that nobody paid", "I15", []edit{{fileSettle, "id.Part, s.Prepaid\n", "id.Part, s.Paid\n"}}},
	{"moved and paid back", "I15", []edit{{fileOwed, "		left := lost - s.Elsewhere[i] - s.Asked[i]\n", "		left := lost - s.Asked[i]\n"}}},
	{"canceled order goes elsewhere", "I15", []edit{{fileOwed, "s.Order.Sourcing != \"\" && !s.ByShopper && (", "s.Order.Sourcing != \"\" && ("}}},
	{"share of the money is lost", "I15", []edit{{fileOwed, "	return upto(before+next) - upto(before)\n", "	return upto(next) - upto(before)\n"}}},
	{"expires after the hand-over", "I15", []edit{{fileDeadline, "s.Order == nil || s.Over() || s.Hub", "s.Order == nil || s.Hub"}}},
	{"named store is left", "I15", []edit{{fileDeadline, "			if s.Order.Sourcing != \"\" {\n", "			if s.Order.Part > 0 {\n"}}},
	{"paid twice goes unnoticed", "I15", []edit{{fileOwed, "	if !online || !till {\n", "	if !online || till {\n"}}},
	{"paid back twice goes unnoticed", "I15", []edit{{fileOwed, "+min(handed[i], line.Quantity) > line.Quantity {", "+min(handed[i], line.Quantity) > 2*line.Quantity {"}}},
	{"late payment is kept", "I15", []edit{{fileOrderAct, "		return answer, h.settleStores(ctx, parts)\n", "		_ = parts\n		return answer, nil\n"}}},
	{"substitute leaves staged under the ordered item", "I12", []edit{{filePlan, "		if way.state == protocol.Committed {\n", "		if way.state == protocol.Committed || way.state == protocol.Staged && way.sign > 0 {\n"}}},
	{"substitute is paid back as a shortage", "I15", []edit{
		{fileOwed, "		lost := s.Order.Lines[i].Quantity - s.HandedOf(i)\n		if !s.Ended() {\n", "		lost := s.Order.Lines[i].Quantity - s.Handed[i]\n		if !s.Ended() && s.Store != PickedUp {\n"},
	}},
	{"substitute that nobody allowed", "I15", []edit{{filePlan, "		case !s.Order.Substitutes:\n", "		case s.Order.Part == 0:\n"}}},
	{"receipt forgets the substitute", "I12", []edit{{fileSold, "Quantity: l.Quantity, Item: l.Item.SKU})", "Quantity: l.Quantity})"}}},
	{"two clerks pick one order", "I15", []edit{{filePlan, "s.Picker != ask.Staff && ask.Act != protocol.Arrive", "s.Picker == \"nobody\" && ask.Act != protocol.Arrive"}}},
	{"any code fetches the goods", "I15", []edit{{fileCode, "hmac.Equal(sum[:], s.Order.CodeSum[:])", "len(sum) > 0"}}},
	{"paid orders wait for the hub", "I22", []edit{{filePlan, "	protocol.Pick:     {[]StoreState{Received, Accepted, Picking}, Paid},\n", "	protocol.Pick:     {[]StoreState{Received, Accepted, Picking}, Placed},\n"}}},
}
