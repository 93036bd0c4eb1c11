package protocol

// Version is the protocol version that this build speaks. It is one integer;
// a peer with another version is told so and refused, never guessed at.
//
// History:
//
//	1  2026-11-21  first version
const Version = 1

// VersionMin is the oldest version that a hub of this build still serves.
const VersionMin = 1
