// Package sale holds the rules of a receipt: what a till may ask for, how a
// sale, a return and a void are computed, and how a receipt is shown.
//
// A receipt is computed once and never again, so every rule that decides about
// money stands here, in integers, without I/O or a clock: the same request,
// terms and catalogue rows give the same receipt on any machine. Prices, rates
// and codes are resolved by the caller before.
//
// Three things always hold. Tenders less change are the total. A receipt's
// lines, with the tax where prices exclude it and the rounding, are its total,
// unless another POS said otherwise, and then a warning says so. And what is
// returned of a receipt, in whatever parts, never adds up to more than was paid
// for it.
package sale
