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
    let mut probe = Vec::<u8>::new();
    let answer = usize::try_from(bytes)
        .map_err(drop)
        .and_then(|bytes| probe.try_reserve_exact(bytes).map_err(drop));
    // Memory that is given back untouched costs nothing, but an optimiser could leave both out.
    black_box(&mut probe);
    answer.map_err(|()| {
        Error::internal(format!(
            "there is no memory for the {} MB that a check of this image takes: send a smaller one, or allow the process more",
            bytes >> 20
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

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
