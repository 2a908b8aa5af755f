//! What the chunks of a PNG say beside its picture.
//!
//! The decoder keeps every text that precedes the picture, and takes for one of some bytes ten times as many, so they
//! are counted first. It has not met yet what follows the picture when it is asked how that is to be turned.

use image::metadata::Orientation;

use super::exif;
use crate::error::Error;

/// Editors write some dozens, of which a colour profile and a packet of XMP are the larger part.
const MAX_CHUNKS: usize = 10_000;
/// What precedes the chunks.
const HEAD: usize = 8;
/// What follows the data of each.
const CHECKSUM: usize = 4;

/// Names and data of the chunks; one that claims too much is the last.
struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    fn of(file: &'a [u8]) -> Self {
        Chunks(file.get(HEAD..).unwrap_or_default())
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([a, b, c, d, name @ ..], rest) = self.0.split_first_chunk::<8>()?;
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let data = &rest[..length.min(rest.len())];
        self.0 = rest
            .get(length.saturating_add(CHECKSUM)..)
            .unwrap_or_default();
        Some((*name, data))
    }
}

/// Refuses a file with very many chunks before its picture.
pub(super) fn check_chunks(bytes: &[u8]) -> Result<(), Error> {
    let before = Chunks::of(bytes).take_while(|(name, _)| name != b"IDAT");
    if before.take(MAX_CHUNKS + 1).count() <= MAX_CHUNKS {
        return Ok(());
    }
    Err(Error::unreadable(format!(
        "the PNG has more than {MAX_CHUNKS} chunks before its picture: save it without metadata"
    )))
}

/// How the picture is to be turned, be it said before the picture or behind it.
pub(super) fn orientation(bytes: &[u8]) -> Orientation {
    Chunks::of(bytes)
        .find(|(name, _)| name == b"eXIf")
        .map_or(Orientation::NoTransforms, |(_, block)| {
            exif::orientation(block)
        })
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
            assert_eq!(orientation(bytes), Orientation::NoTransforms);
        }
    }
}
