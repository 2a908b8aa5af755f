//! Whether there is memory for a check, asked before the check takes it.
//!
//! Decoders and networks ask for memory in a way that ends the process where there is none. So a
//! check asks first, for all of it at once, in a way that can fail. That answers for address space
//! that a host limits (`RLIMIT_AS`, 32-bit systems, no overcommitment). It cannot answer for other
//! threads that ask at the same time, nor for a container that is killed when it uses too much.

use std::hint::black_box;

use crate::error::Error;

/// What a check takes beside its image: tables of a decoder, the face, numbers of the networks.
const WORK: u64 = 64 << 20;

/// Refuses a check whose image takes up to `image` bytes in all its forms, where there is no memory
/// for them.
pub(crate) fn expect(image: u64) -> Result<(), Error> {
    let bytes = image.saturating_add(WORK);
    if is_free(bytes) {
        return Ok(());
    }
    Err(Error::internal(format!(
        "there is no memory for the {} MB that this takes: send a smaller image, or allow the process more",
        bytes >> 20
    )))
}

fn is_free(bytes: u64) -> bool {
    let mut probe = Vec::<u8>::new();
    let free = usize::try_from(bytes).is_ok_and(|bytes| probe.try_reserve_exact(bytes).is_ok());
    // Memory that is given back untouched costs nothing, but an optimiser could leave both out.
    black_box(&mut probe);
    free
}

/// Makes room in a list for at least so many numbers in all. What networks take depends on models that a host
/// chose, which no constant covers.
pub(crate) fn reserve(numbers: &mut Vec<f32>, len: usize) -> Result<(), String> {
    let more = len.saturating_sub(numbers.len());
    numbers.try_reserve_exact(more).map_err(|_| missing(len))
}

fn missing(len: usize) -> String {
    let megabytes = len / ((1 << 20) / size_of::<f32>());
    format!("there is no memory for {megabytes} MB of numbers: allow the process more")
}

/// Refuses so many numbers where there is no room for them, nor for a check.
pub(crate) fn room(len: usize) -> Result<(), String> {
    let bytes = (len as u64).saturating_mul(size_of::<f32>() as u64);
    // Less would be worse than what it saves: when glibc gets up to 32 MB back, it takes later lists from memory that
    // it has to fill with zeros.
    if is_free(bytes.max(WORK)) {
        return Ok(());
    }
    Err(missing(len))
}

/// Lets a list have at least so many numbers; new ones are zero.
pub(crate) fn grow(numbers: &mut Vec<f32>, len: usize) -> Result<(), String> {
    reserve(numbers, len)?;
    numbers.resize(len.max(numbers.len()), 0.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn lists_grow_as_far_as_there_is_memory() {
        let mut numbers = vec![1.0];
        assert_eq!(grow(&mut numbers, 3), Ok(()));
        assert_eq!(grow(&mut numbers, 2), Ok(()));
        assert_eq!(numbers, [1.0, 0.0, 0.0]);
        assert!(
            grow(&mut numbers, usize::MAX / 8)
                .unwrap_err()
                .contains("no memory")
        );
        assert_eq!(numbers.len(), 3);
        assert_eq!(room(1 << 20), Ok(()));
        assert!(room(usize::MAX / 8).is_err());
    }

    #[test]
    fn what_no_process_has_is_refused() {
        assert!(expect(1 << 20).is_ok());
        for bytes in [u64::MAX, u64::MAX / 2, 1 << 56] {
            let error = expect(bytes).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Internal);
            assert!(error.detail().contains("no memory"), "{error}");
        }
    }
}
