package protocol

import "google.golang.org/protobuf/encoding/protowire"

// The fields that tell with which key an order is sealed, within Order.
const (
	orderIDField         protowire.Number = 1
	orderSealedField     protowire.Number = 21
	orderSealedWithField protowire.Number = 22
	orderMemberField     protowire.Number = 23
)

// SealedOrder reads from an event that places an order with which key its personal
// fields are sealed: nothing but Order, Member and SealedWith is set. It is nil for
// any other event and where nothing is sealed. As EnrolledBy it looks for that
// alone, since a sender asks it of every event of the hub's.
func SealedOrder(body []byte) *Order {
	order := fieldBytes(body, eventOrder)
	if order == nil {
		return nil
	}
	o, sealed := &Order{}, false
	eachField(order, func(num protowire.Number, typ protowire.Type, value []byte) {
		switch {
		case typ == protowire.BytesType:
			b, _ := protowire.ConsumeBytes(value)
			switch num {
			case orderIDField:
				o.Order = OrderID(b)
			case orderSealedField:
				sealed = len(b) > 0
			case orderMemberField:
				o.Member = MemberID(b)
			}
		case num == orderSealedWithField && typ == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(value)
			o.SealedWith = uint32(v)
		}
	})
	if !sealed || !ValidID(o.Subject()) {
		return nil
	}
	return o
}
