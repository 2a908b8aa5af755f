//! The log callback, the only setting that all handles share. Silent until set.

use std::cell::Cell;
use std::ffi::CString;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{PoisonError, RwLock};

use libc::{c_char, c_void};

use super::types::{
    LIVENESS_LOG_DEBUG, LIVENESS_LOG_ERROR, LIVENESS_LOG_INFO, LIVENESS_LOG_OFF, LIVENESS_LOG_WARN,
};
use crate::engine::EngineInfo;
use crate::error::{Error, ErrorCode};
use crate::verdict::Verdict;

pub(super) type Function =
    unsafe extern "C" fn(user: *mut c_void, level: i32, message: *const c_char);

struct Sink {
    function: Function,
    user: *mut c_void,
    level: i32,
}

// SAFETY: the header demands of the host that its callback and its user pointer may be used from
// every thread that calls the library; the library itself never looks behind the pointer.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
/// The sink's level, so that a silent library takes no lock and formats nothing. It may be that of the
/// sink before: only under the lock do level and function belong together.
static LEVEL: AtomicI32 = AtomicI32::new(LIVENESS_LOG_OFF);

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Sets or removes the callback. When it returns, no call of the former callback is under way.
pub(super) fn set(function: Option<Function>, user: *mut c_void, level: i32) -> Result<(), Error> {
    if !(LIVENESS_LOG_OFF..=LIVENESS_LOG_DEBUG).contains(&level) {
        return Err(Error::bad_request(format!(
            "log level {level} does not exist; give one of LIVENESS_LOG_OFF (0) to LIVENESS_LOG_DEBUG (4)"
        )));
    }
    if IN_CALLBACK.get() {
        return Err(Error::bad_request(
            "the log callback cannot be changed from inside itself; change it after it has returned",
        ));
    }
    let mut sink = SINK.write().unwrap_or_else(PoisonError::into_inner);
    *sink = function.map(|function| Sink {
        function,
        user,
        level,
    });
    let level = sink.as_ref().map_or(LIVENESS_LOG_OFF, |sink| sink.level);
    LEVEL.store(level, Ordering::Relaxed);
    Ok(())
}

/// A handle is ready.
pub(super) fn ready(info: &EngineInfo) {
    write(LIVENESS_LOG_INFO, || {
        format!(
            "liveness_init: engine {}, models {}",
            info.engine, info.models
        )
    });
}

/// A check gave a verdict.
pub(super) fn verdict(function: &str, verdict: &Verdict) {
    write(LIVENESS_LOG_DEBUG, || {
        format!(
            "{function}: live {}, score {:.4}, {:.1} ms",
            verdict.liveness, verdict.score, verdict.details.timings.total
        )
    });
}

/// A call failed. What a stranger's image can cause is no more than a debug message.
pub(super) fn error(function: &str, error: &Error) {
    let level = match error.code() {
        ErrorCode::Internal => LIVENESS_LOG_ERROR,
        ErrorCode::BadRequest => LIVENESS_LOG_WARN,
        _ => LIVENESS_LOG_DEBUG,
    };
    write(level, || {
        format!("{function}: {}: {}", error.code().as_str(), error.detail())
    });
}

/// The host did what the header forbids.
pub(super) fn misuse(function: &str, what: &str) {
    write(LIVENESS_LOG_ERROR, || format!("{function}: {what}"));
}

fn write(level: i32, message: impl FnOnce() -> String) {
    // A call that the callback itself makes is not logged: it would not end.
    if level > LEVEL.load(Ordering::Relaxed) || IN_CALLBACK.get() {
        return;
    }
    let sink = SINK.read().unwrap_or_else(PoisonError::into_inner);
    let Some(sink) = sink.as_ref().filter(|sink| level <= sink.level) else {
        return;
    };
    let Ok(message) = CString::new(message().replace('\0', "")) else {
        return;
    };
    IN_CALLBACK.set(true);
    // SAFETY: the host gave this function for calls from any thread, with this user pointer; the
    // message is a string that ends with a NUL and lives until the call returns.
    unsafe { (sink.function)(sink.user, level, message.as_ptr()) };
    IN_CALLBACK.set(false);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;
    use std::sync::Mutex;

    type Lines = Mutex<Vec<(i32, String)>>;

    unsafe extern "C" fn keep(user: *mut c_void, level: i32, message: *const c_char) {
        // SAFETY: `user` is the Lines that the test registered, the message a string with a NUL.
        let (lines, message) = unsafe { (&*user.cast::<Lines>(), CStr::from_ptr(message)) };
        let mine = message.to_str().unwrap();
        // Other tests of this process fail calls as well.
        if mine.starts_with("log test") {
            lines.lock().unwrap().push((level, mine.to_owned()));
            misuse("log test", "from inside");
            assert!(set(None, std::ptr::null_mut(), LIVENESS_LOG_OFF).is_err());
        }
    }

    #[test]
    fn lines_reach_the_callback_up_to_its_level() {
        let lines = Lines::default();
        let user = (&raw const lines).cast_mut().cast();
        for level in [-1, 5, i32::MAX] {
            assert!(set(Some(keep), user, level).is_err());
        }
        misuse("log test", "before");
        set(Some(keep), user, LIVENESS_LOG_WARN).unwrap();
        misuse("log test", "a\0b");
        error("log test", &Error::bad_request("bad"));
        error("log test", &Error::unreadable("not logged"));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| misuse("log test", "thread"));
            }
        });
        // As a line sees it that read the level before the callback was exchanged.
        LEVEL.store(LIVENESS_LOG_DEBUG, Ordering::Relaxed);
        error("log test", &Error::unreadable("not for this callback"));
        set(None, std::ptr::null_mut(), LIVENESS_LOG_DEBUG).unwrap();
        misuse("log test", "after");
        let lines = lines.into_inner().unwrap();
        assert_eq!(lines[0], (LIVENESS_LOG_ERROR, "log test: ab".into()));
        assert_eq!(lines[1], (LIVENESS_LOG_WARN, "log test: 004: bad".into()));
        assert_eq!(lines.len(), 5);
    }
}
