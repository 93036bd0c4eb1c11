package ledger_test

import (
	"testing"

	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/ledgertest"
)

func inMemory(*testing.T) ledger.Driver { return ledger.NewMemory() }

func TestI3_I8_FoldInMemory(t *testing.T) { ledgertest.TestFold(t, inMemory, 10_000/ledgertest.Share) }

func TestI3_I5_I8_GroupInMemory(t *testing.T) {
	ledgertest.TestGroup(t, inMemory, 1_000/ledgertest.Share)
}

func TestI6_I10_MemberFeedInMemory(t *testing.T) {
	ledgertest.TestMemberFeed(t, inMemory, 1_000/ledgertest.Share)
}

func TestI4_I5_RefusalInMemory(t *testing.T) { ledgertest.TestRefusal(t, inMemory) }

func TestI3_I11_StandingInMemory(t *testing.T) {
	ledgertest.TestStanding(t, inMemory, 300/ledgertest.Share)
}

func TestI7_TrimInMemory(t *testing.T) { ledgertest.TestTrim(t, inMemory, 300/ledgertest.Share) }

func TestI9_SumsInMemory(t *testing.T) { ledgertest.TestSums(t, inMemory, 500/ledgertest.Share) }
