package liveness

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"unsafe"
)

// Error is a failure with a code of the contract. Ask for a kind with [errors.Is] and one of the
// variables below, or for the fields with [errors.As].
type Error struct {
	// Code is that of the contract, such as "051".
	Code string
	// Message is the contract's sentence for the code.
	Message string
	// Reason is cause and cure in English, for a person; its wording may change, and it may name
	// files of this machine.
	Reason string
	// Reasons say what is to be seen in an image that is refused, such as [NoFace]; none for all codes
	// but "051" and "052".
	Reasons []Reason
	// Faces is the number of faces that count in such an image; 0 for all other codes.
	Faces int

	status C.int32_t
}

// The kinds of [Error].
var (
	// ErrUnauthorized is what HTTP servers answer to a missing or wrong API key; this package never
	// returns it.
	ErrUnauthorized = newError(C.LIVENESS_ERROR_UNAUTHORIZED, "")
	// ErrUnreadableImage: not decodable as an image. Damaged, truncated, not an image, an unsupported
	// format, empty, absurd dimensions, invalid base64.
	ErrUnreadableImage = newError(C.LIVENESS_ERROR_UNREADABLE_IMAGE, "")
	// ErrImageTooLarge: the encoded file is larger than Config.MaxFileBytes.
	ErrImageTooLarge = newError(C.LIVENESS_ERROR_IMAGE_TOO_LARGE, "")
	// ErrBadRequest: an invalid pixel layout or option, a nil context or image.
	ErrBadRequest = newError(C.LIVENESS_ERROR_BAD_REQUEST, "")
	// ErrInternal: anything unforeseen.
	ErrInternal = newError(C.LIVENESS_ERROR_INTERNAL, "")
	// ErrFaceCount: no face, or more than one, or one under 40 pixels; with StrictQuality also one of poor quality.
	ErrFaceCount = newError(C.LIVENESS_ERROR_FACE_COUNT, "")
	// ErrMaskDetected: a face mask covers mouth or nose.
	ErrMaskDetected = newError(C.LIVENESS_ERROR_MASK_DETECTED, "")
)

// ErrClosed is what a method of an [Engine] returns that was closed, or was not made by [New].
var ErrClosed = errors.New("liveness: the engine is closed")

func newError(status C.int32_t, reason string) *Error {
	return &Error{
		Code:    C.GoString(C.liveness_error_code_string(status)),
		Message: C.GoString(C.liveness_error_message(status)),
		Reason:  reason,
		status:  status,
	}
}

// Error gives code, message and reason.
func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("liveness: %s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("liveness: %s: %s (%s)", e.Code, e.Message, e.Reason)
}

// Is makes [errors.Is] compare codes, so that every 051 is [ErrFaceCount].
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// HTTPStatus is the status that goes with the code in the contract's HTTP interface.
func (e *Error) HTTPStatus() int {
	switch e.status {
	case C.LIVENESS_ERROR_UNAUTHORIZED:
		return http.StatusUnauthorized
	case C.LIVENESS_ERROR_UNREADABLE_IMAGE, C.LIVENESS_ERROR_BAD_REQUEST:
		return http.StatusBadRequest
	case C.LIVENESS_ERROR_IMAGE_TOO_LARGE:
		return http.StatusRequestEntityTooLarge
	case C.LIVENESS_ERROR_FACE_COUNT, C.LIVENESS_ERROR_MASK_DETECTED:
		return http.StatusUnprocessableEntity
	default:
		return http.StatusInternalServerError
	}
}

// JSON is the contract's answer for the error, for servers that refuse a request themselves.
func (e *Error) JSON() []byte {
	return fmt.Appendf(nil, `{"success":false,"error_code":%q,"error_message":%q}`, e.Code, e.Message)
}

// refusalJSON is the library's answer to a request that this package refuses in its place.
func (e *Error) refusalJSON(details bool) []byte {
	text := e.JSON()
	if !details {
		return text
	}
	// A string always has a form in JSON.
	reason, _ := json.Marshal(e.Reason)
	return fmt.Appendf(text[:len(text)-1], `,"details":{"reason":%s}}`, reason)
}

// An answer is what a check gave: that of the library, with strings that are to be freed, or the
// refusal of what cannot be handed to the library, with the flags that it was asked with.
type answer struct {
	c       C.bridge_answer
	refusal *Error
	flags   C.uint32_t
}

func refused(status C.int32_t, reason string, flags C.uint32_t) answer {
	return answer{refusal: newError(status, reason), flags: flags}
}

// take frees the answer's strings, having copied the JSON where it is asked for, and gives the error.
func (a answer) take(json *[]byte) error {
	if a.refusal != nil {
		if json != nil {
			*json = a.refusal.refusalJSON(a.flags&C.LIVENESS_JSON_DETAILS != 0)
		}
		return a.refusal
	}
	defer C.liveness_string_free(a.c.json)
	if json != nil && a.c.json != nil {
		*json = []byte(C.GoString(a.c.json))
	}
	return answerError(&a.c)
}

func answerError(answer *C.bridge_answer) error {
	defer C.free(unsafe.Pointer(answer.reason))
	if answer.status == C.LIVENESS_OK {
		return nil
	}
	// Null only where there was no memory for a copy.
	var reason string
	if answer.reason != nil {
		reason = C.GoString(answer.reason)
	}
	err := newError(answer.status, reason)
	err.Reasons = reasons(uint64(answer.reasons))
	err.Faces = int(answer.faces)
	return err
}
