package protocol

import "counterpart/protocol/wire"

func checkGap(c *check, g *Gap) {
	c.id("agent", string(g.Agent))
	if g.Inc.IsZero() || g.From == 0 || g.To < g.From || g.Part == 0 || g.Part > g.Parts {
		c.failf("a gap from %d to %d, part %d of %d, is none", g.From, g.To, g.Part, g.Parts)
	}
	c.count("moves", len(g.Moves), MovesMax)
	for i := range g.Moves {
		c.sku(g.Moves[i].SKU)
		c.state(g.Moves[i].State)
		c.amount("delta", int64(g.Moves[i].Delta))
	}
}

func encodeGap(g *Gap) *wire.Gap {
	n := len(g.Moves)
	w := &wire.Gap{
		Agent: string(g.Agent), Inc: g.Inc[:], From: uint64(g.From), To: uint64(g.To), Hash: g.Hash[:], Part: g.Part, Parts: g.Parts,
		MoveSkus: list[string](n),
	}
	for i := range g.Moves {
		w.MoveSkus[i] = string(g.Moves[i].SKU)
	}
	w.MoveStates = column(n, func(i int) wire.State { return wire.State(g.Moves[i].State) })
	w.MoveDeltas = column(n, func(i int) int64 { return int64(g.Moves[i].Delta) })
	return w
}

func decodeGap(c *check, w *wire.Gap) *Gap {
	n := len(w.MoveSkus)
	c.count("moves", n, MovesMax)
	c.states("move_states", w.MoveStates, n)
	c.column("move_deltas", len(w.MoveDeltas), n)
	if c.err != nil {
		return nil
	}
	g := &Gap{
		Agent: AgentID(w.Agent), Inc: Inc(fixed(c, "inc", w.Inc, len(Inc{}))), From: Seq(w.From), To: Seq(w.To),
		Hash: Hash(fixed(c, "hash", w.Hash, len(Hash{}))), Part: w.Part, Parts: w.Parts, Moves: list[Move](n),
	}
	for i := range g.Moves {
		g.Moves[i] = Move{SKU: SKU(w.MoveSkus[i]), State: State(entry(w.MoveStates, i)), Delta: Quantity(entry(w.MoveDeltas, i))}
	}
	return g
}
