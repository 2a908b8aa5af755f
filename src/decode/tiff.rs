//! What a TIFF says of its picture, and of the strips or tiles that it is stored in.
//!
//! The decoder takes memory for them that the size of the picture does not bound: for a list of as many
//! values as an entry of the directory claims to have; for all of a JPEG, however large that says it
//! is, and without a look at the clock; and for a row with whatever stands beside the colours of the
//! picture. So those are looked at here first.

use ::tiff::TiffResult;
use ::tiff::decoder::Decoder;
use ::tiff::tags::{CompressionMethod, PhotometricInterpretation, Predictor, Tag, Type};

use crate::deadline::{Deadline, Reader};
use crate::error::Error;

/// Most bytes of a row of a strip or tile, which [`memory::expect`](crate::memory::expect) has asked for
/// beside the picture. The longest row within the default limits takes a quarter of a megabyte.
const MAX_ROW: u64 = 16 << 20;
/// Of the widest numbers.
const MAX_BYTES_PER_SAMPLE: u64 = 8;

/// What the decoder reads of a directory. Metadata, which it leaves alone, may be of any length.
const READ: [Tag; 20] = [
    Tag::ImageWidth,
    Tag::ImageLength,
    Tag::BitsPerSample,
    Tag::Compression,
    Tag::PhotometricInterpretation,
    Tag::StripOffsets,
    Tag::Orientation,
    Tag::SamplesPerPixel,
    Tag::RowsPerStrip,
    Tag::StripByteCounts,
    Tag::PlanarConfiguration,
    Tag::Predictor,
    Tag::TileWidth,
    Tag::TileLength,
    Tag::TileOffsets,
    Tag::TileByteCounts,
    Tag::ExtraSamples,
    Tag::SampleFormat,
    Tag::JPEGTables,
    Tag::ChromaSubsampling,
];
/// Most values of an entry, each of which the decoder makes 40 bytes of. The smallest tiles that there
/// may be, of 16 x 16 pixels, are fewer within the default limits.
const MAX_VALUES: u64 = 1 << 19;

/// An entry of a directory.
#[derive(Debug)]
pub(super) struct Entry {
    pub tag: Tag,
    /// `None` for a type that nobody knows.
    pub kind: Option<Type>,
    pub values: u64,
    /// Where the values are, or where it is said where they are.
    pub place: u64,
}

/// Numbers of a file, in the order and the widths that it begins with.
pub(super) struct Numbers<'a> {
    bytes: &'a [u8],
    little: bool,
    /// BigTIFF, where offsets and numbers of values have eight bytes.
    big: bool,
}

impl<'a> Numbers<'a> {
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut numbers = Numbers {
            bytes,
            little: bytes.starts_with(b"II"),
            big: false,
        };
        const BIG: u64 = 43;
        numbers.big = numbers.number(2, 2)? == BIG;
        Some(numbers)
    }

    pub fn number(&self, at: u64, width: u64) -> Option<u64> {
        let start = usize::try_from(at).ok()?;
        let bytes = self.bytes.get(start..)?.get(..width as usize)?;
        let add = |number, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.little {
            bytes.iter().rev().fold(0, add)
        } else {
            bytes.iter().fold(0, add)
        })
    }

    /// All numbers of an entry, as far as the file goes; no more than any picture has.
    fn values(&self, entry: &Entry) -> Vec<u64> {
        let width = entry.kind.map_or(0, value_bytes);
        let count = entry.values.min(MAX_VALUES);
        let start = if count * width <= self.width() {
            Some(entry.place)
        } else {
            self.number(entry.place, self.width())
        };
        let place = |index: u64| start?.checked_add(index * width);
        (0..count)
            .map_while(|index| self.number(place(index)?, width))
            .collect()
    }

    /// What a directory says of its length and of places takes so many bytes.
    fn width(&self) -> u64 {
        if self.big { 8 } else { 4 }
    }

    /// The entries of the first directory, as far as the file goes.
    pub fn entries(&self) -> Option<impl Iterator<Item = Entry> + '_> {
        let directory = self.number(self.width(), self.width())?;
        let head = if self.big { 8 } else { 2 };
        let count = self.number(directory, head)?;
        let first = directory.checked_add(head)?;
        let length = 4 + 2 * self.width();
        Some(
            (0..count)
                .map_while(move |index| self.entry(index.checked_mul(length)?.checked_add(first)?)),
        )
    }

    fn entry(&self, at: u64) -> Option<Entry> {
        Some(Entry {
            tag: Tag::from_u16_exhaustive(self.number(at, 2)? as u16),
            kind: Type::from_u16(self.number(at.checked_add(2)?, 2)? as u16),
            values: self.number(at.checked_add(4)?, self.width())?,
            place: at.checked_add(4 + self.width())?,
        })
    }
}

/// Refuses a file whose picture is described by longer lists than any picture's, before a decoder takes
/// memory for them; and one whose first picture is not what others would show, or not as they would show it.
pub(super) fn check_directory(bytes: &[u8]) -> Result<(), Error> {
    let Some(numbers) = Numbers::new(bytes) else {
        return Ok(());
    };
    let Some(entries) = numbers.entries() else {
        return Ok(());
    };
    let mut seen = Vec::new();
    for entry in entries {
        check_entry(&entry, bytes.len() as u64, numbers.big)?;
        check_kind(&entry, &numbers)?;
        check_reading(&entry, &numbers)?;
        if READ.contains(&entry.tag) {
            // The decoder takes the last of several, libtiff the first.
            if seen.contains(&entry.tag) {
                return Err(refused(&entry, "is there twice"));
            }
            seen.push(entry.tag);
        }
    }
    Ok(())
}

/// Refuses a small copy of the picture, which raw files of cameras have first: others show the picture itself.
fn check_kind(entry: &Entry, numbers: &Numbers<'_>) -> Result<(), Error> {
    const REDUCED: u64 = 1;
    const OLD_REDUCED: u64 = 2;
    let width = entry.kind.map_or(0, value_bytes);
    let value = numbers.number(entry.place, width).unwrap_or_default();
    let is_reduced = match entry.tag {
        Tag::NewSubfileType => value & REDUCED != 0,
        Tag::SubfileType => value == OLD_REDUCED,
        _ => false,
    };
    if is_reduced {
        return Err(Error::unreadable(
            "the first picture of the TIFF is a small copy of another, as in raw files of cameras: send a JPEG or PNG of the picture",
        ));
    }
    Ok(())
}

/// Refuses bits that are stored in reverse, which the decoder does not turn round, and an orientation of which some take
/// the number and some do not.
fn check_reading(entry: &Entry, numbers: &Numbers<'_>) -> Result<(), Error> {
    const AS_THEY_ARE: u64 = 1;
    let width = entry.kind.map_or(0, value_bytes);
    let value = numbers.number(entry.place, width);
    match (entry.tag, entry.kind) {
        (Tag::FillOrder, _) if value != Some(AS_THEY_ARE) => Err(Error::unreadable(
            "the bits of the TIFF are in reverse order, which is not read: save it again",
        )),
        (Tag::Orientation, Some(Type::SHORT | Type::LONG)) if entry.values == 1 => Ok(()),
        (Tag::Orientation, _) => Err(refused(entry, "is no number of the usual kind")),
        _ => Ok(()),
    }
}

fn check_entry(entry: &Entry, file: u64, big: bool) -> Result<(), Error> {
    let Some(kind) = entry.kind else {
        // The decoder does not pass it by as a whole, and would see other entries than are seen here.
        return if big {
            Err(refused(entry, "is of an unknown type"))
        } else {
            Ok(())
        };
    };
    if !READ.contains(&entry.tag) {
        return Ok(());
    }
    // It is nowhere meant, and what the decoder thinks of a long one it writes to standard error.
    if kind == Type::ASCII {
        return Err(refused(entry, "is a text"));
    }
    if entry.values > MAX_VALUES || entry.values * value_bytes(kind) > file {
        return Err(refused(
            entry,
            "has more values than the file or any picture",
        ));
    }
    Ok(())
}

fn refused(entry: &Entry, fault: &str) -> Error {
    Error::unreadable(format!(
        "the TIFF is damaged: its {:?} {fault} ({} values)",
        entry.tag, entry.values
    ))
}

fn value_bytes(kind: Type) -> u64 {
    match kind {
        Type::BYTE | Type::SBYTE | Type::ASCII | Type::UNDEFINED => 1,
        Type::SHORT | Type::SSHORT => 2,
        Type::LONG | Type::SLONG | Type::FLOAT | Type::IFD => 4,
        _ => MAX_BYTES_PER_SAMPLE,
    }
}

/// In how many pieces the file holds the first picture, each of them for itself; none where they are longer together than
/// twice the file, and so the same bytes again and again.
pub(super) fn pieces(bytes: &[u8]) -> usize {
    let Some(numbers) = Numbers::new(bytes) else {
        return 0;
    };
    let entries = numbers.entries().into_iter().flatten();
    let lengths: Vec<u64> = entries
        .filter(|entry| matches!(entry.tag, Tag::StripByteCounts | Tag::TileByteCounts))
        .flat_map(|entry| numbers.values(&entry))
        .collect();
    let together = lengths
        .iter()
        .fold(0, |sum: u64, length| sum.saturating_add(*length));
    if together <= 2 * bytes.len() as u64 {
        lengths.len()
    } else {
        0
    }
}

/// Whether the colours of the first picture are multiplied with its alpha (TIFF 6.0, section 18).
pub(super) fn has_associated_alpha(bytes: &[u8]) -> bool {
    const ASSOCIATED: u64 = 1;
    let Some(numbers) = Numbers::new(bytes) else {
        return false;
    };
    let extra = numbers
        .entries()
        .and_then(|mut entries| entries.find(|entry| entry.tag == Tag::ExtraSamples));
    extra.is_some_and(|extra| numbers.values(&extra).first() == Some(&ASSOCIATED))
}

/// What decides about memory and time, and what the decoder takes for granted.
struct Strips {
    compression: CompressionMethod,
    /// Bytes of a row, at most.
    row: u64,
    /// Whether samples have 32 bits and nothing says what those are.
    vague: bool,
    /// Whether samples of more than 8 bits are the larger, the darker they are.
    inverted: bool,
    /// Whether numbers are differences to those before.
    predicted: bool,
    /// Whether there are samples that are neither colours nor alpha. The decoder drops them before it adds up differences.
    dropped: bool,
    /// Where the strips or tiles lie, where they are compressed with LZW.
    lzw: Vec<u64>,
}

impl Strips {
    /// Of the first picture, which is the one that is decoded.
    fn read(bytes: &[u8], deadline: &Deadline) -> TiffResult<Self> {
        let mut decoder = Decoder::new(deadline.reader(bytes))?;
        let compression = decoder.find_tag_unsigned(Tag::Compression)?;
        let samples = decoder.find_tag_unsigned::<u16>(Tag::SamplesPerPixel)?;
        let bits = decoder.find_tag_unsigned_vec::<u16>(Tag::BitsPerSample)?;
        let format = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?;
        let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation)?;
        let predictor = decoder.find_tag_unsigned::<u16>(Tag::Predictor)?;
        let compression = compression.map_or(
            CompressionMethod::None,
            CompressionMethod::from_u16_exhaustive,
        );
        let lzw = match compression {
            CompressionMethod::LZW => Strips::places(&mut decoder)?,
            _ => Vec::new(),
        };
        let (width, _) = decoder.chunk_dimensions();
        let used = decoder.colortype().map_or(0, |color| color.num_samples());
        Ok(Strips {
            compression,
            row: u64::from(width) * u64::from(samples.unwrap_or(1)) * MAX_BYTES_PER_SAMPLE,
            vague: format.is_none() && bits.as_ref().is_some_and(|bits| bits.contains(&32)),
            inverted: photometric == Some(PhotometricInterpretation::WhiteIsZero.to_u16())
                && bits.is_some_and(|bits| bits.iter().any(|bits| *bits > 8)),
            predicted: predictor.is_some_and(|predictor| predictor != Predictor::None.to_u16()),
            dropped: samples.is_some_and(|samples| samples > used),
            lzw,
        })
    }

    fn places(decoder: &mut Decoder<Reader<'_>>) -> TiffResult<Vec<u64>> {
        let mut places = Vec::new();
        for tag in [Tag::StripOffsets, Tag::TileOffsets] {
            places.extend(
                decoder
                    .find_tag_unsigned_vec::<u64>(tag)?
                    .into_iter()
                    .flatten(),
            );
        }
        Ok(places)
    }
}

/// Whether data of LZW at this place begin with the code that clears the table, as they must. What libtiff takes for the
/// order of bits of very old files begins otherwise, and the decoder would read it in the usual order.
fn begins_cleared(bytes: &[u8], place: u64) -> bool {
    const CLEAR: u8 = 0x80;
    usize::try_from(place)
        .ok()
        .and_then(|place| bytes.get(place))
        .is_none_or(|first| *first == CLEAR)
}

/// Refuses a file whose picture is compressed by another image format, or in any way but those whose
/// decoders give a row at a time; and one whose rows are much longer than any picture's.
pub(super) fn check_strips(bytes: &[u8], deadline: &Deadline) -> Result<(), Error> {
    use CompressionMethod::{Deflate, Fax4, LZW, None, OldDeflate, PackBits};
    let strips =
        Strips::read(bytes, deadline).map_err(|error| Error::undecodable("TIFF", error))?;
    if !matches!(
        strips.compression,
        None | LZW | Deflate | OldDeflate | PackBits | Fax4
    ) {
        return Err(Error::unreadable(format!(
            "the TIFF is compressed as {:?}, which is not read inside a TIFF: save the image as JPEG or PNG",
            strips.compression
        )));
    }
    if strips.vague {
        return Err(Error::unreadable(
            "the TIFF has samples of 32 bits and does not say whether they are fractions: save it with 8 or 16 bits",
        ));
    }
    // libtiff takes no notice of the differences, and others of the inversion.
    if strips.predicted && !matches!(strips.compression, LZW | Deflate | OldDeflate) {
        return Err(Error::unreadable(
            "the TIFF stores differences without the compression that they belong to: save it again",
        ));
    }
    if strips.predicted && strips.dropped {
        return Err(Error::unreadable(
            "the TIFF stores differences, and samples of which it does not say what they are: save it without alpha, or as JPEG or PNG",
        ));
    }
    if strips.inverted {
        return Err(Error::unreadable(
            "the TIFF has inverted samples of more than 8 bits: save it with 8 bits",
        ));
    }
    if !strips.lzw.iter().all(|place| begins_cleared(bytes, *place)) {
        return Err(Error::unreadable(
            "the TIFF is compressed with an old kind of LZW: save it again",
        ));
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
        // What LZW begins with.
        image.write_data(&[0x80; 8 * 8 * 3]).unwrap();
        check_strips(bytes.get_ref(), &Deadline::after(Duration::from_secs(3600)))
    }

    /// A file of a directory with one entry, and room behind it.
    fn one_entry(order: &[u8; 2], big: bool, entry: (Tag, u16, u64), room: usize) -> Vec<u8> {
        let number = |value: u64, width: usize| match order {
            b"II" => value.to_le_bytes()[..width].to_vec(),
            _ => value.to_be_bytes()[8 - width..].to_vec(),
        };
        let (tag, kind, values) = entry;
        let head = |width: usize| {
            [
                number(tag.to_u16().into(), 2),
                number(kind.into(), 2),
                number(values, width),
            ]
        };
        let parts = if big {
            let start = [
                number(43, 2),
                number(8, 2),
                number(0, 2),
                number(16, 8),
                number(1, 8),
            ];
            [start.concat(), head(8).concat(), vec![0; 16 + room]]
        } else {
            let start = [number(42, 2), number(8, 4), number(1, 2)];
            [start.concat(), head(4).concat(), vec![0; 8 + room]]
        };
        [&order[..], &parts.concat()].concat()
    }

    #[test]
    fn no_list_is_longer_than_the_file_or_any_picture_needs() {
        const BYTE: u16 = 1;
        const TEXT: u16 = 2;
        const LONG: u16 = 4;
        const ROOM: usize = 4_000_000;
        for (order, big) in [(b"II", false), (b"MM", false), (b"II", true), (b"MM", true)] {
            let check = |tag, kind, values, room| {
                check_directory(&one_entry(order, big, (tag, kind, values), room))
            };
            for tag in READ {
                assert!(check(tag, LONG, 1, 0).is_ok());
                // An orientation is one number.
                let many = check(tag, LONG, MAX_VALUES, ROOM).is_ok();
                assert_eq!(many, tag != Tag::Orientation);
                assert!(check(tag, LONG, MAX_VALUES, 1000).is_err());
                assert!(check(tag, BYTE, MAX_VALUES + 1, ROOM).is_err());
                assert!(check(tag, TEXT, 0x2000_0000, 200).is_err());
                let error = check(tag, TEXT, 8, 0).unwrap_err();
                assert_eq!(error.code(), crate::ErrorCode::UnreadableImage);
            }
            for kind in [TEXT, LONG] {
                assert!(check(Tag::Unknown(700), kind, u32::MAX.into(), 0).is_ok());
            }
            assert_eq!(check(Tag::Unknown(700), 99, 1, 0).is_err(), big);
        }
        let most = one_entry(b"II", true, (Tag::StripOffsets, LONG, u64::MAX), ROOM);
        assert!(check_directory(&most).is_err());
    }

    #[test]
    fn a_small_copy_is_not_the_picture() {
        const SHORT: u16 = 3;
        const LONG: u16 = 4;
        for (order, big) in [(b"II", false), (b"MM", false), (b"II", true), (b"MM", true)] {
            let check = |tag, kind, value: u8| {
                let mut bytes = one_entry(order, big, (tag, kind, 1), 4);
                let at = if big { 36 } else { 18 };
                let width = if kind == SHORT { 2 } else { 4 };
                bytes[at + if order == b"II" { 0 } else { width - 1 }] = value;
                check_directory(&bytes).is_ok()
            };
            for kind in [SHORT, LONG] {
                assert!(check(Tag::NewSubfileType, kind, 0) && check(Tag::NewSubfileType, kind, 2));
                assert!(
                    !check(Tag::NewSubfileType, kind, 1) && !check(Tag::NewSubfileType, kind, 3)
                );
                assert!(check(Tag::SubfileType, kind, 1) && !check(Tag::SubfileType, kind, 2));
            }
        }
    }

    #[test]
    fn what_is_read_is_there_once() {
        let entry = |tag: u16| [&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0, 9, 0, 0, 0]].concat();
        let check = |tags: [u16; 2]| {
            let entries = tags.map(entry).concat();
            check_directory(&[&b"II\x2a\0\x08\0\0\0\x02\0"[..], &entries, &[0; 4]].concat())
        };
        assert!(check([273, 279]).is_ok() && check([700, 700]).is_ok());
        let error = check([273, 273]).unwrap_err();
        assert!(error.detail().contains("twice"), "{error}");
    }

    #[test]
    fn every_beginning_of_a_directory_is_read_within_it() {
        for big in [false, true] {
            let whole = one_entry(b"MM", big, (Tag::StripOffsets, 4, 1), 0);
            for end in 0..whole.len() {
                assert!(check_directory(&whole[..end]).is_ok());
            }
            let nowhere = [&whole[..4], &[0xff; 20]].concat();
            assert!(check_directory(&nowhere).is_ok());
        }
    }

    /// A picture that says more of itself.
    fn saying(tag: Tag, value: impl ::tiff::encoder::TiffValue) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
        let mut image = encoder.new_image::<colortype::Gray16>(8, 8).unwrap();
        image.encoder().write_tag(tag, value).unwrap();
        image.write_data(&[0; 8 * 8]).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn bits_are_in_their_order() {
        assert!(check_directory(&saying(Tag::FillOrder, 1_u16)).is_ok());
        let error = check_directory(&saying(Tag::FillOrder, 2_u16)).unwrap_err();
        assert!(error.detail().contains("reverse order"), "{error}");
    }

    #[test]
    fn an_orientation_is_one_number_that_everybody_reads() {
        let is_read = |file: Vec<u8>| check_directory(&file).is_ok();
        assert!(is_read(saying(Tag::Orientation, 6_u16)));
        assert!(is_read(saying(Tag::Orientation, 6_u32)));
        assert!(!is_read(saying(Tag::Orientation, 6_u8)));
        assert!(!is_read(saying(Tag::Orientation, 6_i16)));
        assert!(!is_read(saying(Tag::Orientation, &[6_u16, 3][..])));
    }

    #[test]
    fn what_others_read_otherwise_is_refused() {
        let far = Deadline::after(Duration::from_secs(3600));
        let reason = |file: Vec<u8>| check_strips(&file, &far).unwrap_err().to_string();
        assert!(check_strips(&saying(Tag::Predictor, 1_u16), &far).is_ok());
        assert!(reason(saying(Tag::Predictor, 2_u16)).contains("differences"));
        assert!(reason(saying(Tag::PhotometricInterpretation, 0_u16)).contains("inverted"));
    }

    /// A picture with a sample beside its colours, in rows of their own strips.
    fn with_extra(kind: Option<u16>, predicted: bool) -> Vec<u8> {
        use ::tiff::encoder::compression::DeflateLevel;
        use ::tiff::encoder::{Compression, Predictor};

        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut bytes)
            .unwrap()
            .with_compression(Compression::Deflate(DeflateLevel::Fast));
        if predicted {
            encoder = encoder.with_predictor(Predictor::Horizontal);
        }
        let mut image = encoder.new_image::<colortype::RGBA8>(8, 8).unwrap();
        if let Some(kind) = kind {
            let tags = image.encoder();
            tags.write_tag(Tag::ExtraSamples, &[kind][..]).unwrap();
        }
        image.write_data(&[0; 8 * 8 * 4]).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn differences_are_not_added_up_without_a_sample() {
        let far = Deadline::after(Duration::from_secs(3600));
        let check = |kind, predicted| check_strips(&with_extra(kind, predicted), &far);
        for alpha in [1, 2] {
            assert!(check(Some(alpha), true).is_ok() && check(Some(alpha), false).is_ok());
        }
        assert!(check(Some(0), false).is_ok());
        let error = check(Some(0), true).unwrap_err();
        assert!(error.detail().contains("without alpha"), "{error}");
    }

    #[test]
    fn pieces_are_counted_where_they_are_not_the_same_bytes() {
        const LONG: u16 = 4;
        const VALUE: usize = 18;
        const BEHIND: u32 = 26;
        let lengths = |list: &[u32]| {
            let entry = (Tag::StripByteCounts, LONG, list.len() as u64);
            let mut bytes = one_entry(b"II", false, entry, 100);
            let values: Vec<u8> = list.iter().flat_map(|value| value.to_le_bytes()).collect();
            let start = if list.len() == 1 {
                VALUE
            } else {
                BEHIND as usize
            };
            bytes[VALUE..][..4].copy_from_slice(&BEHIND.to_le_bytes());
            bytes[start..][..values.len()].copy_from_slice(&values);
            pieces(&bytes)
        };
        assert_eq!([lengths(&[7]), lengths(&[1, 2, 3])], [1, 3]);
        assert_eq!([lengths(&[1000]), lengths(&[200, 100])], [0, 0]);
        assert_eq!(pieces(b"II"), 0);
    }

    #[test]
    fn lzw_begins_with_a_clear_table() {
        use ::tiff::encoder::Compression;

        let far = Deadline::after(Duration::from_secs(3600));
        let mut bytes = Cursor::new(Vec::new());
        TiffEncoder::new(&mut bytes)
            .unwrap()
            .with_compression(Compression::Lzw)
            .write_image::<colortype::Gray8>(8, 8, &[0; 64])
            .unwrap();
        let mut bytes = bytes.into_inner();
        assert!(check_strips(&bytes, &far).is_ok());
        let mut decoder = Decoder::new(Cursor::new(&bytes)).unwrap();
        let place = decoder.get_tag_u32(Tag::StripOffsets).unwrap() as usize;
        bytes[place..][..2].copy_from_slice(&[0, 1]);
        let error = check_strips(&bytes, &far).unwrap_err();
        assert!(error.detail().contains("old kind of LZW"), "{error}");
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
