//go:build !cgo

package liveness

// Without cgo nothing of this package is left, and Go switches cgo off by itself where it finds no C compiler and where it
// builds for another platform. So that the error says what to do:
var _ = this_package_needs_cgo__set_CGO_ENABLED_1_and_CC_to_a_C_compiler
