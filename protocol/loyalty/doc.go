// Package loyalty holds the rules of members' points: accounts and leases, what a
// sale earns, what a return takes back, what points are worth, and what an operator
// may say of all that.
//
// Accounts are sums of what events say, so every number of points is computed
// once, here, in exact integers, without I/O or a clock: a till that is cut off and
// the hub come to the same. No standard says how points are reckoned. Where a
// comment names no other source, the rule is our own.
package loyalty
