//! Plain loops, compiled for the vector instructions of the processor at hand.

/// A loop that the compiler makes much faster with more vector instructions than every processor
/// has. `run` and what it calls must be inlined, or they are compiled without.
pub(crate) trait Work {
    fn run(self);
}

/// Runs a loop with the vector instructions of this processor. The answer is the same with all.
pub(crate) fn run(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn avx2(work: impl Work) {
            work.run();
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has these instructions.
            #[allow(unsafe_code)]
            return unsafe { avx2(work) };
        }
    }
    work.run();
}
