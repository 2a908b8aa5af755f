//! Things that one call uses alone, lent to as many calls as run at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Idle items. A call takes one out, or makes one where none is idle, and gives it back; so there
/// are as many as calls ever ran at the same time, and no call waits for another.
pub(super) struct Pool<T> {
    idle: Mutex<Vec<T>>,
    limit: usize,
}

impl<T> Pool<T> {
    /// Keeps all items.
    pub fn new() -> Self {
        Self::bounded(usize::MAX)
    }

    /// Keeps at most `limit` items, and drops more than that where they are given back.
    pub fn bounded(limit: usize) -> Self {
        Pool {
            idle: Mutex::new(Vec::new()),
            limit,
        }
    }

    /// Lends an item to `work`. An item is dropped when `work` panics: its state is unknown then.
    pub fn with<R, E>(
        &self,
        make: impl FnOnce() -> Result<T, E>,
        work: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let idle = self.lock().pop();
        let mut item = match idle {
            Some(item) => item,
            None => make()?,
        };
        let result = work(&mut item);
        self.give_back(item);
        result
    }

    /// Does `work` to each idle item that needs it, one at a time, so that calls find the others.
    pub fn for_idle(&self, needs: impl Fn(&T) -> bool, work: impl Fn(&mut T)) {
        let next = || {
            let mut idle = self.lock();
            let at = idle.iter().rposition(&needs)?;
            Some(idle.remove(at))
        };
        while let Some(mut item) = next() {
            work(&mut item);
            self.give_back(item);
        }
    }

    fn give_back(&self, item: T) {
        let mut idle = self.lock();
        if idle.len() < self.limit {
            idle.push(item);
        }
    }

    // The lock is held for a push or a pop only, which leave the list sound wherever they stop.
    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn calls_run_at_the_same_time_and_items_are_used_again() {
        let pool = Pool::new();
        let made = AtomicUsize::new(0);
        let make = || Ok::<_, ()>(made.fetch_add(1, Ordering::Relaxed));
        // Every round needs all four calls inside at once, or nobody gets past the barrier.
        let barrier = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        pool.with(make, |_| {
                            barrier.wait();
                            Ok(())
                        })
                        .unwrap();
                        barrier.wait();
                    }
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 4);
        assert_eq!(pool.lock().len(), 4);
    }

    #[test]
    fn idle_items_are_worked_on_where_they_need_it() {
        let pool: Pool<u8> = Pool::new();
        let lend = |value: u8| pool.with(|| Ok::<_, ()>(value), |_| Ok(()));
        pool.with(
            || Ok::<_, ()>(3),
            |_| {
                pool.with(|| Ok(2), |_| lend(1))?;
                // The one that is lent out is left alone.
                pool.for_idle(|item| *item != 1, |item| *item = 1);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(*pool.lock(), [1, 1, 3]);
        pool.for_idle(|item| *item != 1, |item| *item = 1);
        assert_eq!(*pool.lock(), [1, 1, 1]);
    }

    #[test]
    fn an_item_is_not_lent_after_a_panic() {
        let pool: Pool<u8> = Pool::new();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.with(
                || Ok::<_, ()>(1),
                |_| -> Result<(), ()> { panic!("on purpose") },
            )
        }));
        assert!(outcome.is_err());
        assert!(pool.lock().is_empty());
    }
}
