//! The handles that are open. A handle is a number in the shape of a pointer: it is looked up and
//! never followed, so that one that was freed, or never was a handle, is an error and no crash.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::Error;

/// What stands behind the handles. No number is given twice, so a handle that was freed never
/// means what was made later.
pub(super) struct Registry<T>(RwLock<Handles<T>>);

struct Handles<T> {
    next: usize,
    open: BTreeMap<usize, Arc<T>>,
}

/// What became of a handle that was to be ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nobody uses it any more.
    Unused,
    /// Calls with it are under way. What stands behind it goes with the last of them.
    InUse,
    /// It is not open: freed before, or not a handle.
    Unknown,
}

impl<T> Registry<T> {
    /// Above the first page, whose numbers garbage collectors of hosts take for corrupt pointers,
    /// and odd like all that follow, which no address of an object in C is.
    const FIRST: usize = 0x1_0001;
    const STEP: usize = 2;

    pub const fn new() -> Self {
        Registry(RwLock::new(Handles {
            next: Self::FIRST,
            open: BTreeMap::new(),
        }))
    }

    pub fn open(&self, value: T) -> Result<usize, Error> {
        let value = Arc::new(value);
        // The lock is held for a look into the map only, which no panic leaves unsound.
        let mut handles = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let handle = handles.next;
        handles.next = handle
            .checked_add(Self::STEP)
            .ok_or_else(|| Error::internal("this process has used up its handles"))?;
        handles.open.insert(handle, value);
        Ok(handle)
    }

    /// What stands behind a handle; it lives as long as the answer does, whatever others free.
    pub fn get(&self, handle: usize) -> Option<Arc<T>> {
        let handles = self.0.read().unwrap_or_else(PoisonError::into_inner);
        handles.open.get(&handle).cloned()
    }

    pub fn end(&self, handle: usize) -> Ended {
        let mut handles = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let removed = handles.open.remove(&handle);
        if handles.open.is_empty() {
            // An empty map keeps memory, which would stay behind where the library is unloaded.
            handles.open = BTreeMap::new();
        }
        drop(handles);
        match removed.map(Arc::into_inner) {
            Some(Some(_last)) => Ended::Unused,
            Some(None) => Ended::InUse,
            None => Ended::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    #[test]
    fn a_handle_means_what_it_was_made_for_until_it_is_ended() {
        let registry = Registry::new();
        let (one, two) = (registry.open("one").unwrap(), registry.open("two").unwrap());
        assert_eq!(registry.get(one).as_deref(), Some(&"one"));
        assert_eq!(registry.end(one), Ended::Unused);
        assert_eq!(registry.get(one), None);
        assert_eq!(registry.end(one), Ended::Unknown);
        assert_eq!(registry.get(two).as_deref(), Some(&"two"));
        let three = registry.open("three").unwrap();
        assert!(three != one && three != two);
        assert_eq!(registry.get(one), None);
    }

    #[test]
    fn handles_are_neither_null_nor_addresses() {
        let registry = Registry::new();
        for _ in 0..10 {
            let handle = registry.open(()).unwrap();
            assert!(handle > 4096 && handle % 2 == 1);
        }
        let object = 7_u64;
        for stranger in [0, 1, usize::MAX, (&raw const object).addr()] {
            assert_eq!(registry.get(stranger), None);
            assert_eq!(registry.end(stranger), Ended::Unknown);
        }
    }

    #[test]
    fn numbers_that_run_out_are_an_error() {
        let registry = Registry::new();
        registry.0.write().unwrap().next = usize::MAX - 1;
        assert!(registry.open(()).is_err());
        assert!(registry.open(()).is_err());
    }

    struct CountsDrops<'a>(&'a AtomicUsize);

    impl Drop for CountsDrops<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn what_is_ended_in_use_goes_with_its_last_user() {
        let drops = AtomicUsize::new(0);
        let registry = Registry::new();
        let handle = registry.open(CountsDrops(&drops)).unwrap();
        let (entered, enters) = channel();
        let (leave, leaves) = channel();
        std::thread::scope(|scope| {
            let registry = &registry;
            scope.spawn(move || {
                let _used = registry.get(handle).unwrap();
                entered.send(()).unwrap();
                leaves.recv().unwrap();
            });
            enters.recv().unwrap();
            assert_eq!(registry.end(handle), Ended::InUse);
            assert_eq!(drops.load(Ordering::SeqCst), 0);
            leave.send(()).unwrap();
        });
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn threads_open_use_and_end_at_once() {
        let drops = AtomicUsize::new(0);
        let registry = Registry::new();
        let shared = registry.open(CountsDrops(&drops)).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..4 {
                        let own = registry.open(CountsDrops(&drops)).unwrap();
                        assert!(registry.get(shared).is_some() && registry.get(own).is_some());
                        assert_eq!(registry.end(own), Ended::Unused);
                        assert!(registry.get(own).is_none());
                    }
                });
            }
        });
        assert_eq!(drops.load(Ordering::SeqCst), 12);
        assert_eq!(registry.end(shared), Ended::Unused);
        assert_eq!(drops.load(Ordering::SeqCst), 13);
    }
}
