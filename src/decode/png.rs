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

/// Names and data of the chunks up to the end of the file that they make up; one that claims too much is the last.
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
        let next = rest.get(length.saturating_add(CHECKSUM)..);
        // What follows the end is no part of the file.
        self.0 = next.filter(|_| name != b"IEND").unwrap_or_default();
        Some((*name, data))
    }
}

/// Refuses a file with very many chunks before its picture, and an animation that its picture is no part of: browsers
/// play the others.
pub(super) fn check_chunks(bytes: &[u8]) -> Result<(), Error> {
    let before = Chunks::of(bytes).take_while(|(name, _)| name != b"IDAT");
    let before: Vec<_> = before.take(MAX_CHUNKS + 1).map(|(name, _)| name).collect();
    if before.len() > MAX_CHUNKS {
        return Err(Error::unreadable(format!(
            "the PNG has more than {MAX_CHUNKS} chunks before its picture: save it without metadata"
        )));
    }
    if before.contains(b"acTL") && !before.contains(b"fcTL") {
        return Err(Error::unreadable(
            "the PNG is an animation that does not show its first picture: send a still one",
        ));
    }
    Ok(())
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

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let length = (data.len() as u32).to_be_bytes();
        [&length[..], name, data, &[0; CHECKSUM]].concat()
    }

    #[test]
    fn the_picture_is_part_of_the_animation() {
        let check = |names: &[&[u8; 4]]| {
            let chunks: Vec<_> = names.iter().map(|name| chunk(name, &[])).collect();
            check_chunks(&[&[0; HEAD][..], &chunks.concat()].concat()).is_ok()
        };
        assert!(check(&[b"acTL", b"fcTL", b"IDAT", b"fcTL", b"fdAT"]));
        assert!(check(&[b"IDAT", b"acTL", b"fcTL", b"fdAT"]) && check(&[b"fcTL", b"IDAT"]));
        assert!(!check(&[b"acTL", b"IDAT", b"fcTL", b"fdAT"]));
    }

    #[test]
    fn what_follows_the_end_turns_nothing() {
        let turned = chunk(
            b"eXIf",
            b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
        );
        let end = chunk(b"IEND", &[]);
        let orientation =
            |chunks: [&[u8]; 2]| orientation(&[&[0; HEAD][..], &chunks.concat()].concat());
        assert_eq!(orientation([&turned, &end]), Orientation::Rotate90);
        assert_eq!(orientation([&end, &turned]), Orientation::NoTransforms);
    }

    #[test]
    fn a_chunk_that_claims_too_much_is_the_last() {
        for bytes in [&b""[..], &[0; 8], &[0xff; 17]] {
            assert!(check_chunks(bytes).is_ok());
            assert_eq!(orientation(bytes), Orientation::NoTransforms);
        }
    }
}
