//! The log callback, the only setting that all handles share. Silent until set.

use std::cell::Cell;
use std::ffi::CString;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use libc::{c_char, c_void};

use super::types::{
    LIVENESS_LOG_DEBUG, LIVENESS_LOG_ERROR, LIVENESS_LOG_INFO, LIVENESS_LOG_OFF, LIVENESS_LOG_WARN,
};
use crate::engine::EngineInfo;
use crate::error::{Error, ErrorCode};
use crate::sync::lock;
use crate::verdict::Verdict;

pub(super) type Function =
    unsafe extern "C" fn(user: *mut c_void, level: i32, message: *const c_char);

struct Sink {
    function: Function,
    user: *mut c_void,
    level: i32,
    /// How many calls are under way, and word that there are none.
    calls: Mutex<usize>,
    idle: Condvar,
}

/// A call of a sink that is under way.
struct Call(Arc<Sink>);

// SAFETY: the header demands of the host that its callback and its user pointer may be used from
// every thread that calls the library; the library itself never looks behind the pointer.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

/// Locked for moments only, never while the host's function runs.
static SINK: Mutex<Option<Arc<Sink>>> = Mutex::new(None);
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
    let sink = function.map(|function| {
        Arc::new(Sink {
            function,
            user,
            level,
            calls: Mutex::new(0),
            idle: Condvar::new(),
        })
    });
    let former = {
        let mut current = lock(&SINK);
        let level = sink.as_ref().map_or(LIVENESS_LOG_OFF, |sink| sink.level);
        LEVEL.store(level, Ordering::Relaxed);
        std::mem::replace(&mut *current, sink)
    };
    if let Some(former) = former {
        former.wait();
    }
    Ok(())
}

impl Sink {
    /// Waits until no call is under way. Others cannot begin any more.
    fn wait(&self) {
        // A poisoned lock comes back all the same, once nobody holds it any more.
        drop(self.idle.wait_while(lock(&self.calls), |calls| *calls > 0));
    }
}

impl Call {
    /// Begins a call, if there is a sink for this level.
    fn begin(level: i32) -> Option<Self> {
        let current = lock(&SINK);
        let sink = current.as_ref().filter(|sink| level <= sink.level)?;
        // Under the lock: who exchanges the sink afterwards finds it counted.
        *lock(&sink.calls) += 1;
        Some(Call(sink.clone()))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        *lock(&self.0.calls) -= 1;
        self.0.idle.notify_all();
    }
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
    let Some(call) = Call::begin(level) else {
        return;
    };
    let Ok(message) = CString::new(message().replace('\0', "")) else {
        return;
    };
    IN_CALLBACK.set(true);
    // SAFETY: the host gave this function for calls from any thread, with this user pointer; the
    // message is a string that ends with a NUL and lives until the call returns.
    unsafe { (call.0.function)(call.0.user, level, message.as_ptr()) };
    IN_CALLBACK.set(false);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    /// There is one callback in a process, and tests run at once.
    static ALONE: Mutex<()> = Mutex::new(());

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
        let _alone = lock(&ALONE);
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

    type Gate = (Sender<()>, Mutex<Receiver<()>>);

    unsafe extern "C" fn hold(user: *mut c_void, _: i32, message: *const c_char) {
        // SAFETY: `user` is the Gate that the test registered, the message a string with a NUL.
        let ((entered, open), message) =
            unsafe { (&*user.cast::<Gate>(), CStr::from_ptr(message)) };
        if message.to_str().unwrap() == "gate test: held" {
            entered.send(()).unwrap();
            lock(open).recv().unwrap();
        }
    }

    #[test]
    fn nobody_waits_for_a_call_but_who_ends_its_callback() {
        const SOON: Duration = Duration::from_secs(20);
        let _alone = lock(&ALONE);
        let ((entered, has_entered), (open, opened)) = (channel(), channel());
        let gate: Gate = (entered, Mutex::new(opened));
        set(
            Some(hold),
            (&raw const gate).cast_mut().cast(),
            LIVENESS_LOG_ERROR,
        )
        .unwrap();
        let (finished, has_finished) = channel();
        std::thread::scope(|scope| {
            // Whatever fails here, the call that is held ends.
            let open = open;
            scope.spawn(|| misuse("gate test", "held"));
            has_entered.recv_timeout(SOON).unwrap();
            let ended = finished.clone();
            scope.spawn(move || {
                set(None, std::ptr::null_mut(), LIVENESS_LOG_OFF).unwrap();
                ended.send("set").unwrap();
            });
            while lock(&SINK).is_some() {
                std::thread::yield_now();
            }
            scope.spawn(move || {
                misuse("gate test", "passes");
                finished.send("line").unwrap();
            });
            assert_eq!(has_finished.recv_timeout(SOON), Ok("line"));
            assert!(has_finished.try_recv().is_err());
            open.send(()).unwrap();
            assert_eq!(has_finished.recv_timeout(SOON), Ok("set"));
        });
    }
}
