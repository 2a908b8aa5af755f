//! What a WebP says of itself, read within the bytes that it has.
//!
//! The decoder believes a chunk's length: it takes up to 4 GiB for metadata that a file of some bytes
//! claims to have, and decodes a lossy frame of 16,383 pixels a side before it finds that the picture is
//! to be smaller, or never does. So what decides about memory is looked at here first.

use image::metadata::Orientation;

use super::{exif, vp8l};
use crate::deadline::Deadline;
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
/// How alpha is compressed, in its first byte; and the way that is compression.
const ALPHA_COMPRESSION: u8 = 3;
const ALPHA_AS_VP8L: u8 = 1;

/// The file up to the end that it states. What follows is no part of it, but the decoder would look for a picture there.
pub(super) fn within(bytes: &[u8]) -> &[u8] {
    let stated = Chunks(bytes).next().map_or(0, |riff| riff.data.len());
    &bytes[..bytes.len().min(8 + stated)]
}

/// How the picture is to be turned. As in other formats, metadata that is not all there makes no image
/// unreadable.
pub(super) fn orientation(bytes: &[u8]) -> Orientation {
    Chunks(bytes.get(HEAD..).unwrap_or_default())
        .find(|chunk| chunk.name == *b"EXIF")
        .filter(|chunk| chunk.whole)
        .map_or(Orientation::NoTransforms, |chunk| {
            exif::orientation(chunk.data)
        })
}

/// The size that a frame has to have.
#[derive(Clone, Copy)]
enum Room {
    /// Of the whole picture, with loss. The decoder compares by itself, but takes the memory before it does.
    AtMost(u32, u32),
    /// Of one without loss, for which the codes would be walked over in vain, and of a picture in an animation, which the
    /// decoder does not compare where alpha precedes it.
    Exactly(u32, u32),
}

impl Room {
    fn size(self) -> (u32, u32) {
        let (Room::AtMost(width, height) | Room::Exactly(width, height)) = self;
        (width, height)
    }

    fn holds(self, across: u32, down: u32) -> bool {
        match self {
            Room::AtMost(width, height) => across <= width && down <= height,
            Room::Exactly(width, height) => across == width && down == height,
        }
    }
}

/// Refuses a file that ends within its picture, one whose first picture has another size than it says or can be taken
/// for another one, and one whose codes take more memory than any encoder's.
pub(super) fn check_frames(
    bytes: &[u8],
    width: u32,
    height: u32,
    deadline: &Deadline,
) -> Result<(), Error> {
    let canvas = Room::AtMost(width, height);
    let chunks = || Chunks(bytes.get(HEAD..).unwrap_or_default());
    let animation = chunks().next().is_some_and(|chunk| is_animation(&chunk));
    let mut seen = false;
    let mut parts = Parts::default();
    for chunk in chunks() {
        match (&chunk.name, animation) {
            // The decoder would take either for a part of the other.
            (b"ANMF", false) | (b"VP8 " | b"VP8L" | b"ALPH", true) => {
                return Err(Error::unreadable(
                    "the WebP has a picture for an animation and one for none: save it again",
                ));
            }
            // Only the first picture of an animation is decoded.
            (b"ANMF", true) if !std::mem::replace(&mut seen, true) => {
                check_animated(&chunk, canvas, deadline)?;
            }
            _ => check_part(&chunk, canvas, &mut parts, deadline)?,
        }
    }
    Ok(())
}

fn check_animated(frame: &Chunk<'_>, canvas: Room, deadline: &Deadline) -> Result<(), Error> {
    check_whole(frame)?;
    let room = frame_size(frame).unwrap_or(canvas);
    let mut parts = Parts::default();
    for part in Chunks(frame.data.get(FRAME_HEAD..).unwrap_or_default()) {
        // What follows alpha the decoder takes for the picture, whatever its name.
        if !is_part(&part) && !parts.are_complete() {
            return Err(Error::unreadable(
                "the WebP has other data before those of its picture: save it again",
            ));
        }
        check_part(&part, room, &mut parts, deadline)?;
    }
    Ok(())
}

fn is_animation(first: &Chunk<'_>) -> bool {
    const ANIMATION: u8 = 2;
    first.name == *b"VP8X"
        && first
            .data
            .first()
            .is_some_and(|flags| flags & ANIMATION != 0)
}

/// The size of a picture in an animation, which its head states behind the place.
fn frame_size(frame: &Chunk<'_>) -> Option<Room> {
    let [_, _, _, _, _, _, a, b, c, d, e, f] = *frame.data.first_chunk()?;
    let side = |bytes: [u8; 3]| {
        let [low, middle, high] = bytes;
        u32::from_le_bytes([low, middle, high, 0]) + 1
    };
    Some(Room::Exactly(side([a, b, c]), side([d, e, f])))
}

fn is_part(chunk: &Chunk<'_>) -> bool {
    matches!(&chunk.name, b"VP8 " | b"VP8L" | b"ALPH")
}

/// The kinds of data that a picture has had so far.
#[derive(Default)]
struct Parts(Vec<[u8; 4]>);

impl Parts {
    fn are_complete(&self) -> bool {
        self.0.last().is_some_and(|kind| kind != b"ALPH")
    }

    /// Refuses all but one picture, with alpha before one with loss: each costs time, and one decoder takes the first of
    /// two, another the last.
    fn add(&mut self, kind: [u8; 4]) -> Result<(), Error> {
        let fits = match self.0.as_slice() {
            [] => true,
            [only] => only == b"ALPH" && kind == *b"VP8 ",
            _ => false,
        };
        if !fits {
            return Err(Error::unreadable(
                "the WebP is damaged: it has the data of its picture more than once",
            ));
        }
        self.0.push(kind);
        Ok(())
    }
}

fn check_part(
    chunk: &Chunk<'_>,
    room: Room,
    parts: &mut Parts,
    deadline: &Deadline,
) -> Result<(), Error> {
    if !is_part(chunk) {
        return Ok(());
    }
    parts.add(chunk.name)?;
    check_whole(chunk)?;
    match (&chunk.name, chunk.data) {
        (b"VP8 ", data) => lossy_size(data).map_or(Ok(()), |size| check_size(size, room)),
        (b"VP8L", data) => {
            let (width, height) = room.size();
            let (size, data) = vp8l::split_head(data)?;
            check_size(size, Room::Exactly(width, height))?;
            vp8l::check_codes(data, size, deadline)
        }
        (b"ALPH", [flags, data @ ..]) if flags & ALPHA_COMPRESSION == ALPHA_AS_VP8L => {
            vp8l::check_codes(data, room.size(), deadline)
        }
        _ => Ok(()),
    }
}

fn check_size((across, down): (u32, u32), room: Room) -> Result<(), Error> {
    if room.holds(across, down) {
        return Ok(());
    }
    let (width, height) = room.size();
    Err(Error::unreadable(format!(
        "the WebP is damaged: in {width} x {height} pixels it holds a picture of {across} x {down}"
    )))
}

fn check_whole(chunk: &Chunk<'_>) -> Result<(), Error> {
    if chunk.whole {
        return Ok(());
    }
    Err(Error::unreadable(
        "the WebP is truncated: the end of its picture is missing",
    ))
}

/// Width and height of a lossy frame.
fn lossy_size(data: &[u8]) -> Option<(u32, u32)> {
    let [a, b, c, d] = *data.get(6..)?.first_chunk()?;
    // The upper two bits say how to enlarge it.
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some((side(a, b), side(c, d)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        claiming(name, data.len() as u32, data)
    }

    fn claiming(name: &[u8; 4], length: u32, data: &[u8]) -> Vec<u8> {
        let padding = &[0][..data.len() % 2];
        [&name[..], &length.to_le_bytes(), data, padding].concat()
    }

    fn check(bytes: &[u8]) -> Result<(), Error> {
        check_frames(bytes, 64, 48, &Deadline::after(Duration::from_secs(3600)))
    }

    fn frame(width: u8, height: u8, parts: &[u8]) -> Vec<u8> {
        let sides = [width - 1, 0, 0, height - 1, 0, 0];
        let head = [&[0; 6][..], &sides, &[0; 4]].concat();
        chunk(b"ANMF", &[&head[..], parts].concat())
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
    }

    #[test]
    fn no_picture_is_larger_than_the_file_says() {
        let fits = |chunks: &[Vec<u8>]| check(&file(chunks)).is_ok();
        assert!(fits(&[lossy(64, 48)]) && fits(&[lossy(0x4000 | 64, 0x8000 | 48)]));
        assert!(!fits(&[lossy(65, 48)]) && !fits(&[lossy(64, 16_383)]));
        assert!(fits(&[chunk(b"VP8 ", b"short")]));
    }

    #[test]
    fn what_follows_the_file_is_no_part_of_it() {
        let whole = file(&[chunk(b"VP8X", &[0; 10]), lossy(64, 48)]);
        let behind = frame(64, 48, &lossy(64, 48));
        assert_eq!(within(&[&whole[..], &behind].concat()), whole);
        assert_eq!(within(&whole), whole);
        // One that claims to be longer is as long as it is.
        assert_eq!(within(&whole[..40]), &whole[..40]);
        for end in 0..HEAD {
            assert_eq!(within(&whole[..end]), &whole[..end]);
        }
    }

    #[test]
    fn there_is_one_picture_for_an_animation_or_for_none() {
        let still = |chunks: &[Vec<u8>]| {
            let head = chunk(b"VP8X", &[0x10, 0, 0, 0, 63, 0, 0, 47, 0, 0]);
            check(&file(&[&[head], chunks].concat())).is_ok()
        };
        let (alpha, picture) = (chunk(b"ALPH", &[0]), lossy(64, 48));
        let animated = frame(64, 48, &picture);
        assert!(still(&[alpha.clone(), picture.clone()]) && still(std::slice::from_ref(&picture)));
        // A decoder that does not look for it before the picture finds it behind.
        assert!(!still(&[picture.clone(), alpha.clone()]));
        assert!(!still(&[picture.clone(), animated.clone()]) && !still(&[animated]));
        assert!(!still(&[picture.clone(), lossless(64, 48)]));
        let moving = |parts: &[Vec<u8>]| {
            let head = chunk(b"VP8X", &[2, 0, 0, 0, 63, 0, 0, 47, 0, 0]);
            check(&file(&[head, frame(64, 48, &parts.concat())])).is_ok()
        };
        let odd = chunk(b"ODD ", &picture[8..]);
        assert!(moving(&[alpha.clone(), picture.clone(), odd.clone()]));
        assert!(!moving(&[alpha, odd.clone(), picture.clone()]) && !moving(&[odd, picture]));
    }

    #[test]
    fn the_first_picture_of_an_animation_has_the_size_that_its_head_says() {
        let fits = |flags, chunks: &[Vec<u8>]| {
            let head = chunk(b"VP8X", &[flags, 0, 0, 0, 63, 0, 0, 47, 0, 0]);
            check(&file(&[&[head], chunks].concat())).is_ok()
        };
        let alpha = chunk(b"ALPH", b"?");
        for flags in [2, 0x12] {
            assert!(fits(flags, &[frame(20, 10, &lossy(20, 10))]));
            assert!(fits(
                flags,
                &[frame(64, 48, &lossy(64, 48)), frame(1, 1, &lossy(65, 48))]
            ));
            assert!(!fits(
                flags,
                &[frame(64, 48, &lossy(64, 48)), lossy(64, 48)]
            ));
            for other in [lossy(21, 10), lossy(20, 9), lossy(64, 48)] {
                assert!(!fits(flags, &[frame(20, 10, &other)]));
                assert!(!fits(
                    flags,
                    &[frame(20, 10, &[&alpha[..], &other].concat())]
                ));
            }
        }
    }

    /// The head of a picture without loss.
    fn lossless(width: u32, height: u32) -> Vec<u8> {
        let size = (width - 1) | (height - 1) << 14;
        chunk(b"VP8L", &[&[0x2f][..], &size.to_le_bytes()].concat())
    }

    #[test]
    fn a_picture_without_loss_is_as_large_as_the_file_says() {
        let reason = |chunk| check(&file(&[chunk])).unwrap_err().to_string();
        for (width, height) in [(64, 47), (63, 48), (16_384, 16_384)] {
            assert!(reason(lossless(width, height)).contains("in 64 x 48 pixels"));
        }
        // Of the right size, it is looked at, and has no codes.
        assert!(reason(lossless(64, 48)).contains("makes no sense"));
    }

    #[test]
    fn there_is_one_picture() {
        let alpha = chunk(b"ALPH", &[0]);
        let whole = [alpha.clone(), lossy(64, 48)];
        assert!(check(&file(&whole)).is_ok());
        for more in whole.clone() {
            let error = check(&file(&[&whole[..], &[more]].concat())).unwrap_err();
            assert!(error.to_string().contains("more than once"));
        }
        // Another file behind it does not count.
        assert!(check(within(&[file(&whole), file(&whole)].concat())).is_ok());
    }

    #[test]
    fn the_picture_must_be_all_there() {
        let whole = file(&[chunk(b"VP8X", &[0; 10]), lossy(64, 48)]);
        assert!(check(&whole).is_ok());
        assert!(check(&whole[..whole.len() - 1]).is_err());
        let boastful = file(&[claiming(b"VP8L", 1000, &[0x2f; 9])]);
        assert!(check(&boastful).is_err());
        let metadata = file(&[lossy(64, 48), claiming(b"EXIF", u32::MAX, b"")]);
        assert!(check(&metadata).is_ok());
    }

    #[test]
    fn every_beginning_of_a_file_is_read_within_it() {
        let whole = file(&[
            chunk(b"VP8X", &[0; 10]),
            chunk(b"ANMF", &[&[0; 16][..], &lossy(64, 48)].concat()),
            chunk(b"EXIF", &exif(6)),
        ]);
        for end in 0..whole.len() {
            let _ = check(&whole[..end]);
            let _ = orientation(&whole[..end]);
        }
    }
}
