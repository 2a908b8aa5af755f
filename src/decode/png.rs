//! What the chunks of a PNG say beside its picture.
//!
//! The decoder keeps every text that precedes the picture, and takes for one of some bytes ten times as many, so they
//! are counted first. It has not met yet what follows the picture when it is asked how that is to be turned.
//!
//! Decoders do not agree on chunks that are there twice, in the wrong place or with a wrong checksum: some pass them by,
//! some heed the first, some the last. Where such a chunk decides what is seen, no encoder writes it so, and whoever does
//! wants two pictures in one file.

use image::metadata::Orientation;
use png::{ColorType, DecodingError, Transformations};

use super::exif;
use super::palette::{self, COLOUR};
use crate::deadline::Deadline;
use crate::error::Error;

/// Editors write some dozens, of which a colour profile and a packet of XMP are the larger part.
const MAX_CHUNKS: usize = 10_000;
/// What precedes the chunks.
const HEAD: usize = 8;
/// What follows the data of each.
const CHECKSUM: usize = 4;

struct Chunk<'a> {
    name: [u8; 4],
    data: &'a [u8],
    /// What its checksum is said to be; `None` where the file ends before that.
    checksum: Option<[u8; CHECKSUM]>,
}

impl Chunk<'_> {
    fn is_intact(&self) -> bool {
        let mut sum = crc32fast::Hasher::new();
        sum.update(&self.name);
        sum.update(self.data);
        self.checksum == Some(sum.finalize().to_be_bytes())
    }
}

/// The chunks up to the end of the file that they make up; one that claims too much, or whose name is none, is the last.
struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    fn of(file: &'a [u8]) -> Self {
        Chunks(file.get(HEAD..).unwrap_or_default())
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let ([a, b, c, d, name @ ..], rest) = self.0.split_first_chunk::<8>()?;
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (data, rest) = rest.split_at(length.min(rest.len()));
        // What follows the end is no part of the file.
        let is_last = name == b"IEND" || !name.iter().all(u8::is_ascii_alphabetic);
        self.0 = match rest.get(CHECKSUM..) {
            Some(next) if !is_last => next,
            _ => &[],
        };
        Some(Chunk {
            name: *name,
            data,
            checksum: rest.first_chunk().copied(),
        })
    }
}

/// Refuses a file with very many chunks before its picture, and one that others can take for another picture.
pub(super) fn check_chunks(bytes: &[u8]) -> Result<(), Error> {
    let before = Chunks::of(bytes).take_while(|chunk| chunk.name != *b"IDAT");
    if before.take(MAX_CHUNKS + 1).count() > MAX_CHUNKS {
        return Err(Error::unreadable(format!(
            "the PNG has more than {MAX_CHUNKS} chunks before its picture: save it without metadata"
        )));
    }
    let mut seen = Seen::default();
    Chunks::of(bytes).try_for_each(|chunk| seen.add(&chunk))?;
    if seen.hides_picture {
        return Err(Error::unreadable(
            "the PNG is an animation that does not show its first picture: send a still one",
        ));
    }
    Ok(())
}

/// The chunks so far that decide what is seen.
#[derive(Default)]
struct Seen<'a> {
    picture: bool,
    turned: Option<&'a [u8]>,
    transparent: bool,
    /// Bytes of the palette.
    palette: Option<usize>,
    animated: bool,
    frame: bool,
    /// Whether the animation has no part in the picture that precedes its own: browsers play the others.
    hides_picture: bool,
}

impl<'a> Seen<'a> {
    fn add(&mut self, chunk: &Chunk<'a>) -> Result<(), Error> {
        let fits = match &chunk.name {
            b"IDAT" => {
                self.hides_picture |= !self.picture && self.animated && !self.frame;
                self.picture = true;
                true
            }
            // The decoder panics where the last colour is not all there.
            b"PLTE" => {
                let length = chunk.data.len();
                length.is_multiple_of(COLOUR)
                    && self.palette.replace(length).is_none()
                    && !self.transparent
            }
            b"tRNS" => {
                // Where there is a palette, the chunk has a byte for each of its colours.
                let most = self.palette.map_or(usize::MAX, |length| length / COLOUR);
                !std::mem::replace(&mut self.transparent, true)
                    && !self.picture
                    && chunk.data.len() <= most
                    && chunk.is_intact()
            }
            // Old versions of libpng write it before the picture and again behind it.
            b"eXIf" => *self.turned.get_or_insert(chunk.data) == chunk.data && chunk.is_intact(),
            b"acTL" if !self.picture => {
                // A frame before it is not that of the picture to those who read the chunks one by one.
                !self.frame && !std::mem::replace(&mut self.animated, true) && chunk.is_intact()
            }
            b"fcTL" if !self.picture => {
                !std::mem::replace(&mut self.frame, true) && chunk.is_intact()
            }
            _ => true,
        };
        if fits {
            return Ok(());
        }
        Err(Error::unreadable(format!(
            "the PNG is damaged: its chunk {} is there twice, in the wrong place, too long or has a wrong checksum",
            chunk.name.escape_ascii()
        )))
    }
}

/// Refuses a picture with colours that its palette lacks: some viewers show them black, others leave them out.
pub(super) fn check_palette(bytes: &[u8], deadline: &Deadline) -> Result<(), Error> {
    if lacks_colours(bytes, deadline).map_err(|error| Error::undecodable("PNG", error))? {
        return Err(palette::lacking("PNG"));
    }
    Ok(())
}

fn lacks_colours(bytes: &[u8], deadline: &Deadline) -> Result<bool, DecodingError> {
    let mut decoder = png::Decoder::new(deadline.reader(bytes));
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info()?;
    let info = reader.info();
    let (width, bits) = (info.width as usize, usize::from(info.bit_depth as u8));
    let colours = info
        .palette
        .as_ref()
        .map_or(0, |palette| palette.len() / COLOUR);
    if info.color_type != ColorType::Indexed || palette::is_full(colours, bits) {
        return Ok(false);
    }
    let size = reader
        .output_buffer_size()
        .ok_or(DecodingError::LimitsExceeded)?;
    let mut pixels = vec![0; size];
    let length = reader.next_frame(&mut pixels)?.line_size;
    let rows = pixels.chunks_exact(length);
    Ok(palette::is_exceeded(rows, width, bits, colours))
}

/// How the picture is to be turned, be it said before the picture or behind it.
pub(super) fn orientation(bytes: &[u8]) -> Result<Orientation, Error> {
    Chunks::of(bytes)
        .find(|chunk| chunk.name == *b"eXIf")
        .map_or(Ok(Orientation::NoTransforms), |chunk| {
            exif::orientation(chunk.data)
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
        let named = [&name[..], data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&named);
        [&length[..], &named, &crc.sum().to_be_bytes()].concat()
    }

    fn file(chunks: &[&[u8]]) -> Vec<u8> {
        [&[0; HEAD][..], &chunks.concat()].concat()
    }

    #[test]
    fn the_picture_is_part_of_the_animation() {
        let check = |names: &[&[u8; 4]]| {
            let chunks: Vec<_> = names.iter().map(|name| chunk(name, &[])).collect();
            check_chunks(&file(&[&chunks.concat()])).is_ok()
        };
        assert!(check(&[b"acTL", b"fcTL", b"IDAT", b"fcTL", b"fdAT"]));
        assert!(check(&[b"IDAT", b"acTL", b"fcTL", b"fdAT"]) && check(&[b"fcTL", b"IDAT"]));
        assert!(!check(&[b"acTL", b"IDAT", b"fcTL", b"fdAT"]));
        // What others leave out, or count to another picture, makes it one that browsers do not show.
        assert!(!check(&[b"fcTL", b"acTL", b"IDAT", b"fcTL", b"fdAT"]));
        assert!(!check(&[b"acTL", b"acTL", b"fcTL", b"IDAT"]));
        assert!(!check(&[b"acTL", b"fcTL", b"fcTL", b"IDAT"]));
    }

    /// A picture of three pixels with a palette of three colours.
    fn indexed(depth: u8, row: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 3, 1);
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(png::BitDepth::from_u8(depth).unwrap());
        encoder.set_palette(&[7; 3 * COLOUR][..]);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(row).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn every_pixel_has_a_colour_of_the_palette() {
        let far = Deadline::after(std::time::Duration::from_secs(3600));
        let check = |depth, row: &[u8]| check_palette(&indexed(depth, row), &far);
        // Behind the last pixel of a row there may be anything.
        assert!(check(8, &[0, 1, 2]).is_ok() && check(2, &[0b0001_1011]).is_ok());
        assert!(check(4, &[0x01, 0x2f]).is_ok() && check(1, &[0xff]).is_ok());
        for (depth, row) in [(8, &[0, 1, 3][..]), (2, &[0b0001_1100]), (4, &[0x30, 0x00])] {
            let error = check(depth, row).unwrap_err();
            assert!(error.detail().contains("palette lacks"), "{error}");
        }
    }

    #[test]
    fn what_follows_the_end_turns_nothing() {
        let turned = chunk(
            b"eXIf",
            b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
        );
        let end = chunk(b"IEND", &[]);
        let orientation = |chunks: &[&[u8]]| orientation(&file(chunks)).unwrap();
        assert_eq!(orientation(&[&turned, &end]), Orientation::Rotate90);
        assert_eq!(orientation(&[&end, &turned]), Orientation::NoTransforms);
        // Nor what follows something that is no chunk.
        let nameless = chunk(&[0; 4], &[]);
        assert_eq!(
            orientation(&[&nameless, &turned, &end]),
            Orientation::NoTransforms
        );
    }

    #[test]
    fn what_decides_is_there_once_and_in_its_place() {
        let check = |chunks: &[&[u8]]| check_chunks(&file(chunks)).is_ok();
        let (palette, picture) = (chunk(b"PLTE", &[7; 6]), chunk(b"IDAT", &[]));
        let (clear, turned) = (chunk(b"tRNS", &[0; 2]), chunk(b"eXIf", b"II"));
        let text = chunk(b"tEXt", b"a\0b");
        assert!(check(&[&palette, &clear, &turned, &picture]));
        assert!(check(&[&chunk(b"tRNS", &[0; 6]), &picture, &turned]));
        assert!(check(&[&text, &text, &picture, &picture, &text]));
        assert!(!check(&[&palette, &palette, &picture]));
        assert!(!check(&[&clear, &palette, &picture]));
        assert!(!check(&[&palette, &clear, &clear, &picture]));
        assert!(!check(&[&palette, &chunk(b"tRNS", &[0; 3]), &picture]));
        assert!(!check(&[&palette, &picture, &clear]));
        let otherwise = chunk(b"eXIf", b"MM");
        assert!(check(&[&turned, &picture, &turned]));
        assert!(
            !check(&[&turned, &picture, &otherwise]) && !check(&[&turned, &otherwise, &picture])
        );
        let error = check_chunks(&file(&[&chunk(b"PLTE", &[7; 5]), &picture])).unwrap_err();
        assert_eq!(error.code(), crate::ErrorCode::UnreadableImage);
        assert!(error.detail().contains("PLTE"), "{error}");
    }

    #[test]
    fn what_decides_has_its_checksum() {
        let picture = chunk(b"IDAT", &[]);
        for name in [b"tRNS", b"eXIf", b"acTL", b"fcTL", b"tEXt"] {
            let mut spoiled = chunk(name, &[0; 26]);
            *spoiled.last_mut().unwrap() ^= 1;
            let frame: &[u8] = if name == b"acTL" {
                &chunk(b"fcTL", &[])
            } else {
                &[]
            };
            let check = check_chunks(&file(&[&spoiled, frame, &picture]));
            assert_eq!(check.is_ok(), name == b"tEXt");
        }
    }

    #[test]
    fn a_chunk_that_claims_too_much_is_the_last() {
        for bytes in [&b""[..], &[0; 8], &[0xff; 17]] {
            assert!(check_chunks(bytes).is_ok());
            assert_eq!(orientation(bytes).unwrap(), Orientation::NoTransforms);
        }
    }
}
