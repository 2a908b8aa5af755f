//! How the EXIF block of a file says that the picture is to be turned.

use image::metadata::Orientation;

/// What precedes the block in a JPEG. It belongs into no other format, and yet some writers put it there
/// (Pillow before 9.3 in every WebP), and viewers turn those pictures.
pub(super) const JPEG_PREFIX: &[u8] = b"Exif\0\0";

const ORIENTATION: u16 = 0x0112;
/// Types of numbers. The standard demands the second; viewers take the others too.
const BYTE: u16 = 1;
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// As in other formats, broken metadata make no image unreadable.
pub(super) fn orientation(block: &[u8]) -> Orientation {
    let block = block.strip_prefix(JPEG_PREFIX).unwrap_or(block);
    number(block)
        .and_then(|value| Orientation::from_exif(u8::try_from(value).ok()?))
        .unwrap_or(Orientation::NoTransforms)
}

/// What the first directory of a block has for the orientation.
fn number(block: &[u8]) -> Option<u32> {
    let tiff = Tiff::new(block)?;
    let directory = tiff.long(4)? as usize;
    let entries = usize::from(tiff.short(directory)?);
    let entry = (0..entries)
        .map_while(|entry| directory.checked_add(2 + 12 * entry))
        .take_while(|entry| *entry < block.len())
        .find(|entry| tiff.short(*entry) == Some(ORIENTATION))?;
    if tiff.long(entry + 4)? != 1 {
        return None;
    }
    let value = entry + 8;
    match tiff.short(entry + 2)? {
        BYTE => block.get(value).copied().map(u32::from),
        SHORT => tiff.short(value).map(u32::from),
        LONG => tiff.long(value),
        _ => None,
    }
}

/// A block whose numbers have one order of bytes.
struct Tiff<'a> {
    block: &'a [u8],
    is_little: bool,
}

impl<'a> Tiff<'a> {
    fn new(block: &'a [u8]) -> Option<Self> {
        let is_little = match block.first_chunk()? {
            b"II\x2a\0" => true,
            b"MM\0\x2a" => false,
            _ => return None,
        };
        Some(Tiff { block, is_little })
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.block.get(at..)?.first_chunk()?;
        Some(if self.is_little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = *self.block.get(at..)?.first_chunk()?;
        Some(if self.is_little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn every_beginning_of_a_block_is_read_within_it() {
        let whole = block(3, 1, [6, 0, 0, 0]);
        for end in 0..whole.len() {
            let _ = orientation(&whole[..end]);
        }
    }
}
