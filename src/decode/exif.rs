//! How the EXIF block of a PNG or WebP says that the picture is to be turned.

use image::metadata::Orientation;

/// What precedes the block in a JPEG. It belongs into no other format, and yet some writers put it there
/// (Pillow before 9.3 in every WebP), and viewers turn those pictures.
const JPEG_PREFIX: &[u8] = b"Exif\0\0";

/// As in other formats, broken metadata make no image unreadable.
pub(super) fn orientation(block: &[u8]) -> Orientation {
    let block = block.strip_prefix(JPEG_PREFIX).unwrap_or(block);
    Orientation::from_exif_chunk(block).unwrap_or(Orientation::NoTransforms)
}
