package pickup

import "counterpart/protocol"

// Acknowledges tells whether the store's primary answers the hub by itself,
// because the part was canceled or expired and nobody has to carry anything
// back. Where goods are staged a person puts them back, and that is the answer.
func (s *State) Acknowledges() bool {
	return s.Order != nil && s.Hub >= CancelRequested && s.Store < PutBack && s.Store != Rejected && len(s.above(s.Staged)) == 0
}

// Acknowledge is what the primary asks for when it answers by itself. Plan
// allows it wherever Acknowledges is true.
var Acknowledge = Ask{Act: protocol.PutBack, Reason: "nothing was staged"}
