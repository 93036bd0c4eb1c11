// Package protocol holds the words that agents and hub share: identifiers,
// events, money, quantities, messages, topics, errors, and their encodings.
//
// Nothing here does I/O, reads a clock or starts a goroutine, so that both
// sides, the simulator and other people's clients fold the same bytes in the
// same way. docs/PROTOCOL.md states the same for readers who write a client.
package protocol
