//! What a TIFF says of the strips or tiles that its picture is stored in.
//!
//! The decoder takes memory for them that the size of the picture does not bound: all of a JPEG, however
//! large that says it is, and without a look at the clock; and a row with whatever stands beside the
//! colours of the picture. So those are looked at here first.

use ::tiff::TiffResult;
use ::tiff::decoder::Decoder;
use ::tiff::tags::{CompressionMethod, Tag};

use crate::deadline::Deadline;
use crate::error::Error;

/// Most bytes of a row of a strip or tile, which [`memory::expect`](crate::memory::expect) has asked for
/// beside the picture. The longest row within the default limits takes a quarter of a megabyte.
const MAX_ROW: u64 = 16 << 20;
/// Of the widest numbers.
const MAX_BYTES_PER_SAMPLE: u64 = 8;

/// What decides about memory and time.
struct Strips {
    compression: CompressionMethod,
    /// Bytes of a row, at most.
    row: u64,
}

impl Strips {
    /// Of the first picture, which is the one that is decoded.
    fn read(bytes: &[u8], deadline: &Deadline) -> TiffResult<Self> {
        let mut decoder = Decoder::new(deadline.reader(bytes))?;
        let compression = decoder.find_tag_unsigned(Tag::Compression)?;
        let samples = decoder.find_tag_unsigned::<u16>(Tag::SamplesPerPixel)?;
        let (width, _) = decoder.chunk_dimensions();
        Ok(Strips {
            compression: compression.map_or(
                CompressionMethod::None,
                CompressionMethod::from_u16_exhaustive,
            ),
            row: u64::from(width) * u64::from(samples.unwrap_or(1)) * MAX_BYTES_PER_SAMPLE,
        })
    }
}

/// Refuses a file whose picture is compressed by another image format, or in any way but those whose
/// decoders give a row at a time; and one whose rows are much longer than any picture's.
pub(super) fn check_strips(bytes: &[u8], deadline: &Deadline) -> Result<(), Error> {
    use CompressionMethod::{Deflate, Fax4, LZW, None, OldDeflate, PackBits};
    let strips = Strips::read(bytes, deadline)
        .map_err(|error| Error::unreadable(format!("the TIFF image cannot be decoded: {error}")))?;
    if !matches!(
        strips.compression,
        None | LZW | Deflate | OldDeflate | PackBits | Fax4
    ) {
        return Err(Error::unreadable(format!(
            "the TIFF is compressed as {:?}, which is not read inside a TIFF: save the image as JPEG or PNG",
            strips.compression
        )));
    }
    if strips.row > MAX_ROW {
        return Err(Error::unreadable(format!(
            "a row of the TIFF's strips or tiles takes up to {} bytes; the limit is {MAX_ROW}: save the image without extra samples and with smaller tiles",
            strips.row
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use ::tiff::encoder::{TiffEncoder, colortype};

    use super::*;

    fn check(compression: u16) -> Result<(), Error> {
        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
        let mut image = encoder.new_image::<colortype::RGB8>(8, 8).unwrap();
        let tags = image.encoder();
        tags.write_tag(Tag::Compression, compression).unwrap();
        image.write_data(&[0; 8 * 8 * 3]).unwrap();
        check_strips(bytes.get_ref(), &Deadline::after(Duration::from_secs(3600)))
    }

    #[test]
    fn only_what_is_decoded_row_by_row_is_read() {
        for known in [1, 4, 5, 8, 32_946, 32_773] {
            assert!(check(known).is_ok(), "{known}");
        }
        for other in [0, 2, 3, 6, 7, 9, 34_892, 50_000, 50_001, 65_535] {
            let error = check(other).unwrap_err();
            assert_eq!(error.code(), crate::ErrorCode::UnreadableImage, "{other}");
            assert!(error.detail().contains("JPEG or PNG"), "{error}");
        }
    }
}
