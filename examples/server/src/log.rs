//! The lines of the log on their way to standard error.
//!
//! A thread of their own writes them: a reader that stalls keeps that thread waiting and nobody
//! else, neither a request nor the end of the process.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::warn;

/// Lines that wait for the reader. Further ones are dropped.
const MAX_LINES: usize = 10_000;
/// Bytes of these lines, more than they have as a rule: some hundred each. A cause may be longer.
const MAX_BYTES: usize = 8 << 20;
/// How long the end of the process waits for the reader.
const PATIENCE: Duration = Duration::from_secs(1);

static LOG: Queue = Queue::new(MAX_LINES, MAX_BYTES);

/// Starts the thread that writes.
pub fn start() -> io::Result<()> {
    thread::Builder::new().name("log".into()).spawn(|| {
        loop {
            LOG.write_next(&mut io::stderr());
        }
    })?;
    Ok(())
}

/// Adds a line to the log, of which nobody but its reader has to take notice.
pub fn line(text: &str) {
    LOG.push(format!("{text}\n").as_bytes());
}

/// Waits until all lines are written, but not for ever.
pub fn end() {
    LOG.wait(PATIENCE);
}

/// Lines that were dropped since this was last asked.
pub(crate) fn newly_dropped() -> u64 {
    std::mem::take(&mut LOG.lock().uncounted)
}

/// Takes a line with each write.
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LOG.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Queue {
    most_lines: usize,
    most_bytes: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    lines: VecDeque<Vec<u8>>,
    /// The bytes of these lines.
    bytes: usize,
    /// Whether another line is on its way.
    writing: bool,
    /// Lines that were dropped and that the log does not tell of yet.
    untold: u64,
    /// Lines that were dropped and that the metrics do not count yet.
    uncounted: u64,
}

impl Queue {
    const fn new(most_lines: usize, most_bytes: usize) -> Self {
        Queue {
            most_lines,
            most_bytes,
            state: Mutex::new(State {
                lines: VecDeque::new(),
                bytes: 0,
                writing: false,
                untold: 0,
                uncounted: 0,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        let bytes = state.bytes + line.len();
        if state.lines.len() < self.most_lines && bytes <= self.most_bytes {
            state.lines.push_back(line.to_vec());
            state.bytes = bytes;
            self.changed.notify_all();
        } else {
            state.drop_one();
        }
    }

    /// Writes a line as soon as there is one, and tells of those that were dropped before.
    fn write_next(&self, reader: &mut impl Write) {
        let line = self.next();
        let written = reader.write_all(&line);
        let dropped = self.after(&written);
        if dropped > 0 {
            warn!(
                lines = dropped,
                "the log was not read in time: lines were dropped"
            );
        }
        self.lock().writing = false;
        self.changed.notify_all();
    }

    fn next(&self) -> Vec<u8> {
        let empty = |state: &mut State| state.lines.is_empty();
        let mut state = self
            .changed
            .wait_while(self.lock(), empty)
            .unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        let line = state.lines.pop_front().unwrap_or_default();
        state.bytes -= line.len();
        line
    }

    /// The dropped lines that can be told now: the reader has read all that came before.
    fn after(&self, written: &io::Result<()>) -> u64 {
        let mut state = self.lock();
        match written {
            Ok(()) if state.lines.is_empty() => std::mem::take(&mut state.untold),
            Ok(()) => 0,
            // Nothing is told to a reader that has gone away: that would be the next to fail.
            Err(_) => {
                state.drop_one();
                0
            }
        }
    }

    fn wait(&self, patience: Duration) {
        let busy = |state: &mut State| state.writing || !state.lines.is_empty();
        let _ = self.changed.wait_timeout_while(self.lock(), patience, busy);
    }
}

impl State {
    fn drop_one(&mut self) {
        self.untold += 1;
        self.uncounted += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Nobody can write to it.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Says so when it has read a line, which takes a moment.
    struct Slow<'a>(&'a AtomicBool);

    impl Write for Slow<'_> {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            thread::sleep(Duration::from_millis(100));
            self.0.store(true, Ordering::SeqCst);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_beyond_the_limit_are_dropped_and_told_once_the_others_are_read() {
        let queue = Queue::new(2, 100);
        for line in [b"1", b"2", b"3", b"4"] {
            queue.push(line);
        }
        assert_eq!(queue.lock().uncounted, 2);
        let mut read = Vec::new();
        queue.write_next(&mut read);
        assert_eq!(queue.lock().untold, 2);
        queue.write_next(&mut read);
        assert_eq!((read.as_slice(), queue.lock().untold), (&b"12"[..], 0));
        queue.push(b"5");
        queue.write_next(&mut read);
        assert_eq!((read.as_slice(), queue.lock().uncounted), (&b"125"[..], 2));
    }

    #[test]
    fn bytes_beyond_the_limit_are_dropped_as_lines_are() {
        let queue = Queue::new(100, 6);
        for line in [&b"1234"[..], b"567", b"89", b"0"] {
            queue.push(line);
        }
        let mut read = Vec::new();
        queue.write_next(&mut read);
        // There is room again for what was read, and for no more.
        for line in [&b"ABCDE"[..], b"ABCD", b"E"] {
            queue.push(line);
        }
        queue.write_next(&mut read);
        queue.write_next(&mut read);
        assert_eq!(
            (read.as_slice(), queue.lock().uncounted),
            (&b"123489ABCD"[..], 4)
        );
    }

    #[test]
    fn lines_that_nobody_can_read_are_dropped() {
        let queue = Queue::new(2, 100);
        queue.push(b"1");
        queue.write_next(&mut Gone);
        let state = queue.lock();
        assert_eq!((state.untold, state.uncounted), (1, 1));
        assert!(state.lines.is_empty() && !state.writing);
    }

    #[test]
    fn the_end_waits_for_the_lines_and_not_for_ever() {
        let queue = Queue::new(2, 100);
        queue.wait(LONG);
        queue.push(b"1");
        let start = Instant::now();
        queue.wait(Duration::from_millis(50));
        assert!((Duration::from_millis(50)..LONG).contains(&start.elapsed()));
        let read = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| queue.write_next(&mut Slow(&read)));
            queue.wait(LONG);
            assert!(read.load(Ordering::SeqCst));
        });
        assert!(start.elapsed() < LONG);
    }
}
