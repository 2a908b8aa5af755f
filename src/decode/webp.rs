//! What a WebP says of itself, read within the bytes that it has.
//!
//! The decoder believes a chunk's length: it takes up to 4 GiB for metadata that a file of some bytes
//! claims to have, and decodes a lossy frame of 16,383 pixels a side before it finds that the picture is
//! to be smaller, or never does. So what decides about memory is looked at here first.
//!
//! Whether a picture is transparent is said in several places, and each decoder believes another one. Where they do not
//! agree, no pixel may be transparent.

mod vp8;

use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageError};

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
/// How alpha is compressed, in its first byte; and the way that is compression. Bits that are to be zero are a fault to
/// some, and to others a reason to show no alpha.
const ALPHA_COMPRESSION: u8 = 3;
const ALPHA_AS_VP8L: u8 = 1;
const ALPHA_RESERVED: u8 = 0xc0;

/// What the header of an extended file announces.
const ANIMATION: u8 = 0x02;
const EXIF: u8 = 0x08;
const ALPHA: u8 = 0x10;

/// The file up to the end that it states. What follows is no part of it, but the decoder would look for a picture there.
pub(super) fn within(bytes: &[u8]) -> &[u8] {
    let stated = Chunks(bytes).next().map_or(0, |riff| riff.data.len());
    &bytes[..bytes.len().min(8 + stated)]
}

/// How the picture is to be turned. As in other formats, metadata that is not all there makes no image
/// unreadable; that which is not announced nobody looks for.
pub(super) fn orientation(bytes: &[u8]) -> Result<Orientation, Error> {
    let mut chunks = Chunks(bytes.get(HEAD..).unwrap_or_default());
    if chunks.next().and_then(|first| flags(&first)).unwrap_or(0) & EXIF == 0 {
        return Ok(Orientation::NoTransforms);
    }
    chunks
        .find(|chunk| chunk.name == *b"EXIF")
        .filter(|chunk| chunk.whole)
        .map_or(Ok(Orientation::NoTransforms), |chunk| {
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
    let flags = chunks().next().and_then(|first| flags(&first));
    let is_animation = flags.is_some_and(|flags| flags & ANIMATION != 0);
    // One without a header leaves it to the picture.
    let may_be_transparent = flags.is_none_or(|flags| flags & ALPHA != 0);
    let mut seen = false;
    let mut parts = Parts::new(may_be_transparent);
    for chunk in chunks() {
        match (&chunk.name, is_animation) {
            // The decoder would take either for a part of the other.
            (b"ANMF", false) | (b"VP8 " | b"VP8L" | b"ALPH", true) => {
                return Err(Error::unreadable(
                    "the WebP has a picture for an animation and one for none: save it again",
                ));
            }
            // Only the first picture of an animation is decoded.
            (b"ANMF", true) if !std::mem::replace(&mut seen, true) => {
                check_animated(&chunk, canvas, may_be_transparent, deadline)?;
            }
            _ => check_part(&chunk, canvas, &mut parts, deadline)?,
        }
    }
    Ok(())
}

fn check_animated(
    frame: &Chunk<'_>,
    canvas: Room,
    may_be_transparent: bool,
    deadline: &Deadline,
) -> Result<(), Error> {
    check_whole(frame)?;
    let room = frame_size(frame).unwrap_or(canvas);
    let mut parts = Parts::new(may_be_transparent);
    for part in Chunks(frame.data.get(FRAME_HEAD..).unwrap_or_default()) {
        // Of a picture that does not move, every decoder leaves it out.
        if part.name == *b"ALPH" && !may_be_transparent {
            return Err(translucent());
        }
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

/// What the file announces, where its first chunk does that.
fn flags(first: &Chunk<'_>) -> Option<u8> {
    (first.name == *b"VP8X")
        .then(|| first.data.first().copied())
        .flatten()
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
struct Parts {
    kinds: Vec<[u8; 4]>,
    /// Whether the file lets the picture be transparent.
    may_be_transparent: bool,
}

impl Parts {
    fn new(may_be_transparent: bool) -> Self {
        Parts {
            kinds: Vec::new(),
            may_be_transparent,
        }
    }

    fn are_complete(&self) -> bool {
        self.kinds.last().is_some_and(|kind| kind != b"ALPH")
    }

    /// Refuses all but one picture, with alpha before one with loss: each costs time, and one decoder takes the first of
    /// two, another the last.
    fn add(&mut self, kind: [u8; 4]) -> Result<(), Error> {
        let fits = match self.kinds.as_slice() {
            [] => true,
            [only] => only == b"ALPH" && kind == *b"VP8 ",
            _ => false,
        };
        if !fits {
            return Err(Error::unreadable(
                "the WebP is damaged: it has the data of its picture more than once",
            ));
        }
        self.kinds.push(kind);
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
        (b"VP8 ", data) => lossy_size(data).map_or(Ok(()), |size| {
            check_size(size, room)?;
            vp8::check_coefficients(data, size, deadline)
        }),
        (b"VP8L", whole) => {
            let (width, height) = room.size();
            let (size, data) = vp8l::split_head(whole)?;
            check_size(size, Room::Exactly(width, height))?;
            let is_opaque = vp8l::check_codes(data, size, deadline)?;
            let is_transparent = vp8l::has_alpha(whole) && parts.may_be_transparent;
            if is_opaque || is_transparent {
                return Ok(());
            }
            check_opaque(whole, deadline)
        }
        (b"ALPH", [flags, ..]) if flags & ALPHA_RESERVED != 0 => Err(Error::unreadable(
            "the WebP is damaged: its alpha is of a kind that does not exist",
        )),
        (b"ALPH", [flags, data @ ..]) if flags & ALPHA_COMPRESSION == ALPHA_AS_VP8L => {
            vp8l::check_codes(data, room.size(), deadline).map(drop)
        }
        _ => Ok(()),
    }
}

/// Refuses a picture without loss that has transparent pixels. Where it says that it has none, they are decoded as if it
/// said otherwise.
fn check_opaque(data: &[u8], deadline: &Deadline) -> Result<(), Error> {
    let damaged = |error: ImageError| Error::undecodable("WebP", error);
    let file = alone(data);
    let decoder = WebPDecoder::new(deadline.reader(&file)).map_err(damaged)?;
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    let is_opaque = |image: &image::RgbaImage| image.pixels().all(|pixel| pixel.0[3] == u8::MAX);
    if image.as_rgba8().is_some_and(is_opaque) {
        return Ok(());
    }
    Err(translucent())
}

/// A file of nothing but this picture without loss, whose transparent pixels are shown as such.
fn alone(data: &[u8]) -> Vec<u8> {
    let mut data = vp8l::with_alpha(data);
    let length = data.len() as u32;
    data.resize(data.len().next_multiple_of(2), 0);
    let chunk = [&b"WEBPVP8L"[..], &length.to_le_bytes(), &data].concat();
    [&b"RIFF"[..], &(chunk.len() as u32).to_le_bytes(), &chunk].concat()
}

fn translucent() -> Error {
    Error::unreadable(
        "the WebP has transparent pixels and says that it has none, so that viewers show different pictures: save it again",
    )
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
        let head = |flags| chunk(b"VP8X", &[flags, 0, 0, 0, 63, 0, 0, 47, 0, 0]);
        let announced = head(0x28);
        for (chunks, expected) in [
            (vec![], Orientation::NoTransforms),
            (vec![announced.clone(), block(6)], Orientation::Rotate90),
            (vec![announced.clone(), prefixed], Orientation::Rotate180),
            (
                vec![announced.clone(), odd, block(3), block(6)],
                Orientation::Rotate180,
            ),
            // What is not announced counts to no other viewer.
            (vec![block(6)], Orientation::NoTransforms),
            (vec![head(0x20), block(6)], Orientation::NoTransforms),
            (
                vec![lossy(64, 48), announced.clone(), block(6)],
                Orientation::NoTransforms,
            ),
            (
                vec![
                    announced.clone(),
                    claiming(b"EXIF", u32::MAX, &exif(6)),
                    block(6),
                ],
                Orientation::NoTransforms,
            ),
            (
                vec![announced, claiming(b"XMP ", u32::MAX, b""), block(6)],
                Orientation::NoTransforms,
            ),
        ] {
            assert_eq!(orientation(&file(&chunks)).unwrap(), expected);
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
            let head = chunk(b"VP8X", &[0x12, 0, 0, 0, 63, 0, 0, 47, 0, 0]);
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

    /// A picture without loss whose pixels all have this alpha, in files that differ in what they say of it: one without a
    /// header, and a still one and an animation with one.
    fn stating(alpha: u8, flag: bool, bit: bool) -> [Vec<u8>; 3] {
        let image = image::RgbaImage::from_pixel(64, 48, image::Rgba([9, 99, 199, alpha]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        image
            .write_to(&mut bytes, image::ImageFormat::WebP)
            .unwrap();
        let mut picture = bytes.get_ref()[HEAD..].to_vec();
        if !bit {
            picture[8 + 4] &= !0x10;
        }
        let flag = if flag { ALPHA } else { 0 };
        let head = |flags| chunk(b"VP8X", &[flags, 0, 0, 0, 63, 0, 0, 47, 0, 0]);
        [
            file(std::slice::from_ref(&picture)),
            file(&[head(flag), picture.clone()]),
            file(&[head(flag | ANIMATION), frame(64, 48, &picture)]),
        ]
    }

    #[test]
    fn a_picture_without_loss_is_as_opaque_as_it_says() {
        for flag in [false, true] {
            for bit in [false, true] {
                for file in stating(255, flag, bit) {
                    check(&file).unwrap();
                }
                let [alone, still, moving] = stating(254, flag, bit);
                assert_eq!(check(&alone).is_ok(), bit);
                assert_eq!(check(&still).is_ok(), bit && flag);
                assert_eq!(check(&moving).is_ok(), bit && flag);
            }
        }
        let [_, still, _] = stating(254, false, true);
        let error = check(&still).unwrap_err();
        assert_eq!(error.code(), crate::ErrorCode::UnreadableImage);
        assert!(error.detail().contains("transparent"), "{error}");
    }

    #[test]
    fn alpha_with_loss_is_announced_where_decoders_do_not_agree() {
        let fits = |flags, parts: &[Vec<u8>]| {
            let head = chunk(b"VP8X", &[flags, 0, 0, 0, 63, 0, 0, 47, 0, 0]);
            let moving = [head.clone(), frame(64, 48, &parts.concat())];
            let still = [&[head], parts].concat();
            check(&file(if flags & ANIMATION == 0 {
                &still
            } else {
                &moving
            }))
            .is_ok()
        };
        let parts = |kind| [chunk(b"ALPH", &[kind]), lossy(64, 48)];
        for (flags, expected) in [(0, true), (ALPHA, true), (2, false), (2 | ALPHA, true)] {
            assert_eq!(fits(flags, &parts(0)), expected, "{flags:x}");
            assert!(!fits(flags, &parts(0x40)) && !fits(flags, &parts(0x80)));
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
