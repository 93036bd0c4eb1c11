package bolt_test

import (
	"path/filepath"
	"testing"

	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/ledgertest"
)

func onDisk(t *testing.T) ledger.Driver {
	return open(t, filepath.Join(t.TempDir(), "store.db"), agent)
}

func TestI3_I8_FoldOnBolt(t *testing.T) { ledgertest.TestFold(t, onDisk, 10_000/ledgertest.Share) }

func TestI3_I11_StandingOnBolt(t *testing.T) {
	ledgertest.TestStanding(t, onDisk, 20/ledgertest.Share)
}

func TestI7_TrimOnBolt(t *testing.T) { ledgertest.TestTrim(t, onDisk, 20/ledgertest.Share) }

func TestI3_I5_I8_GroupOnBolt(t *testing.T) {
	ledgertest.TestGroup(t, onDisk, 1_000/ledgertest.Share)
}

func TestI4_I5_RefusalOnBolt(t *testing.T) { ledgertest.TestRefusal(t, onDisk) }
