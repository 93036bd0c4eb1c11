package agent

import (
	"context"
	"net/url"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
)

// cart shows what a member means to buy: as the hub knows it while it answers, else
// as the events of this store say, with their age.
func (a *Agent) cart(ctx context.Context, id protocol.MemberID) (cart.Document, error) {
	var doc cart.Document
	unknown := a.askHub(ctx, memberPath(id, "/cart"), nil, &doc)
	if protocol.CodeOf(unknown) != protocol.CannotKnow {
		return doc, unknown
	}
	doc = cart.Document{MemberID: &id, Lines: []cart.DocumentLine{}, AsOf: utc(a.toldAt()), From: cart.FromStore}
	var lines []cart.Line
	items := map[protocol.SKU]*protocol.Item{}
	err := a.db.View(ctx, func(r ledger.Reader) error {
		group, err := a.groupHere(r, id)
		if err != nil {
			return err
		}
		id = group[0]
		if err := a.knownHere(r, id, unknown); err != nil {
			return err
		}
		c, err := ledger.ReadCart(r, ledger.MemberAt{Store: a.origin().Store, Member: id})
		if err != nil {
			return err
		}
		for _, l := range c.Lines() {
			if items[l.SKU], err = ledger.ReadItem(r, l.SKU); err != nil {
				return err
			}
			lines = append(lines, l)
		}
		return nil
	})
	if err != nil {
		return doc, err
	}
	open := a.textOpener(ctx, id)
	for _, l := range lines {
		doc.Lines = append(doc.Lines, cart.NewLine(l, items[l.SKU], open))
	}
	return doc, nil
}

// groupHere are the ids of a member and of all for whom the same one stands, as far
// as this store knows, that one first.
func (a *Agent) groupHere(r ledger.Reader, id protocol.MemberID) ([]protocol.MemberID, error) {
	held, err := ledger.ReadHeldMember(r, ledger.MemberAt{Store: a.origin().Store, Member: id})
	if err != nil || held == nil {
		return []protocol.MemberID{id}, err
	}
	return held.IDs(), nil
}

// knownHere refuses a member whose row, and so whose cart, is not this store's;
// unknown is why the hub could not tell.
func (a *Agent) knownHere(r ledger.Reader, id protocol.MemberID, unknown error) error {
	m, store, err := ledger.ReadMember(r, id)
	switch {
	case err != nil:
		return err
	case m == nil || store != a.origin().Store:
		return unknown
	case m.Status == protocol.MemberErased || m.Status == protocol.MemberMerged:
		return protocol.Refuse(protocol.Conflict, "This member is "+string(m.Status)+". Nothing was recorded.").With("state", string(m.Status))
	}
	return nil
}

// textOpener opens what is sealed with a member's key, and tells where it cannot
// be.
func (a *Agent) textOpener(ctx context.Context, id protocol.MemberID) func([]byte) (string, bool) {
	var key protocol.SubjectKey
	var asked, ok bool
	return func(sealed []byte) (string, bool) {
		if !asked {
			var err error
			if key, ok, err = a.keys.key(ctx, id); err != nil {
				a.log.Error("the keys of members cannot be read", "error", err)
			}
			asked = true
		}
		if !ok {
			return "", false
		}
		text, err := protocol.OpenText(key, string(id), sealed)
		return text, err == nil
	}
}

// memberPath is an address of the hub that is about a member.
func memberPath(id protocol.MemberID, rest string) string {
	return "/v1/members/" + url.PathEscape(string(id)) + rest
}
