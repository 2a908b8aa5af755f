// Package liveness tells from one selfie whether a live person, a print or a screen is before the
// camera. It calls the C library liveness, whose networks are embedded in it.
//
//	engine, err := liveness.New(liveness.Config{})
//	if err != nil {
//		return err
//	}
//	defer engine.Close()
//	result, err := engine.Check(selfie)
//	switch {
//	case errors.Is(err, liveness.ErrMaskDetected):
//		// ask for another selfie
//	case err != nil:
//		return err
//	case !result.Liveness:
//		// an attack presentation: a print or a screen
//	}
//
// An attack is a [Result], not an error. Whatever fails gives the zero Result, which reads as not
// live, and an error; those of the library are of type [*Error] and carry the code of the contract.
//
// One [Engine] serves all goroutines of a program. What is handed to a check is borrowed until the
// check returns and must not be changed meanwhile.
//
// # Linking
//
// The package is built with cgo and includes liveness.h. Build tags choose how the library is found:
//
//   - none: target/release of the repository that holds this module, as `cargo build --release`
//     makes it. Programs find the shared library there by their rpath.
//   - liveness_static: the same place, but the static library becomes a part of the program.
//   - liveness_system: header and library that the compiler finds, or that CGO_CFLAGS and
//     CGO_LDFLAGS name.
package liveness
