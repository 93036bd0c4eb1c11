package loyalty

import (
	"bytes"
	"cmp"
	"fmt"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Account is what happened to a member's points in one store. It is made of sums
// alone, so that folding streams in any order gives the same; they wrap on
// overflow, which the limits on points make unreachable. The zero Account is that
// of a member who was never there.
type Account struct {
	Earned   protocol.Points // less what returns and voids took back
	Redeemed protocol.Points // less what returns and voids gave back
	Adjusted protocol.Points // by people, with a reason
	Expired  protocol.Points // below zero
	Events   protocol.Points // how many events made it
}

// Balance is what the store adds to the member's points.
func (a *Account) Balance() protocol.Points {
	return a.Earned - a.Redeemed + a.Adjusted + a.Expired
}

// Add adds what happened in another store, or to another member for whom the same one
// stands.
func (a *Account) Add(b *Account) {
	a.Earned += b.Earned
	a.Redeemed += b.Redeemed
	a.Adjusted += b.Adjusted
	a.Expired += b.Expired
	a.Events += b.Events
}

// Sale adds a receipt, which is not one for training.
func (a *Account) Sale(s *protocol.Sale) {
	a.Earned += s.PointsEarned
	a.Redeemed += s.PointsRedeemed
	a.Events++
}

// Change adds what no sale earned or redeemed.
func (a *Account) Change(p *protocol.PointsChange) {
	a.Events++
	switch p.Change {
	case protocol.PointsAdjusted:
		a.Adjusted += p.Points
	case protocol.PointsExpired:
		a.Expired += p.Points
	}
}

// Enter adds what a receipt put into an account that is not a member's points, or
// took of it.
func (a *Account) Enter(amount protocol.Points) {
	a.Events++
	a.Earned += max(0, amount)
	a.Redeemed += max(0, -amount)
}

// Alter adds what such an account gained or lost without a receipt.
func (a *Account) Alter(c *protocol.AccountChange) {
	a.Events++
	switch c.Change {
	case protocol.AccountIssued, protocol.AccountAdjusted:
		a.Adjusted += c.Amount
	case protocol.AccountExpired:
		a.Expired += c.Amount
	}
}

// Encode writes the account; the same account always gives the same bytes.
func (a *Account) Encode() []byte {
	return appendSums(nil, a.Earned, a.Redeemed, a.Adjusted, a.Expired, a.Events)
}

// DecodeAccount reads what Encode wrote. No bytes are the zero Account; fields
// of later versions are skipped.
func DecodeAccount(b []byte) (*Account, error) {
	a := &Account{}
	_, err := readSums("account", b, &a.Earned, &a.Redeemed, &a.Adjusted, &a.Expired, &a.Events)
	return a, err
}

// Lease is what one stream may spend of a member's points without asking. Only
// the hub grants, recalls and credits; only the holder spends and closes. It is
// made of sums and a maximum, so that folding streams in any order gives the same.
type Lease struct {
	Granted protocol.Points
	Spent   protocol.Points // by sales; what returns give back goes to the account
	Closed  protocol.Points // given back by the holder, or credited after its end
	Recalls protocol.Points // how often the hub asked for it
	Answers protocol.Points // how many of these the holder has answered, be it with nothing
	// Last is the greatest id of the events that spent of it, for whoever has to
	// look at one that is overspent.
	Last protocol.EventID
	// Risk is what the stream spent of the member's points beyond the lease.
	Risk Risk
}

// Left is what the holder may still spend, and so what nobody else may be granted,
// never below 0.
func (l *Lease) Left() protocol.Points { return max(0, l.Granted-l.Spent-l.Closed) }

// Recalled tells whether the hub waits for the holder to give back what is left.
func (l *Lease) Recalled() bool { return l.Recalls > l.Answers }

// Overspent tells of more spent and given back than was ever granted: a machine
// was copied, and both spent.
func (l *Lease) Overspent() bool { return l.Spent+l.Closed > l.Granted }

// Spend notes that an event of the holder's took points.
func (l *Lease) Spend(id protocol.EventID, points protocol.Points) {
	l.Spent += points
	if cmp.Or(bytes.Compare(id.Inc[:], l.Last.Inc[:]), cmp.Compare(id.Seq, l.Last.Seq)) > 0 {
		l.Last = id
	}
}

// Change notes what the hub or the holder said of the lease.
func (l *Lease) Change(c *protocol.Lease) {
	switch c.Change {
	case protocol.LeaseGranted:
		l.Granted += c.Points
	case protocol.LeaseRecalled:
		l.Recalls++
	case protocol.LeaseClosed:
		l.Closed += c.Points
		l.Answers = max(l.Answers, protocol.Points(c.Recalls))
	case protocol.LeaseCredited:
		l.Closed += c.Points
	case protocol.LeaseSettled:
		l.Risk.Settled += c.Points
	}
}

// The fields of a lease behind its first sums.
const (
	fieldLast    protowire.Number = 6
	fieldRisked  protowire.Number = 7
	fieldSettled protowire.Number = 8
)

// Encode writes the lease; the same lease always gives the same bytes.
func (l *Lease) Encode() []byte {
	b := appendSums(nil, l.Granted, l.Spent, l.Closed, l.Recalls, l.Answers)
	if !l.Last.IsZero() {
		b = protowire.AppendTag(b, fieldLast, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(len(l.Last.Inc)+protowire.SizeVarint(uint64(l.Last.Seq))))
		b = append(b, l.Last.Inc[:]...)
		b = protowire.AppendVarint(b, uint64(l.Last.Seq))
	}
	return appendSum(appendSum(b, fieldRisked, l.Risk.Risked), fieldSettled, l.Risk.Settled)
}

// DecodeLease reads what Encode wrote. No bytes are the zero Lease; fields of
// later versions are skipped.
func DecodeLease(b []byte) (*Lease, error) {
	l := &Lease{}
	var none protocol.Points // no sum has the number of fieldLast
	last, err := readSums("lease", b, &l.Granted, &l.Spent, &l.Closed, &l.Recalls, &l.Answers, &none, &l.Risk.Risked, &l.Risk.Settled)
	if err != nil || len(last) == 0 {
		return l, err
	}
	if len(last) <= len(l.Last.Inc) {
		return l, fmt.Errorf("lease: an event of %d bytes", len(last))
	}
	seq, n := protowire.ConsumeVarint(last[copy(l.Last.Inc[:], last):])
	if n < 0 {
		return l, fmt.Errorf("lease: %w", protowire.ParseError(n))
	}
	l.Last.Seq = protocol.Seq(seq)
	return l, nil
}

// appendSums writes sums as fields from 1 on, zeros left out.
func appendSums(b []byte, sums ...protocol.Points) []byte {
	for i, sum := range sums {
		b = appendSum(b, protowire.Number(i+1), sum)
	}
	return b
}

func appendSum(b []byte, num protowire.Number, sum protocol.Points) []byte {
	if sum == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), protowire.EncodeZigZag(int64(sum)))
}

// readSums reads what appendSums wrote, and finds the field of an event.
func readSums(what string, b []byte, sums ...*protocol.Points) (last []byte, err error) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, fmt.Errorf("%s: %w", what, protowire.ParseError(n))
		}
		b = b[n:]
		switch {
		case typ == protowire.VarintType && num >= 1 && int(num) <= len(sums):
			var v uint64
			v, n = protowire.ConsumeVarint(b)
			*sums[num-1] = protocol.Points(protowire.DecodeZigZag(v))
		case typ == protowire.BytesType && num == fieldLast:
			last, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return nil, fmt.Errorf("%s: %w", what, protowire.ParseError(n))
		}
		b = b[n:]
	}
	return last, nil
}
