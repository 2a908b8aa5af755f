//! How many chunks precede the picture of a PNG.
//!
//! The decoder keeps every text among them, and takes for one of some bytes ten times as many.

use crate::error::Error;

/// Editors write some dozens, of which a colour profile and a packet of XMP are the larger part.
const MAX_CHUNKS: usize = 10_000;
/// What precedes the chunks, and what each has beside its data: length, name, checksum.
const HEAD: usize = 8;
const AROUND: usize = 12;

/// Refuses a file with very many chunks before its picture.
pub(super) fn check_chunks(bytes: &[u8]) -> Result<(), Error> {
    let mut rest = bytes.get(HEAD..).unwrap_or_default();
    for _ in 0..=MAX_CHUNKS {
        let Some(([a, b, c, d, name @ ..], _)) = rest.split_first_chunk::<8>() else {
            return Ok(());
        };
        if name == b"IDAT" {
            return Ok(());
        }
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        rest = rest
            .get(length.saturating_add(AROUND)..)
            .unwrap_or_default();
    }
    Err(Error::unreadable(format!(
        "the PNG has more than {MAX_CHUNKS} chunks before its picture: save it without metadata"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_before_the_picture_are_counted() {
        let text = b"\0\0\0\x02tEXtx\0\0\0\0\0";
        let picture = b"\0\0\0\0IDAT\0\0\0\0";
        let check = |before, after| {
            let chunks = [text.repeat(before), picture.to_vec(), text.repeat(after)];
            check_chunks(&[&[0; HEAD][..], &chunks.concat()].concat())
        };
        assert!(check(MAX_CHUNKS, 0).is_ok() && check(0, MAX_CHUNKS + 1).is_ok());
        let error = check(MAX_CHUNKS + 1, 0).unwrap_err();
        assert_eq!(error.code(), crate::ErrorCode::UnreadableImage);
    }

    #[test]
    fn a_chunk_that_claims_too_much_is_the_last() {
        for bytes in [&b""[..], &[0; 8], &[0xff; 17]] {
            assert!(check_chunks(bytes).is_ok());
        }
    }
}
