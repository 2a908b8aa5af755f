//! Things that one call uses alone, lent to as many calls as run at once.

use std::sync::{Mutex, MutexGuard};

use crate::sync::lock;

/// Idle items. A call takes one out, or makes one where none is idle, and gives it back; so there
/// are as many as calls ever ran at the same time, and no call waits for another.
pub(super) struct Pool<T> {
    idle: Mutex<Vec<T>>,
    limit: usize,
}

impl<T> Pool<T> {
    /// Keeps at most `limit` items, and drops more than that where they are given back.
    fn bounded(limit: usize) -> Self {
        Pool {
            idle: Mutex::new(Vec::new()),
            limit,
        }
    }

    /// Keeps at most `times` as many items as there are cores for calls to run on.
    pub fn of_cores(times: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::bounded(times.saturating_mul(cores))
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

    /// Does `work` to each idle item that needs it, one at a time, so that calls find the others, and those first that
    /// have been idle longest. What is given back meanwhile is left to whoever used it.
    pub fn for_idle(&self, needs: impl Fn(&T) -> bool, work: impl Fn(&mut T)) {
        let next = || {
            let mut idle = self.lock();
            let at = idle.iter().position(&needs)?;
            Some(idle.remove(at))
        };
        let count = self.lock().iter().filter(|item| needs(item)).count();
        for mut item in std::iter::from_fn(next).take(count) {
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
        lock(&self.idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn calls_run_at_the_same_time_and_items_are_used_again() {
        let pool = Pool::bounded(8);
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
        let pool: Pool<u8> = Pool::bounded(8);
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
    fn what_is_given_back_meanwhile_is_left_to_others() {
        let pool: Pool<u8> = Pool::bounded(8);
        let lend = |value: u8| pool.with(|| Ok::<_, ()>(value), |_| Ok(()));
        lend(1).unwrap();
        let worked = AtomicUsize::new(0);
        pool.for_idle(
            |item| *item == 1,
            |_| {
                worked.fetch_add(1, Ordering::Relaxed);
                lend(1).unwrap();
            },
        );
        assert_eq!(worked.into_inner(), 1);
    }

    #[test]
    fn no_more_are_kept_than_the_limit() {
        let pool = Pool::bounded(2);
        let lend = |work: &dyn Fn()| {
            let work = |(): &mut ()| -> Result<(), ()> {
                work();
                Ok(())
            };
            pool.with(|| Ok(()), work).unwrap();
        };
        lend(&|| lend(&|| lend(&|| ())));
        assert_eq!(pool.lock().len(), 2);
    }

    #[test]
    fn an_item_is_not_lent_after_a_panic() {
        let pool: Pool<u8> = Pool::bounded(8);
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
