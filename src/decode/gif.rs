//! The first frame of a GIF: its size, which need not be that of the screen it is drawn on, and whether all viewers draw it
//! alike.

use gif::{DecodeOptions, DecodingError};

use super::palette::{self, COLOUR};
use crate::deadline::Deadline;
use crate::error::Error;

/// What precedes the blocks: "GIF89a", the size of the screen, its flags, background and aspect.
const HEAD: usize = 13;
const FLAGS: usize = 10;

const EXTENSION: u8 = 0x21;
const FRAME: u8 = 0x2c;
/// The extension that says what is transparent in the next frame, and how many bytes of data it has.
const CONTROL: u8 = 0xf9;
const CONTROL_LENGTH: u8 = 4;
/// Place, size and flags.
const FRAME_HEAD: usize = 9;
/// Most bits of a pixel.
const MAX_CODE_SIZE: u8 = 8;

/// The part of the screen that the first frame is drawn on.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Frame {
    /// Whether a screen of this size shows all of it. Viewers make others larger, and the decoder leaves out the rest.
    fn fits(&self, width: u32, height: u32) -> bool {
        self.left + self.width <= width && self.top + self.height <= height
    }

    /// How many bytes it has with alpha.
    fn bytes(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * 4
    }
}

/// What precedes the data of the first frame.
struct Head<'a> {
    /// What follows each mark of an extension that says what is transparent.
    controls: Vec<&'a [u8]>,
    /// What follows the mark of the frame.
    data: &'a [u8],
}

impl<'a> Head<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.get(HEAD + palette(*bytes.get(FLAGS)?)..)?;
        let mut controls = Vec::new();
        loop {
            rest = match rest {
                [FRAME, data @ ..] => return Some(Head { controls, data }),
                [EXTENSION, kind, blocks @ ..] => {
                    if *kind == CONTROL {
                        controls.push(blocks);
                    }
                    behind(blocks)?
                }
                _ => return None,
            }
        }
    }

    fn frame(&self) -> Option<Frame> {
        let number = |[low, high]: [u8; 2]| u32::from(u16::from_le_bytes([low, high]));
        let [a, b, c, d, e, f, g, h] = *self.data.first_chunk()?;
        Some(Frame {
            left: number([a, b]),
            top: number([c, d]),
            width: number([e, f]),
            height: number([g, h]),
        })
    }

    /// Bits of a colour in the data of the frame.
    fn code_size(&self) -> Option<u8> {
        let flags = *self.data.get(FRAME_HEAD - 1)?;
        self.data.get(FRAME_HEAD + palette(flags)).copied()
    }

    /// Whether there is one extension at most that says what is transparent, of one block. Of several, some viewers heed the
    /// first and some the last.
    fn is_clear(&self) -> bool {
        match self.controls.as_slice() {
            [] => true,
            [only] => matches!(only, [CONTROL_LENGTH, _, _, _, _, 0, ..]),
            _ => false,
        }
    }
}

/// Bytes of the first frame, which the decoder draws onto a screen of this size. Refuses a file whose head says that viewers
/// draw it differently; one without a frame the decoder refuses.
pub(super) fn check_head(bytes: &[u8], width: u32, height: u32) -> Result<u64, Error> {
    let Some(head) = Head::read(bytes) else {
        return Ok(0);
    };
    if !head.is_clear() {
        return Err(refused("says more than once what is transparent"));
    }
    if head.code_size().is_some_and(|bits| bits > MAX_CODE_SIZE) {
        return Err(refused("has colours of more than 8 bits"));
    }
    match head.frame() {
        Some(frame) if !frame.fits(width, height) => {
            Err(refused("is smaller than its first picture"))
        }
        frame => Ok(frame.map_or(0, |frame| frame.bytes())),
    }
}

/// Refuses a picture with colours that its palette lacks.
pub(super) fn check_palette(bytes: &[u8], deadline: &Deadline) -> Result<(), Error> {
    if lacks_colours(bytes, deadline).map_err(|error| Error::undecodable("GIF", error))? {
        return Err(palette::lacking("GIF"));
    }
    Ok(())
}

fn refused(fault: &str) -> Error {
    Error::unreadable(format!(
        "viewers would show different pictures of the GIF, because it {fault}: save it again"
    ))
}

/// Whether a pixel of the first frame has a colour beyond the end of the palette. To some viewers it is black; the decoder
/// leaves it transparent.
fn lacks_colours(bytes: &[u8], deadline: &Deadline) -> Result<bool, DecodingError> {
    let mut decoder = DecodeOptions::new().read_info(deadline.reader(bytes))?;
    let Some(frame) = decoder.next_frame_info()? else {
        return Ok(false);
    };
    let transparent = frame.transparent;
    let colours = decoder.palette()?.len() / COLOUR;
    if colours > u8::MAX.into() {
        return Ok(false);
    }
    let mut pixels = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut pixels)?;
    Ok(pixels
        .into_iter()
        .any(|pixel| usize::from(pixel) >= colours && Some(pixel) != transparent))
}

/// How many bytes the palette of the screen has.
fn palette(flags: u8) -> usize {
    match flags >> 7 {
        0 => 0,
        _ => COLOUR << ((flags & 7) + 1),
    }
}

/// What follows the blocks of an extension, each of which begins with its length; the last has none.
fn behind(mut blocks: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, rest) = blocks.split_first()?;
        blocks = rest.get(usize::from(*length)..)?;
        if *length == 0 {
            return Some(blocks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(flags: u8, blocks: &[&[u8]]) -> Vec<u8> {
        let palette = vec![0x2c; palette(flags)];
        let head = [&b"GIF89a\x01\0\x01\0"[..], &[flags, 0, 0]].concat();
        [head, palette, blocks.concat()].concat()
    }

    #[test]
    fn the_first_frame_is_found_behind_palette_and_extensions() {
        let small = b",\x01\0\x02\0\x03\0\x04\x05\0";
        let large = b",\0\0\0\0\xff\xff\xff\xff\0";
        let comment = b"!\xfe\x02,,\x01,\0";
        let empty = b"!\xf9\0";
        for flags in [0, 0x80, 0x87, 7] {
            for before in [&[][..], &[&comment[..]], &[&empty[..], comment, comment]] {
                let bytes = file(flags, &[before, &[&small[..], large]].concat());
                let frame = Head::read(&bytes).unwrap().frame().unwrap();
                assert_eq!([frame.left, frame.top], [1, 2]);
                assert_eq!([frame.width, frame.height], [3, 0x0504]);
                assert!(frame.fits(4, 0x0506) && !frame.fits(3, 0x0506) && !frame.fits(4, 0x0505));
            }
            assert!(Head::read(&file(flags, &[comment, b";", small])).is_none());
        }
    }

    /// A file of two pixels with these extensions and so many colours of one byte each.
    fn two_pixels(extensions: &[&[u8]], code_size: u8, codes: &[u8], local: bool) -> Vec<u8> {
        // Two colours.
        let flags = 0x80;
        let frame = [
            &b",\0\0\0\0\x02\0\x01\0"[..],
            &[if local { flags } else { 0 }],
        ]
        .concat();
        let palette = vec![9; if local { palette(flags) } else { 0 }];
        let data = [&[code_size, codes.len() as u8][..], codes, b"\0;"].concat();
        let mut file = file(
            flags,
            &[extensions, &[&frame[..], &palette, &data]].concat(),
        );
        file[6] = 2;
        file
    }

    /// The data for two pixels, in codes of three bits: cleared, both pixels, the end.
    fn codes(pixels: [u16; 2]) -> [u8; 2] {
        (4 | pixels[0] << 3 | pixels[1] << 6 | 5 << 9).to_le_bytes()
    }

    fn check(file: &[u8]) -> Result<(), Error> {
        check_head(file, 2, 1)?;
        let far = Deadline::after(std::time::Duration::from_secs(3600));
        check_palette(file, &far)
    }

    fn is_read(file: &[u8]) -> bool {
        check(file).is_ok()
    }

    #[test]
    fn every_pixel_has_a_colour_of_the_palette() {
        for local in [false, true] {
            assert!(is_read(&two_pixels(&[], 2, &codes([1, 0]), local)));
            for pixels in [[2, 0], [0, 2], [1, 3]] {
                let error = check(&two_pixels(&[], 2, &codes(pixels), local)).unwrap_err();
                assert!(error.detail().contains("palette lacks"), "{error}");
            }
            // One that is not seen needs none.
            let transparent = b"!\xf9\x04\x01\0\0\x02\0";
            assert!(is_read(&two_pixels(
                &[transparent],
                2,
                &codes([2, 0]),
                local
            )));
            assert!(!is_read(&two_pixels(
                &[transparent],
                2,
                &codes([3, 0]),
                local
            )));
        }
    }

    #[test]
    fn what_is_transparent_is_said_once() {
        let read =
            |extensions: &[&[u8]]| is_read(&two_pixels(extensions, 2, &codes([1, 0]), false));
        let control = b"!\xf9\x04\x01\0\0\x01\0";
        let comment = b"!\xfe\x01a\0";
        assert!(read(&[control]) && read(&[comment, control, comment]));
        assert!(!read(&[control, control]) && !read(&[control, comment, control]));
        assert!(
            !read(&[b"!\xf9\x04\x01\0\0\x01\x04\0\0\0\0\0"]) && !read(&[b"!\xf9\x03\x01\0\0\0"])
        );
    }

    #[test]
    fn pixels_have_eight_bits_at_most() {
        // Cleared, two pixels of no colour and the end, in codes of ten bits.
        let codes = (512_u64 | 513 << 30).to_le_bytes();
        let error = check(&two_pixels(&[], 9, &codes[..5], false)).unwrap_err();
        assert!(error.detail().contains("more than 8 bits"), "{error}");
    }

    #[test]
    fn every_beginning_is_read_within_it() {
        let whole = file(0x80, &[b"!\xfe\x02,,\0", b",\0\0\0\0\x01\0\x01\0"]);
        for end in 0..whole.len() {
            let frame = Head::read(&whole[..end]).and_then(|head| head.frame());
            assert_eq!(frame, None, "{end}");
            let _ = check(&whole[..end]);
        }
    }
}
