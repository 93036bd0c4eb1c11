package pickup

import "counterpart/protocol"

// StagedAs is what is staged of an item, for whatever line.
func (s *State) StagedAs(sku protocol.SKU) (sum protocol.Quantity) {
	for i, q := range s.Staged {
		if s.slot(i).item == sku {
			sum += q
		}
	}
	return sum
}
