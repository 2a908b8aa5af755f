package liveness

// The static library comes with what Rust's standard library needs of a Linux system.

/*
#cgo !liveness_system CFLAGS: -I${SRCDIR}/../../include
#cgo !liveness_system,!liveness_static LDFLAGS: -L${SRCDIR}/../../target/release -lliveness -Wl,-rpath,${SRCDIR}/../../target/release
#cgo !liveness_system,liveness_static LDFLAGS: ${SRCDIR}/../../target/release/libliveness.a -lgcc_s -lutil -lrt -lpthread -lm -ldl
#cgo liveness_system LDFLAGS: -lliveness
*/
import "C"
