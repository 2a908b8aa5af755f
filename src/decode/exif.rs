//! How the EXIF block of a file says that the picture is to be turned.

use ::tiff::tags::{Tag, Type};
use image::metadata::Orientation;

use super::tiff::{Entry, Numbers};
use crate::error::Error;

/// What precedes the block in a JPEG. It belongs into no other format, and yet some writers put it there
/// (Pillow before 9.3 in every WebP), and viewers turn those pictures.
pub(super) const JPEG_PREFIX: &[u8] = b"Exif\0\0";

/// Broken metadata make no image unreadable. But of two entries that differ some viewers heed the first and some the last,
/// so that they show two pictures.
pub(super) fn orientation(block: &[u8]) -> Result<Orientation, Error> {
    let block = block.strip_prefix(JPEG_PREFIX).unwrap_or(block);
    let Some(numbers) = numbers(block) else {
        return Ok(Orientation::NoTransforms);
    };
    let mut entries = numbers
        .entries()
        .into_iter()
        .flatten()
        .filter(|entry| entry.tag == Tag::Orientation);
    let first = entries.next().and_then(|entry| value(&numbers, &entry));
    if entries.any(|entry| value(&numbers, &entry) != first) {
        return Err(Error::unreadable(
            "the EXIF of the image says in two ways how it is to be turned: turn it upright in an editor and save it anew",
        ));
    }
    Ok(first
        .and_then(|value| Orientation::from_exif(u8::try_from(value).ok()?))
        .unwrap_or(Orientation::NoTransforms))
}

/// A block is a TIFF, but never one of the kind for files beyond 4 GiB.
fn numbers(block: &[u8]) -> Option<Numbers<'_>> {
    let is_tiff = block.starts_with(b"II\x2a\0") || block.starts_with(b"MM\0\x2a");
    is_tiff.then(|| Numbers::new(block)).flatten()
}

fn value(numbers: &Numbers<'_>, entry: &Entry) -> Option<u64> {
    // The standard demands the second; viewers take the others too.
    let width = match entry.kind? {
        Type::BYTE => 1,
        Type::SHORT => 2,
        Type::LONG => 4,
        _ => return None,
    };
    (entry.values == 1)
        .then(|| numbers.number(entry.place, width))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a block that says it once at most.
    fn orientation(block: &[u8]) -> Orientation {
        super::orientation(block).unwrap()
    }

    /// A block of one entry, little-endian: its type, count and value.
    fn block(kind: u8, count: u8, value: [u8; 4]) -> Vec<u8> {
        let entry = [&[0x12, 1, kind, 0, count, 0, 0, 0][..], &value].concat();
        [&b"II\x2a\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4]].concat()
    }

    #[test]
    fn numbers_of_every_size_are_read() {
        for kind in [1, 3, 4] {
            assert_eq!(
                orientation(&block(kind, 1, [6, 0, 0, 0])),
                Orientation::Rotate90,
                "{kind}"
            );
        }
        let big = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0";
        assert_eq!(orientation(big), Orientation::Rotate270);
        assert_eq!(
            orientation(&[JPEG_PREFIX, big].concat()),
            Orientation::Rotate270
        );
    }

    #[test]
    fn what_makes_no_sense_turns_nothing() {
        for block in [
            block(2, 1, [6, 0, 0, 0]),
            block(3, 2, [6, 0, 0, 0]),
            block(3, 1, [0, 0, 0, 0]),
            block(3, 1, [9, 0, 0, 0]),
            block(4, 1, [6, 1, 0, 0]),
            b"II\x2a\0\xff\xff\xff\xff".to_vec(),
            b"II\0\x2a\x08\0\0\0".to_vec(),
        ] {
            assert_eq!(orientation(&block), Orientation::NoTransforms, "{block:?}");
        }
    }

    #[test]
    fn what_is_said_in_two_ways_is_refused() {
        let entry = |value: u8| [0x12, 1, 3, 0, 1, 0, 0, 0, value, 0, 0, 0];
        let twice = |second| {
            let entries = [entry(6), entry(second)].concat();
            let block = [&b"II\x2a\0\x08\0\0\0\x02\0"[..], &entries, &[0; 4]].concat();
            super::orientation(&block)
        };
        // As Windows 7 leaves it, who turns a picture twice.
        assert_eq!(twice(6).unwrap(), Orientation::Rotate90);
        for second in [1, 3, 9] {
            let error = twice(second).unwrap_err();
            assert_eq!(error.code(), crate::ErrorCode::UnreadableImage);
            assert!(error.detail().contains("two ways"), "{error}");
        }
    }

    #[test]
    fn every_beginning_of_a_block_is_read_within_it() {
        let whole = block(3, 1, [6, 0, 0, 0]);
        for end in 0..whole.len() {
            let _ = orientation(&whole[..end]);
        }
    }
}
