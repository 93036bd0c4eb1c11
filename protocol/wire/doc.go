// Package wire holds the protocol buffers of Counterpart's protocol: the .proto
// files, which are the public specification, and the code generated from them.
//
// Only package protocol imports it. Everything else speaks in the domain types
// of package protocol, whose codec also checks what protocol buffers cannot.
package wire

//go:generate protoc --proto_path=../.. --go_out=../.. --go_opt=paths=source_relative protocol/wire/catalog.proto protocol/wire/event.proto protocol/wire/member.proto protocol/wire/message.proto
