//! Vector instructions: what each set has, and the few operations of which kernels are made.
//!
//! Kernels are written once over [`Simd`] and compiled for every set. Sets with a fused multiply
//! and add compute the same bits.

/// The vector instructions that a kernel may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum InstructionSet {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl InstructionSet {
    /// All that this processor has, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                sets.push(InstructionSet::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                sets.push(InstructionSet::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            sets.push(InstructionSet::Neon);
        }
        sets.push(InstructionSet::Portable);
        sets
    }

    /// The fastest that this processor has.
    pub fn best() -> Self {
        Self::available()[0]
    }
}

/// The few operations of which kernels are made.
///
/// # Safety
/// The processor has the instructions; pointers are valid for a whole vector, of any alignment.
pub(super) trait Simd {
    type Vector: Copy;
    const LANES: usize;

    /// Brings the cache line at an address, which need not be valid, into the first cache.
    #[inline(always)]
    fn prefetch(_at: *const f32) {}
    unsafe fn load(from: *const f32) -> Self::Vector;
    unsafe fn broadcast(from: *const f32) -> Self::Vector;
    unsafe fn store(to: *mut f32, value: Self::Vector);
    unsafe fn splat(value: f32) -> Self::Vector;
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn subtract(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The larger of the value and zero; what is not a number stays so.
    unsafe fn relu(value: Self::Vector) -> Self::Vector;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Simd;

    pub struct Avx512;
    pub struct Avx2;

    // SAFETY of all functions here: the caller promises the instructions, and valid pointers; no
    // operation asks for alignment.
    impl Simd for Avx512 {
        type Vector = __m512;
        const LANES: usize = 16;

        #[inline(always)]
        fn prefetch(at: *const f32) {
            // SAFETY: every x86-64 processor has the instruction, which is a hint that never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn broadcast(from: *const f32) -> __m512 {
            unsafe { _mm512_set1_ps(*from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m512) {
            unsafe { _mm512_storeu_ps(to, value) }
        }

        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn subtract(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        unsafe fn relu(value: __m512) -> __m512 {
            // Where one is not a number the instruction gives the second.
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), value) }
        }
    }

    impl Simd for Avx2 {
        type Vector = __m256;
        const LANES: usize = 8;

        #[inline(always)]
        fn prefetch(at: *const f32) {
            // SAFETY: every x86-64 processor has the instruction, which is a hint that never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn broadcast(from: *const f32) -> __m256 {
            unsafe { _mm256_set1_ps(*from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m256) {
            unsafe { _mm256_storeu_ps(to, value) }
        }

        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            unsafe { _mm256_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn subtract(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        unsafe fn relu(value: __m256) -> __m256 {
            // Where one is not a number the instruction gives the second.
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), value) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::Simd;

    pub struct Neon;

    // SAFETY of all functions here: the caller promises the instructions, and valid pointers.
    impl Simd for Neon {
        type Vector = float32x4_t;
        const LANES: usize = 4;

        #[inline(always)]
        unsafe fn load(from: *const f32) -> float32x4_t {
            unsafe { vld1q_f32(from) }
        }

        #[inline(always)]
        unsafe fn broadcast(from: *const f32) -> float32x4_t {
            unsafe { vdupq_n_f32(*from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, value: float32x4_t) {
            unsafe { vst1q_f32(to, value) }
        }

        #[inline(always)]
        unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vaddq_f32(a, b) }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> float32x4_t {
            unsafe { vdupq_n_f32(value) }
        }

        #[inline(always)]
        unsafe fn subtract(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vsubq_f32(a, b) }
        }

        #[inline(always)]
        unsafe fn multiply_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            unsafe { vfmaq_f32(c, a, b) }
        }

        #[inline(always)]
        unsafe fn relu(value: float32x4_t) -> float32x4_t {
            // This instruction keeps what is not a number.
            unsafe { vmaxq_f32(vdupq_n_f32(0.0), value) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(super) use arm::Neon;

/// What every processor can do: the compiler makes vectors of the target's least common kind.
pub(super) struct Portable;

// SAFETY of all functions here: the caller promises valid pointers.
impl Simd for Portable {
    type Vector = [f32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> [f32; 4] {
        unsafe { [*from; 4] }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: [f32; 4]) {
        unsafe { to.cast::<[f32; 4]>().write_unaligned(value) }
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn subtract(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    unsafe fn multiply_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    unsafe fn relu(value: [f32; 4]) -> [f32; 4] {
        value.map(|value| if value < 0.0 { 0.0 } else { value })
    }
}
