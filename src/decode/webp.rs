//! What a WebP says of itself, read within the bytes that it has.
//!
//! The decoder believes a chunk's length: it takes up to 4 GiB for metadata that a file of some bytes
//! claims to have, and decodes a lossy frame of 16,383 pixels a side before it finds that the picture is
//! to be smaller. So what decides about memory is looked at here first.

use image::metadata::Orientation;

use super::exif;
use crate::error::Error;

/// A chunk as far as the file goes.
struct Chunk<'a> {
    name: [u8; 4],
    data: &'a [u8],
    /// Whether the file holds all that the chunk claims to have.
    whole: bool,
}

/// The chunks one after the other; one that claims too much is the last.
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let (name, rest) = self.0.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let data = &rest[..length.min(rest.len())];
        let padded = length.saturating_add(length % 2);
        self.0 = rest.get(padded..).unwrap_or_default();
        Some(Chunk {
            name: *name,
            data,
            whole: data.len() == length,
        })
    }
}

/// What precedes the chunks of a file: "RIFF", the length of the rest, "WEBP".
const HEAD: usize = 12;
/// What precedes the chunks of a picture in an animation: place, size, duration, flags.
const FRAME_HEAD: usize = 16;

/// How the picture is to be turned. As in other formats, metadata that is not all there makes no image
/// unreadable.
pub(super) fn orientation(bytes: &[u8]) -> Orientation {
    // What follows the file's own end is not part of it.
    let file = Chunks(bytes).next().map_or(&[][..], |riff| riff.data);
    Chunks(file.get(4..).unwrap_or_default())
        .find(|chunk| chunk.name == *b"EXIF")
        .filter(|chunk| chunk.whole)
        .map_or(Orientation::NoTransforms, |chunk| {
            exif::orientation(chunk.data)
        })
}

/// Refuses a file that ends within its picture, and one whose first picture is larger than it says.
pub(super) fn check_frames(bytes: &[u8], width: u32, height: u32) -> Result<(), Error> {
    // Over all bytes: the decoder goes on a little behind the end that a file states.
    let mut animated = false;
    for chunk in Chunks(bytes.get(HEAD..).unwrap_or_default()) {
        match &chunk.name {
            // Only the first picture of an animation is decoded.
            b"ANMF" if !std::mem::replace(&mut animated, true) => {
                check_whole(&chunk)?;
                let parts = chunk.data.get(FRAME_HEAD..).unwrap_or_default();
                Chunks(parts).try_for_each(|part| check_frame(&part, width, height))?;
            }
            b"VP8 " | b"VP8L" | b"ALPH" => check_frame(&chunk, width, height)?,
            _ => {}
        }
    }
    Ok(())
}

fn check_frame(chunk: &Chunk<'_>, width: u32, height: u32) -> Result<(), Error> {
    check_whole(chunk)?;
    let Some((across, down)) = lossy_size(chunk) else {
        return Ok(());
    };
    if across > width || down > height {
        return Err(Error::unreadable(format!(
            "the WebP is {width} x {height} pixels, but holds a picture of {across} x {down}"
        )));
    }
    Ok(())
}

fn check_whole(chunk: &Chunk<'_>) -> Result<(), Error> {
    if chunk.whole {
        return Ok(());
    }
    Err(Error::unreadable(
        "the WebP is truncated: the end of its picture is missing",
    ))
}

/// Width and height of a lossy frame. Those of one without loss the decoder compares by itself before
/// it takes memory.
fn lossy_size(chunk: &Chunk<'_>) -> Option<(u32, u32)> {
    if chunk.name != *b"VP8 " {
        return None;
    }
    let [a, b, c, d] = *chunk.data.get(6..)?.first_chunk()?;
    // The upper two bits say how to enlarge it.
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some((side(a, b), side(c, d)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        claiming(name, data.len() as u32, data)
    }

    fn claiming(name: &[u8; 4], length: u32, data: &[u8]) -> Vec<u8> {
        let padding = &[0][..data.len() % 2];
        [&name[..], &length.to_le_bytes(), data, padding].concat()
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        chunk(b"RIFF", &[&b"WEBP"[..], &chunks.concat()].concat())
    }

    fn exif(orientation: u8) -> Vec<u8> {
        let entry = [0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
        [&b"II\x2a\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4]].concat()
    }

    fn lossy(width: u16, height: u16) -> Vec<u8> {
        let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
        chunk(b"VP8 ", &[&[0, 0, 0, 0x9d, 1, 0x2a][..], &sides].concat())
    }

    #[test]
    fn the_first_whole_exif_turns_it() {
        let block = |orientation| chunk(b"EXIF", &exif(orientation));
        let prefixed = chunk(b"EXIF", &[&b"Exif\0\0"[..], &exif(3)].concat());
        let odd = chunk(b"ICCP", b"odd");
        for (chunks, expected) in [
            (vec![], Orientation::NoTransforms),
            (vec![block(6)], Orientation::Rotate90),
            (vec![prefixed], Orientation::Rotate180),
            (vec![odd, block(3), block(6)], Orientation::Rotate180),
            (
                vec![claiming(b"EXIF", u32::MAX, &exif(6)), block(6)],
                Orientation::NoTransforms,
            ),
            (
                vec![claiming(b"XMP ", u32::MAX, b""), block(6)],
                Orientation::NoTransforms,
            ),
        ] {
            assert_eq!(orientation(&file(&chunks)), expected);
        }
        let behind = [file(&[]), block(6)].concat();
        assert_eq!(orientation(&behind), Orientation::NoTransforms);
    }

    #[test]
    fn no_picture_is_larger_than_the_file_says() {
        let fits = |chunks: &[Vec<u8>]| check_frames(&file(chunks), 64, 48).is_ok();
        let frame = |part: &[u8]| chunk(b"ANMF", &[&[0; 16], part].concat());
        assert!(fits(&[lossy(64, 48)]) && fits(&[lossy(0x4000 | 64, 0x8000 | 48)]));
        assert!(!fits(&[lossy(65, 48)]) && !fits(&[lossy(64, 16_383)]));
        assert!(fits(&[frame(&lossy(64, 48)), frame(&lossy(65, 48))]));
        assert!(!fits(&[frame(&lossy(64, 48)), lossy(65, 48)]));
        assert!(!fits(&[frame(&lossy(65, 48))]));
        assert!(!fits(&[frame(
            &[chunk(b"ALPH", b"?"), lossy(65, 48)].concat()
        )]));
        assert!(fits(&[chunk(b"VP8 ", b"short")]));
        let behind_the_end = [file(&[]), lossy(65, 48)].concat();
        assert!(check_frames(&behind_the_end, 64, 48).is_err());
    }

    #[test]
    fn the_picture_must_be_all_there() {
        let whole = file(&[chunk(b"VP8X", &[0; 10]), lossy(64, 48)]);
        assert!(check_frames(&whole, 64, 48).is_ok());
        assert!(check_frames(&whole[..whole.len() - 1], 64, 48).is_err());
        let boastful = file(&[claiming(b"VP8L", 1000, &[0x2f; 9])]);
        assert!(check_frames(&boastful, 64, 48).is_err());
        let metadata = file(&[lossy(64, 48), claiming(b"EXIF", u32::MAX, b"")]);
        assert!(check_frames(&metadata, 64, 48).is_ok());
    }

    #[test]
    fn every_beginning_of_a_file_is_read_within_it() {
        let whole = file(&[
            chunk(b"VP8X", &[0; 10]),
            chunk(b"ANMF", &[&[0; 16][..], &lossy(64, 48)].concat()),
            chunk(b"EXIF", &exif(6)),
        ]);
        for end in 0..whole.len() {
            let _ = check_frames(&whole[..end], 64, 48);
            let _ = orientation(&whole[..end]);
        }
    }
}
