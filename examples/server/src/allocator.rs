//! Memory that a picture took goes back to the system.

/// Buffers from this size on are given back as soon as they are freed. Smaller ones stay with the
/// process; larger ones are pictures and what is made of them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK: i32 = 1 << 20;

/// To be called before there are threads.
///
/// glibc raises its threshold to the largest buffer that was ever freed, up to 32 MiB, and from then on
/// keeps such buffers in pieces between others: a server's memory grows for hours under load. A
/// threshold that is set stays.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub fn give_back_large_buffers() {
    // SAFETY: the function takes two numbers. That it may refuse them costs memory and nothing else.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, GIVEN_BACK) };
}

/// Other allocators do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back_large_buffers() {}
