package protocol

import "errors"

// Code is the stable, wire-visible name of what went wrong.
type Code string

// The codes of HTTP answers and refusals. New ones may be added; none is
// renamed or removed.
const (
	BadJSON             Code = "bad_json"
	UnknownField        Code = "unknown_field"
	Unauthenticated     Code = "unauthenticated"
	Forbidden           Code = "forbidden"
	NotFound            Code = "not_found"
	UnknownStore        Code = "unknown_store"
	UnknownCode         Code = "unknown_code"
	InProgress          Code = "in_progress"
	OverReturn          Code = "over_return"
	AlreadyVoided       Code = "already_voided"
	Short               Code = "short"
	Conflict            Code = "conflict"
	TooLarge            Code = "too_large"
	BadCheckDigit       Code = "bad_check_digit"
	BadLength           Code = "bad_length"
	RestrictedCode      Code = "restricted_code"
	PriceMissing        Code = "price_missing"
	OutOfRangeCode      Code = "out_of_range"
	TenderShort         Code = "tender_short"
	ReceiptUnknown      Code = "receipt_unknown"
	PointsUnavailable   Code = "points_unavailable"
	AccountUnavailable  Code = "account_unavailable"
	CardNumber          Code = "card_number"
	IdempotencyMismatch Code = "idempotency_mismatch"
	SlowDown            Code = "slow_down"
	NotProvisioned      Code = "not_provisioned"
	CannotKnow          Code = "cannot_know"
	DiskFull            Code = "disk_full"
	Internal            Code = "internal"

	// Refusals on the wire, which agents show as the cause of their link state.
	VersionRefused    Code = "version"
	DuplicateIdentity Code = "duplicate_identity"
)

var codes = map[Code]struct {
	status int
	title  string
}{
	BadJSON:             {400, "The request is not readable"},
	UnknownField:        {400, "The request has a member that is not known"},
	Unauthenticated:     {401, "Sign in first"},
	Forbidden:           {403, "Not allowed"},
	NotFound:            {404, "Not found"},
	UnknownStore:        {404, "Unknown store"},
	UnknownCode:         {422, "Unknown code"},
	InProgress:          {409, "Still being worked on"},
	OverReturn:          {409, "More than was sold"},
	AlreadyVoided:       {409, "Already voided"},
	Short:               {409, "Not enough stock"},
	Conflict:            {409, "Not possible in the present state"},
	TooLarge:            {413, "Too large"},
	BadCheckDigit:       {422, "Barcode is wrong"},
	BadLength:           {422, "Barcode has the wrong length"},
	RestrictedCode:      {422, "In-store code"},
	PriceMissing:        {422, "No price"},
	OutOfRangeCode:      {422, "Value out of range"},
	TenderShort:         {422, "Not paid in full"},
	ReceiptUnknown:      {422, "Unknown receipt"},
	PointsUnavailable:   {422, "Points cannot be spent here"},
	AccountUnavailable:  {422, "Not to be spent here"},
	CardNumber:          {422, "Card number refused"},
	IdempotencyMismatch: {422, "Idempotency key used for another request"},
	SlowDown:            {429, "Too many requests"},
	NotProvisioned:      {503, "Not ready to sell"},
	CannotKnow:          {503, "Not known here"},
	DiskFull:            {507, "Disk full"},
	Internal:            {500, "Internal error"},
	VersionRefused:      {409, "Other protocol version"},
	DuplicateIdentity:   {409, "Identity in use elsewhere"},
}

// Status is the HTTP status that a code is answered with.
func (c Code) Status() int {
	if e, ok := codes[c]; ok {
		return e.status
	}
	return 500
}

// Title is the short, fixed heading of a problem with this code.
func (c Code) Title() string {
	if e, ok := codes[c]; ok {
		return e.title
	}
	return codes[Internal].title
}

// Error is the one error type that crosses package borders on purpose. Code is
// stable; Message is fit for staff: what happened, what is safe, what to do
// next. Err is the cause for the log and is never shown.
type Error struct {
	Code    Code
	Message string
	Err     error
	// Members are further members of the problem document, such as line,
	// value or remaining.
	Members map[string]any
}

func (e *Error) Error() string {
	if e.Err != nil {
		return string(e.Code) + ": " + e.Message + ": " + e.Err.Error()
	}
	return string(e.Code) + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// With returns e with one more member.
func (e *Error) With(name string, value any) *Error {
	c := *e
	c.Members = make(map[string]any, len(e.Members)+1)
	for k, v := range e.Members {
		c.Members[k] = v
	}
	c.Members[name] = value
	return &c
}

// Refuse makes an Error without a cause.
func Refuse(code Code, message string) *Error { return &Error{Code: code, Message: message} }

// OutOfRange refuses the value of one field.
func OutOfRange(field, value, rule string) *Error {
	return (&Error{Code: OutOfRangeCode, Message: "The value of " + field + " is " + rule + ". Nothing was recorded. Correct it and send it again."}).
		With("field", field).With("value", value)
}

// AsError finds the Error in err's chain. Anything else becomes Internal with
// one fixed sentence; its cause stays in Err for the log.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: Internal, Message: "Something went wrong inside. What was confirmed before is safe. Try again; if it stays, call support.", Err: err}
}

// CodeOf is the code of err, or the empty code for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}
