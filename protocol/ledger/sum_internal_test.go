package ledger

import (
	"testing"

	"counterpart/protocol"
)

// TestI9_SumOfOneMove holds the sums to the vectors in docs/PROTOCOL.md: other
// programs make the same.
func TestI9_SumOfOneMove(t *testing.T) {
	if sumHead[1] != SumsVersion {
		t.Errorf("rows are of version %d, digests of %d", sumHead[1], SumsVersion)
	}
	for _, v := range []struct {
		move      protocol.Move
		bucket    int
		high, low uint64
	}{
		{protocol.Move{SKU: "PEN-01", State: protocol.OnHand, Delta: -3000}, 10, 0xaaa89dae2f8f6978, 0x192dbc02dd34b3f8},
		{protocol.Move{SKU: "PEN-01", State: protocol.Damaged, Delta: 1}, 10, 0x9fb3d0d3d40c7e4d, 0x85f7d6a16a013b6b},
		{protocol.Move{SKU: "Çay", State: protocol.OnHand, Delta: 1}, 4, 0xa6f129f5fcd57ebf, 0xd6ec6ea3f05de53f},
	} {
		var got, want protocol.Sums
		hashSKU(v.move.SKU).addTo(&got, v.move.State, v.move.Delta)
		want[v.bucket] = [2]uint64{v.high, v.low}
		if got != want {
			t.Errorf("%+v: bucket %d, %x, not bucket %d, %x", v.move, hashSKU(v.move.SKU).bucket(), got[hashSKU(v.move.SKU).bucket()], v.bucket, want[v.bucket])
		}
	}
}
