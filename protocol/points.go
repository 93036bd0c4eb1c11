package protocol

// Lease is about points of a member that one stream may spend without asking.
type Lease struct {
	Member MemberID
	Holder Inc
	Change LeaseChange
	Points Points // above zero; 0 of LeaseRecalled, and of LeaseClosed where nothing is left
	Staff  StaffID
	Reason string
	// Recalls is how often the hub had recalled the lease when its holder closed it,
	// so that what is given back unasked does not pass for an answer.
	Recalls uint32
}

// LeaseChange says what happened to a lease.
type LeaseChange string

// The changes. All but LeaseClosed, which is the holder's, are the hub's.
const (
	LeaseGranted  LeaseChange = "granted"  // so many more may be spent
	LeaseRecalled LeaseChange = "recalled" // the hub asks for what is left
	LeaseClosed   LeaseChange = "closed"   // the holder gives so many back
	LeaseCredited LeaseChange = "credited" // taken back from a stream that is over, at the chain's risk
	LeaseSettled  LeaseChange = "settled"  // so many that the holder spent at risk are counted
)

// PointsChange is what no sale earned or redeemed.
type PointsChange struct {
	Member MemberID
	Change PointsReason
	Points Points // what the account gains; of PointsExpired below zero
	Reason string
	Staff  StaffID
}

// PointsReason says why points came or went.
type PointsReason string

// The reasons.
const (
	PointsAdjusted PointsReason = "adjusted"
	PointsExpired  PointsReason = "expired"
)
