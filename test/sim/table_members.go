package main

// Files that mutants of members change.
const (
	fileAccount    = "protocol/ledger/account.go"
	fileHeld       = "protocol/ledger/member_held.go"
	fileRing       = "protocol/ledger/keyring.go"
	fileMemberFeed = "protocol/ledger/member_feed.go"
	fileLoyalty    = "protocol/loyalty/account.go"
	fileEarn       = "protocol/loyalty/earn.go"
	fileRefund     = "protocol/sale/refund.go"
	fileKeys       = "agent/uplink/member.go"
	fileTillLease  = "agent/till/lease.go"
	fileRedeem     = "agent/till/redeem.go"
	fileLease      = "cloud/hub/lease.go"
	fileLeaseSweep = "cloud/hub/lease_sweep.go"
	fileVisit      = "cloud/hub/lease_visit.go"
	filePoints     = "cloud/hub/points.go"
	fileMember     = "cloud/hub/member.go"
	fileMemberDue  = "cloud/hub/member_settle.go"
	fileMemberKeys = "cloud/hub/member_keys.go"
	fileCartSold   = "cloud/hub/cart_sold.go"
)

// memberMutants are the mutants of members' points, keys and carts.
var memberMutants = []mutant{
	{"points spent before the hub was heard", "I13", []edit{{fileRedeem, "	if member == \"\" || !t.o.Confirmed(at.Inc) {\n", "	if member == \"\" {\n"}}},
	{"points spent beyond the lease", "I13", []edit{{fileRedeem, "	if s.PointsRedeemed <= purse.left {\n", "	if purse.left > 0 {\n"}}},
	{"sale is not taken off the lease", "I13", []edit{{fileAccount, "		lease.Spend(a.id, spent)\n", "		lease.Spend(a.id, spent/2)\n"}}},
	{"what others hold is lent again", "I14", []edit{{fileLease, "return max(0, p.balance-p.leased) }", "return max(0, p.balance) }"}}},
	{"restored hub lends at once", "I14", []edit{{fileLeaseSweep, "	return len(h.leasing.awaited) > 0\n", "	return len(h.leasing.awaited) > 99\n"}}},
	{"what stores hold is taken away", "I14", []edit{{filePoints, "	case p.free()+points < 0:\n", "	case p.balance+points < 0:\n"}}},
	{"lease in use is credited", "I13", []edit{{filePoints, "		if now.current {\n", "		if now.current && now.agent == \"\" {\n"}}},
	{"points of a sale that is logged again count twice", "I3", []edit{{fileFold, "	counted, err := f.counted(a)\n	if err != nil || counted {\n		return err\n	}\n", "	counted, err := f.counted(a)\n	if err != nil || counted {\n		if err == nil && a.reissue {\n			err = f.points(a)\n		}\n		return err\n	}\n"}}},
	{"return leaves the points", "I3", []edit{{fileRefund, "	out.Points = -loyalty.Reversal(", "	out.Points = -0 * loyalty.Reversal("}}},
	{"what points pay earns points", "I3", []edit{{fileEarn, "	return t == protocol.PointsPay || t == protocol.GiftCard\n", "	return t == protocol.GiftCard\n"}}},
	{"own store counts twice in a balance", "I3", []edit{{fileHeld, "		held.Balance = told.Balance - (here.Earned - here.Redeemed + here.Adjusted + here.Expired)\n", "		held.Balance = told.Balance - (here.Earned - here.Redeemed)\n"}}},
	{"home store is not told of its member", "I11", []edit{{fileMemberFeed, "	return store == m.HomeStore || here", "	return here"}}},
	{"visit is never given back", "I20", []edit{
		{fileTillLease, "	if visits && now-at < visitIdle {\n", "	if visits && now >= at {\n"}, {fileVisit, "	return ok && h.running()-since < visitLasts\n", "	return ok && h.running() >= since\n"},
	}},
	{"recall is not answered", "I20", []edit{{fileTillLease, "			if holder == origin.Inc && l.Recalled() {\n", "			if holder == origin.Inc && l.Recalls > 9 {\n"}, {fileTillLease, "l.Change == protocol.LeaseRecalled && l.Holder == holder {", "l.Change == protocol.LeaseRecalled && l.Holder != holder {"}}},
	{"any close answers a recall", "I8", []edit{{fileLoyalty, "		l.Answers = max(l.Answers, protocol.Points(c.Recalls))\n", "		l.Answers = l.Recalls\n"}}},
	{"erased member's key stays in a store", "I11", []edit{{fileKeys, "			n.Erased = append(n.Erased, id)\n", "			n.Erased = append(n.Erased, id+\"-\")\n"}}},
	{"erased member's key comes back", "I11", []edit{{fileRing, "			if values[len(subjects)+i] != nil {\n				continue\n", "			if len(values[len(subjects)+i]) > 1 {\n				continue\n"}}},
	{"erasure is forgotten with the database", "I11", []edit{{fileHub, "	return h, h.eraseAgain(ctx)\n", "	return h, nil\n"}}},
	{"member stays temporary", "I20", []edit{{fileMemberDue, "	if err != nil || m == nil {\n		return err\n	}\n	if erased {\n", "	if err != nil || m == nil || h.ran.saved > 0 && m.HomeStore == \"s2\" {\n		return err\n	}\n	if erased {\n"}}},
	{"keys are not sent beside events", "I2", []edit{{fileUpload, "		Keys: keys,\n", "		Keys: keys[:len(keys)/2],\n"}}},
	{"keys are not sent beside rows", "I11", []edit{{fileMemberKeys, "			row.SubjectKey = keys[memberOfKey(row.Key)]\n", "			row.SubjectKey = keys[memberOfKey(row.Key)[1:]]\n"}}},
	{"name is written down", "I11", []edit{{fileMember, "	if m.Card == \"\" {\n		m.Card = protocol.NewMemberCard(h.random)\n	}\n	if err := h.seal", "	if m.Card == \"\" {\n		m.Card = person.Phone\n	}\n	if err := h.seal"}}},
	{"cart keeps what was sold", "I3", []edit{{fileCartSold, "	if len(o.Lines) == 0 {\n", "	if len(o.Lines) < 2 {\n"}}},
}
