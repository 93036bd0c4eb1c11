package main

// Files that mutants change.
const (
	fileApply    = "protocol/ledger/apply.go"
	fileFold     = "protocol/ledger/fold.go"
	fileCursor   = "protocol/ledger/cursor.go"
	fileReceipt  = "protocol/ledger/receipt.go"
	fileStream   = "protocol/ledger/stream.go"
	fileShadow   = "protocol/ledger/shadow.go"
	fileUpload   = "agent/uplink/upload.go"
	fileDownload = "agent/uplink/download.go"
	fileEngine   = "agent/uplink/engine.go"
	fileSnapshot = "agent/uplink/snapshot.go"
	fileIngest   = "cloud/hub/ingest.go"
	fileSession  = "cloud/hub/session.go"
	fileWelcome  = "agent/uplink/session.go"
	fileFork     = "protocol/ledger/fork.go"
	fileIdentity = "protocol/ledger/identity.go"
	fileSum      = "protocol/ledger/sum.go"
	fileOwn      = "cloud/hub/own.go"
	fileSafe     = "cloud/hub/safe.go"
	fileEntry    = "protocol/ledger/entry.go"
	fileGap      = "protocol/ledger/gap.go"
	fileGapHub   = "cloud/hub/gap.go"
	fileCarry    = "agent/uplink/carry.go"
	fileSessions = "cloud/hub/sessions.go"
	fileCodec    = "protocol/codec_event.go"
)

// table are the mutants. An edit's old text is production code as it stands; when
// that code changes, the mutant has to change with it.
var table = []mutant{
	{"receipt numbers forgotten", "I1, I13", []edit{{fileStream, "s.registers[i].last = max(s.registers[i].last, n)", "s.registers[i].last = max(s.registers[i].last, min(n, 40))"}}},
	{"ack although the commit failed", "I2", []edit{{
		fileIngest,
		"		h.log.Error(\"the hub's disk is full; events wait at the stores\", \"error\", err)\n		return nil\n",
		"		h.log.Error(\"the hub's disk is full; events wait at the stores\", \"error\", err)\n		for _, in := range ready {\n			in.res.Stream.Seq = in.batch.FirstSeq + protocol.Seq(in.batch.Count) - 1\n		}\n",
	}}},
	{"sent is not taken back", "I2, I20", []edit{{fileUpload, "	u.sent, u.flight, u.window = u.acked, nil, 0\n", "	u.flight, u.window = nil, 0\n"}, {fileUpload, "u.acked, u.sent, u.flight = m.CursorSeq, m.CursorSeq, nil", "u.acked, u.flight = m.CursorSeq, nil\n	u.sent = max(u.sent, u.acked)"}}},
	{"overlap counted again", "I3, I4", []edit{
		{fileApply, "	return b.Records[known:], nil\n", "	return b.Records, nil\n"},
		{fileApply, "		if known == len(b.Records) {\n			if hash != head {", "		if known == len(b.Records) && known > 1 {\n			return b.Records, nil\n		}\n		if known == len(b.Records) {\n			if hash != head {"},
	}},
	{"gap accepted", "I5", []edit{
		{fileApply, "if b.First == 0 || b.First > stream.Seq+1 {", "if b.First == 0 {"},
		{fileApply, "	known := int(cursor - b.First + 1)\n", "	known := max(0, int(cursor)-int(b.First)+1)\n"},
		{fileApply, "	if hash != head {\n		return nil, ErrChain\n	}\n	return b.Records[known:], nil", "	return b.Records[known:], nil"},
	}},
	{"event stored apart from its cursor", "I6", []edit{{fileFold, "	stream.Seq, stream.Hash = first+protocol.Seq(len(acts))-1, head\n	return nil\n", "	if len(acts) > 30 {\n		stream.Seq++\n		return nil\n	}\n	stream.Seq, stream.Hash = first+protocol.Seq(len(acts))-1, head\n	return nil\n"}}},
	{"feed step outside the commit", "I6, I10", []edit{{fileIngest, "	if res.Applied == 0 {\n		return nil\n	}\n	in.offset, err =", "	if res.Applied == 0 || res.Applied == 7 {\n		return nil\n	}\n	in.offset, err ="}}},
	{"safe taken from what was sent", "I7", []edit{{fileUpload, "u.acked, u.safe = m.Seq, max(u.safe, min(m.Safe, m.Seq))", "u.acked, u.safe = m.Seq, max(u.safe, u.sent)"}}},
	{"receipt claimed by the last", "I8", []edit{{fileReceipt, "	i, found := slices.BinarySearchFunc(r.Reversals, id, func(v Reversal, id protocol.EventID) int { return compareIDs(v.Event, id) })\n	if found {", "	i, found := slices.BinarySearchFunc(r.Reversals, id, func(v Reversal, id protocol.EventID) int { return compareIDs(v.Event, id) })\n	if found || !r.Known() {"}}},
	{"own run moves any cursor", "I10", []edit{{fileDownload, "!f.cursor.Tail || f.cursor.Offset < r.After || f.cursor.Offset >= r.Upto", "!f.cursor.Tail || f.cursor.Offset >= r.Upto"}}},
	{"cursor moved past a gap", "I10", []edit{
		{fileCursor, "c.Epoch != d.Epoch && c.Offset > 0 || d.After > c.Offset", "c.Epoch != d.Epoch && c.Offset > 0"},
		{fileDownload, "	case m.After > reached, len(f.waiting) >= deltasWaiting:", "	case len(f.waiting) >= deltasWaiting:"},
	}},
	{"snapshot's end left out", "I11", []edit{
		{fileShadow, "s.Sum == \"\" || s.FeedPos != pos || s.Upto < s.Offset", "s.Sum == \"\" || s.FeedPos != pos"},
		{fileSnapshot, "		for _, piece := range chunks(part) {\n			if piece.Upto <= shadow.Upto {\n", "		for _, piece := range chunks(part) {\n			if len(piece.Rows) > 0 {\n				piece.Rows = piece.Rows[:len(piece.Rows)-1]\n			}\n			if piece.Upto <= shadow.Upto {\n"},
	}},
	{"any session may write", "I16", []edit{{fileSession, "return s.id == id && s.origin.Store == t.Store", "return s.origin.Store == t.Store"}}},
	{"deadlines by wall clock", "I17", []edit{{fileUpload, "if len(u.flight) > 0 && e.now.Mono-u.progressAt >= u.ackWait {", "if len(u.flight) > 0 && e.now.Mono-u.progressAt >= u.ackWait && e.now.Wall.Year() < 2030 {"}}},
	{"waits by wall clock", "I17", []edit{{fileUpload, "if len(u.flight) > 0 && e.now.Mono-u.progressAt >= u.ackWait {", "if len(u.flight) > 0 && e.now.Mono-u.progressAt >= u.ackWait/time.Duration(1+e.now.Wall.Year()/2030) {"}}},
	{"poison stops its stream", "I18", []edit{{fileFold, "	if err != nil {\n		a.dead = err.Error()\n		return a\n	}\n	if (ev.Catalog", "	if err != nil {\n		panic(err)\n	}\n	if (ev.Catalog"}}},
	{"full disk taken for done", "I19", []edit{{fileDownload, "	if in.Err != nil {\n		e.applyFailed(f, in)\n		return\n	}\n", "	if protocol.CodeOf(in.Err) == protocol.DiskFull {\n		in.Cursor, in.Err = f.cursor, nil\n		in.Cursor.Offset = max(in.Cursor.Offset, f.busy)\n	}\n	if in.Err != nil {\n		e.applyFailed(f, in)\n		return\n	}\n"}}},
	{"nothing is sent again", "I20", []edit{{fileUpload, "		u.sent, u.flight, u.progressAt = u.acked, nil, e.now.Mono\n", "		u.progressAt = e.now.Mono\n"}}},
	{"no beat", "I20", []edit{{fileEngine, "	if now >= e.beatAt {\n		e.beat()\n	}\n", "	if now >= e.beatAt {\n		e.beatAt = now + beatEvery\n	}\n"}}},
	{"long logs refuse to grow", "I22", []edit{{fileEntry, "	if res.Dead > 0 {\n", "	if res.Dead > 0 || res.Stream.Seq > 150 && ev.Sale != nil && ev.Sale.Type == protocol.SaleReturn {\n"}}},
	{"fork forgets what is not safe", "I1, I2", []edit{{fileFork, "	safe = min(safe, stream.Seq)\n", "	safe = stream.Seq\n"}}},
	{"fork loses one event", "I2", []edit{{fileFork, "		records = append(records, protocol.Record{Clock: clock, Body: body})\n", "		if seq%11 > 0 || len(records) == 0 {\n			records = append(records, protocol.Record{Clock: clock, Body: body})\n		}\n"}}},
	{"nothing is carried", "I2", []edit{{fileOwn, "if head.Seq <= here.Seq || head.Inc == m.Inc ||", "if head.Agent != protocol.HubAgent || head.Seq <= here.Seq || head.Inc == m.Inc ||"}}},
	{"original after its reissue counts", "I3", []edit{{fileFold, "		if err != nil || !own.Reissued {\n			return false, err\n		}\n", "		if err != nil || !own.Reissued || a.event.Sale != nil {\n			return false, err\n		}\n"}}},
	{"reissue after its original counts", "I3", []edit{{fileFold, "		seen.add(sha256.Sum256(original.AppendTo(nil)))\n", "		_, _ = seen, original\n"}}},
	{"no hash check on overlap", "I4", []edit{
		{fileApply, "		if known == len(b.Records) {\n			if hash != head {\n				return nil, ErrChain\n			}\n			return nil, nil\n		}", "		if known == len(b.Records) {\n			return nil, nil\n		}"},
		{fileApply, "		if err == nil && ok && len(b.Records) > 0 && stored != hash {\n			err = ErrChain\n		}\n", "		_, _ = stored, ok\n"},
		{fileApply, "	if hash != head {\n		return nil, ErrChain\n	}\n	return b.Records[known:], nil", "	return b.Records[known:], nil"},
		{fileSession, "	case m.LastSeq < info.Seq || m.LastSeq == info.Seq && m.LastHash != info.Head():\n", "	case m.LastSeq < info.Seq:\n"},
		{fileWelcome, "	case m.CursorSeq > last, m.CursorHash != hash:\n", "	case m.CursorSeq > last, len(hash) == 0:\n"},
	}},
	{"shorter log of one name taken in", "I4", []edit{
		{fileSession, "	case m.LastSeq < info.Seq || m.LastSeq == info.Seq && m.LastHash != info.Head():\n", "	case m.LastSeq < 0:\n"},
		{fileWelcome, "	case m.CursorSeq > last, m.CursorHash != hash:\n", "	case m.CursorSeq < last && m.CursorHash != hash:\n"},
	}},
	{"forks share a receipt series", "I13", []edit{{fileIdentity, "return \"F\" + hex.EncodeToString(inc[:4])", "return \"F\" + hex.EncodeToString(inc[:0])"}}},
	{"sums miss what was logged again", "I9", []edit{{fileSum, "	if s != nil {\n		hashSKU", "	if s != nil && m.Delta != 2000 {\n		hashSKU"}}},
	{"load counted from its start", "I3", []edit{{fileFold, "		load.Applied = max(load.Applied, m.LoadRows)\n", "		load.Applied = max(load.Applied, m.LoadRows-1)\n"}}},
	{"restored hub keeps its epoch", "I10, I20", []edit{{fileSafe, "epoch = max(epoch+1, o.Above+1, uint64(max(o.Now.Unix(), 1)))", "epoch = max(epoch, 1)"}}},
	{"restored hub goes on in its streams", "I4", []edit{
		{fileOwn, "	copy(inc[ownEpochBytes:], number[8-ownBootBytes:])\n", ""}, {fileOwn, "	h.random(inc[ownEpochBytes+ownBootBytes : ownMarkFrom])\n", ""},
	}},
	{"beat tells of what is followed only", "I10, I20", []edit{{fileSession, "		if s.feeds[v.Feed] == nil {\n			list", "		if s.feeds[v.Feed] != nil && s.beats < 0 {\n			list"}}},
	{"older database goes unnoticed", "I10, I11", []edit{{fileSession, "	if err != nil || !older {\n", "	if older = false; err != nil || !older {\n"}}},
	{"cursor beyond the head is nothing", "I10, I11", []edit{{fileSession, "older = older || p.Epoch > h.Epoch() || p.Offset > head", "older = older || p.Epoch > h.Epoch() || head > 1<<40"}}},
	{"gap closed at once", "I2", []edit{{fileGapHub, "	return now-w.since >= gapPatience\n", "	return true\n"}}},
	{"gap's sums not counted", "I3", []edit{{fileGap, "		level.Add(m.State, m.Delta)\n		sums.add(m)\n", "		if m.Delta < -3000 {\n			continue\n		}\n		level.Add(m.State, m.Delta)\n		sums.add(m)\n"}}},
	{"gap counts what is held", "I3", []edit{{fileGap, "			for _, m := range ev.Moves {\n				add(m, -1)\n			}\n		}\n		return true, nil\n", "			_ = ev\n		}\n		return true, nil\n"}}},
	{"gap left out of the sums", "I9", []edit{{fileGap, "		sums.add(m)\n", "		_ = sums\n"}}},
	{"stream does not go on behind a gap", "I5, I20", []edit{{fileGap, "		stream.Seq, stream.Hash = g.To, g.Hash\n", "		stream.Seq, stream.Hash = g.To-1, g.Hash\n"}}},
	{"carried stream taken for done", "I2", []edit{{fileCarry, "		if c.acked >= c.last {\n", "		if c.sent >= c.last {\n"}}},
	{"carried stream sent once only", "I2", []edit{{fileCarry, "			c.sent, c.flight, c.progressAt = c.acked, nil, e.now.Mono\n", "			c.progressAt = e.now.Mono\n"}}},
	{"snapshot loaded over what is live", "I11", []edit{{fileShadow, "	if err := write(s.gen); err != nil {\n", "	if err := write(0); err != nil {\n"}}},
	{"live generation swept", "I11", []edit{{fileShadow, "	before := sweep{pos.Feed, gens.of(pos.Feed)}\n", "	before := sweep{pos.Feed, s.gen}\n"}}},
	{"shadow goes on with another snapshot", "I11, I20", []edit{
		{fileShadow, "	if err != nil || s.Sum == sum && s.FeedPos == pos {\n", "	if err != nil || s.Sum != \"\" {\n"},
		{fileShadow, "s.Sum == \"\" || s.FeedPos != pos || s.Upto < s.Offset", "s.Sum == \"\" || s.Upto < s.Offset"},
	}},
	{"hello ends no session", "I16", []edit{{fileSessions, "return old.origin.Inc == s.origin.Inc || old.bootID == s.bootID ||", "return old.bootID == s.bootID && old.origin.Inc != s.origin.Inc ||"}}},
	{"beats by wall clock", "I17", []edit{{fileEngine, "	if now >= e.beatAt {\n		e.beat()\n	}\n", "	if now >= e.beatAt && e.now.Wall.Year() > 2020 {\n		e.beat()\n	}\n"}}},
	{"dead letter not written down", "I18", []edit{{fileFold, "		f.set.put(deadKey(a.at), blob(a.dead))\n", "		if a.at.Seq%5 > 0 {\n			f.set.put(deadKey(a.at), blob(a.dead))\n		}\n"}}},
	{"oversized event taken", "I18", []edit{{fileCodec, "	limit := EventBytesMax - RecordHeaderBytes\n", "	limit := 2 * EventBytesMax\n"}}},
	{"feeds that fail are not asked for", "I20", []edit{{fileDownload, "func (f *feed) behind() bool { return f.resync || f.head > f.cursor.Offset || !f.cursor.Tail }", "func (f *feed) behind() bool { return f.resync || f.head > f.cursor.Offset && f.faults == 0 || !f.cursor.Tail }"}}},
	{"no sale while sync is behind", "I22", []edit{{fileEntry, "	if res.Dead > 0 {\n", "	if res.Dead > 0 || res.Stream.Seq%64 == 63 && ev.Sale != nil {\n"}}},
	{"cut stream does not come down again", "I10", []edit{{fileFork, "		_, err = ResetFeed(tx, protocol.FeedPos{Feed: protocol.PeerFeed(o.Store)})\n", ""}}},
}
