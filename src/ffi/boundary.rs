//! What stands between a caller in C and the library: no panic gets out, and the reason of an
//! error is kept for the thread that met it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

use libc::c_char;

use super::log;
use super::types::reason_bits;
use crate::error::{Error, ErrorCode, panic_text};

pub(super) const OK: i32 = 0;
const INTERNAL: i32 = ErrorCode::Internal as i32;

thread_local! {
    /// Ends with a NUL, or is empty.
    static LAST_ERROR: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static LAST_FINDINGS: Cell<Findings> = const { Cell::new(Findings::NONE) };
    static PANIC_PLACE: RefCell<String> = const { RefCell::new(String::new()) };
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// What was found in an image before it was refused.
#[derive(Clone, Copy)]
struct Findings {
    reasons: u64,
    faces: u32,
}

impl Findings {
    const NONE: Findings = Findings {
        reasons: 0,
        faces: 0,
    };

    fn of(error: &Error) -> Findings {
        let found = error.details();
        Findings {
            reasons: reason_bits(&found.reasons),
            faces: found.faces.unwrap_or(0),
        }
    }
}

/// Runs a call that answers with a status. An error is remembered for the thread and logged, a
/// panic is 005.
pub(super) fn status(function: &'static str, body: impl FnOnce() -> Result<(), Error>) -> i32 {
    value(function, INTERNAL, || match body() {
        Ok(()) => {
            remember("", Findings::NONE);
            OK
        }
        Err(error) => report(function, &error),
    })
}

/// Runs a call that cannot fail; a panic gives `on_panic`.
pub(super) fn value<T>(function: &'static str, on_panic: T, body: impl FnOnce() -> T) -> T {
    let guarded = AssertUnwindSafe(|| {
        silence_panics();
        let _call = Call::enter();
        #[cfg(any(test, feature = "panic-test"))]
        force_panic(function);
        body()
    });
    catch_unwind(guarded).unwrap_or_else(|payload| {
        // Reporting allocates and runs the host's log callback, so it may panic as well.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            report(function, &panic_error(payload.as_ref()))
        }));
        on_panic
    })
}

/// Logs and remembers why a call failed, and gives the status for it.
fn report(function: &'static str, error: &Error) -> i32 {
    log::error(function, error);
    // Last, because the log callback may make calls of its own.
    remember(error.detail(), Findings::of(error));
    error.code() as i32
}

/// The reason of this thread's last failed call, empty where the last call succeeded. The pointer
/// is good until the thread's next call that answers with a status.
pub(super) fn last_error() -> *const c_char {
    LAST_ERROR
        .try_with(|text| match text.borrow().as_slice() {
            [] => c"".as_ptr(),
            text => text.as_ptr().cast(),
        })
        // The thread is ending and has dropped its reason already.
        .unwrap_or(c"".as_ptr())
}

/// The LIVENESS_REASON_ bits of this thread's last call, if that refused its image for them.
pub(super) fn last_reasons() -> u64 {
    LAST_FINDINGS.get().reasons
}

/// The faces that this thread's last call counted, if it refused its image afterwards.
pub(super) fn last_faces() -> u32 {
    LAST_FINDINGS.get().faces
}

fn remember(reason: &str, findings: Findings) {
    LAST_FINDINGS.set(findings);
    let _ = LAST_ERROR.try_with(|text| {
        let mut text = text.borrow_mut();
        text.clear();
        if !reason.is_empty() {
            text.extend(reason.bytes().filter(|byte| *byte != 0));
            text.push(0);
        }
    });
}

/// Marks, for the panic hook, that this thread is inside a call from C.
struct Call;

impl Call {
    fn enter() -> Call {
        let _ = CALLS.try_with(|calls| calls.set(calls.get().saturating_add(1)));
        Call
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let _ = CALLS.try_with(|calls| calls.set(calls.get().saturating_sub(1)));
    }
}

/// Keeps panics inside calls from C off standard error, where the default hook prints them: they
/// are reported as 005 and a host's output is its own. All other panics of the process go to the
/// hook that was there before.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if CALLS.try_with(|calls| calls.get() > 0).unwrap_or(false) {
                note_place(info);
            } else {
                previous(info);
            }
        }));
    });
}

fn note_place(info: &PanicHookInfo<'_>) {
    if let Some(location) = info.location() {
        let _ = PANIC_PLACE.try_with(|place| {
            *place.borrow_mut() = format!(" at {}:{}", location.file(), location.line());
        });
    }
}

fn panic_error(payload: &(dyn Any + Send)) -> Error {
    let text = panic_text(payload);
    let place = PANIC_PLACE
        .try_with(|place| std::mem::take(&mut *place.borrow_mut()))
        .unwrap_or_default();
    Error::internal(format!(
        "a panic was caught{place}: {text}; this is a defect of the library, please report it"
    ))
}

/// Where a call has cleared its out parameters: the tests let it panic here as well.
pub(super) fn cleared(_function: &str) {
    #[cfg(any(test, feature = "panic-test"))]
    force_panic(&format!("{_function}, cleared"));
}

/// Panics where the environment variable LIVENESS_PANIC_TEST names this place: a function's name is
/// its start. It exists in the library's own tests and with the feature `panic-test` only.
#[cfg(any(test, feature = "panic-test"))]
fn force_panic(place: &str) {
    if std::env::var("LIVENESS_PANIC_TEST").is_ok_and(|name| name == place) {
        panic!("forced in {place}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::types::{LIVENESS_REASON_SEVERAL_FACES, LIVENESS_REASON_TOO_DARK};
    use crate::verdict::Reason;
    use std::ffi::CStr;

    fn reason() -> String {
        // SAFETY: the reason ends with a NUL and is copied before the next call.
        unsafe { CStr::from_ptr(last_error()) }
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_reason_is_that_of_the_last_call() {
        assert_eq!(reason(), "");
        let failed = status("test", || Err(Error::bad_request("one\0two")));
        assert_eq!((failed, reason().as_str()), (4, "onetwo"));
        assert_eq!(value("test", 1, || 2), 2);
        assert_eq!(reason(), "onetwo");
        std::thread::spawn(|| assert_eq!(reason(), ""))
            .join()
            .unwrap();
        assert_eq!((status("test", || Ok(())), reason().as_str()), (OK, ""));
    }

    #[test]
    fn findings_are_those_of_the_last_call() {
        let findings = || (last_reasons(), last_faces());
        let refused = || {
            Err(
                Error::new(ErrorCode::FaceCount, "two").with(crate::error::Findings {
                    reasons: vec![Reason::SeveralFaces, Reason::TooDark],
                    faces: Some(2),
                    ..Default::default()
                }),
            )
        };
        let bits = LIVENESS_REASON_SEVERAL_FACES | LIVENESS_REASON_TOO_DARK;
        assert_eq!(findings(), (0, 0));
        assert_eq!((status("test", refused), findings()), (51, (bits, 2)));
        assert_eq!(value("test", 1, || 2), 2);
        assert_eq!(findings(), (bits, 2));
        std::thread::spawn(move || assert_eq!(findings(), (0, 0)))
            .join()
            .unwrap();
        type Call = fn() -> Result<(), Error>;
        let others: [Call; 3] = [
            || Ok(()),
            || Err(Error::unreadable("broken")),
            || panic!("on purpose"),
        ];
        for other in others {
            status("test", refused);
            status("test", other);
            assert_eq!(findings(), (0, 0));
        }
    }

    #[test]
    fn a_panic_is_005_and_says_where() {
        let number = status("test", || panic!("on {}", "purpose"));
        assert_eq!(number, INTERNAL);
        assert!(reason().contains("on purpose") && reason().contains("boundary.rs"));
        assert_eq!(value("test", 7, || panic!("static text")), 7);
        assert!(reason().contains("static text"));
        let any = value("test", 7, || std::panic::panic_any(3_u8));
        assert_eq!(any, 7);
        assert!(reason().contains("no message"));
    }

    #[test]
    fn a_call_inside_a_call_is_still_inside() {
        let inner = value("outer", 0, || {
            value("inner", (), || ());
            CALLS.get()
        });
        assert_eq!((inner, CALLS.get()), (1, 0));
    }
}
