//! What the head of a BMP says of its pixels.
//!
//! Where a file breaks the rules, viewers differ in what they show, and the rules for run lengths leave open what is seen
//! where nothing is stored. So only what everybody reads alike is handed to the decoder.

use super::palette;
use crate::error::Error;

/// What precedes the header: "BM", the length of the file, where the pixels begin.
const FILE_HEADER: usize = 14;
const OFFSET: usize = 10;
/// The oldest header, with sides of 16 bits and colours of three bytes.
const CORE: usize = 12;
/// The shortest header that states a mask for alpha.
const WITH_ALPHA_MASK: usize = 56;

/// How the pixels are stored.
const PLAIN: u32 = 0;
const RUN_LENGTHS: [u32; 2] = [1, 2];
const MASKS: u32 = 3;

/// Red, green and blue within a pixel, and alpha where there is any.
const USUAL_MASKS: [(u16, [u32; 3], u32); 3] = [
    (32, [0x00ff_0000, 0x0000_ff00, 0x0000_00ff], 0xff00_0000),
    (16, [0x7c00, 0x03e0, 0x001f], 0),
    (16, [0xf800, 0x07e0, 0x001f], 0),
];

/// Little-endian numbers of the file.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn short(&self, at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(*self.0.get(at..)?.first_chunk()?))
    }

    fn long(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.0.get(at..)?.first_chunk()?))
    }
}

struct Head {
    /// Where the pixels begin.
    pixels: usize,
    /// Where the header ends.
    end: usize,
    width: usize,
    height: usize,
    bits: u16,
    compression: u32,
    /// Red, green, blue and alpha.
    masks: Option<[u32; 4]>,
    /// How many colours there are, as far as the file says so.
    colours: usize,
}

impl Head {
    /// `None` where the file ends before, or has a header that the decoder does not read either.
    fn read(bytes: &[u8]) -> Option<Self> {
        let file = Numbers(bytes);
        let length = file.long(FILE_HEADER)? as usize;
        let pixels = file.long(OFFSET)? as usize;
        let end = FILE_HEADER.checked_add(length)?;
        if length == CORE {
            return Some(Head {
                pixels,
                end,
                width: file.short(18)?.into(),
                height: file.short(20)?.into(),
                bits: file.short(24)?,
                compression: PLAIN,
                masks: None,
                colours: 0,
            });
        }
        let mask = |index: usize| file.long(54 + 4 * index);
        let alpha = if length < WITH_ALPHA_MASK {
            Some(0)
        } else {
            mask(3)
        };
        let masks = || Some([mask(0)?, mask(1)?, mask(2)?, alpha?]);
        let side = |at| Some(file.long(at)?.cast_signed().unsigned_abs() as usize);
        Some(Head {
            pixels,
            end,
            width: side(18)?,
            height: side(22)?,
            bits: file.short(28)?,
            compression: file.long(30)?,
            masks: masks(),
            colours: file.long(46)? as usize,
        })
    }

    fn has_palette(&self) -> bool {
        self.bits <= 8
    }

    /// The rows as they are stored, as far as the file goes.
    fn rows<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let length = (self.width * usize::from(self.bits)).div_ceil(32) * 4;
        let data = bytes.get(self.pixels..).unwrap_or_default();
        data.chunks_exact(length.max(1)).take(self.height)
    }
}

/// Refuses a file that others may take for another picture.
pub(super) fn check(bytes: &[u8]) -> Result<(), Error> {
    let Some(head) = Head::read(bytes) else {
        return Ok(());
    };
    // Where they begin with a palette, or at 0, some read the number otherwise.
    if head.pixels < head.end || (head.has_palette() && head.pixels == head.end) {
        return Err(refused("its pixels begin within its head"));
    }
    if RUN_LENGTHS.contains(&head.compression) {
        return Err(refused(
            "it is compressed with run lengths, and pixels that it leaves out have no colour",
        ));
    }
    if head.compression == MASKS && !head.masks.is_some_and(|masks| is_usual(head.bits, masks)) {
        return Err(refused("it has unusual masks for its colours"));
    }
    if head.has_palette() && lacks_colours(&head, bytes) {
        return Err(palette::lacking("BMP"));
    }
    if head.compression == PLAIN
        && head.masks.is_some_and(|masks| masks[3] != 0)
        && is_translucent(&head, bytes)
    {
        return Err(refused("it does not say whether it is transparent"));
    }
    Ok(())
}

fn refused(fault: &str) -> Error {
    Error::unreadable(format!(
        "viewers would show different pictures of the BMP, because {fault}: save it again with 24 bits per pixel"
    ))
}

fn is_usual(bits: u16, [red, green, blue, alpha]: [u32; 4]) -> bool {
    USUAL_MASKS
        .iter()
        .any(|(usual_bits, colours, usual_alpha)| {
            *usual_bits == bits
                && *colours == [red, green, blue]
                && (alpha == 0 || alpha == *usual_alpha)
        })
}

/// Whether a pixel has a colour beyond the end of the palette.
fn lacks_colours(head: &Head, bytes: &[u8]) -> bool {
    let bits = usize::from(head.bits);
    // No colours stated are as many as there can be; other depths the decoder refuses.
    matches!(bits, 1 | 2 | 4 | 8)
        && head.colours != 0
        && !palette::is_full(head.colours, bits)
        && palette::is_exceeded(head.rows(bytes), head.width, bits, head.colours)
}

/// Whether the fourth bytes of the pixels are neither all without meaning nor all opaque.
fn is_translucent(head: &Head, bytes: &[u8]) -> bool {
    if head.bits != 32 {
        return false;
    }
    let mut alphas = head
        .rows(bytes)
        .flat_map(|row| row.as_chunks::<4>().0.iter().map(|pixel| pixel[3]));
    let first = alphas.next().unwrap_or(0);
    !matches!(first, 0 | u8::MAX) || alphas.any(|alpha| alpha != first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose header has this length, with masks or what else follows its first 40 bytes.
    fn file(
        length: u32,
        bits: u16,
        compression: u32,
        colours: u32,
        rest: &[u8],
        pixels: &[u8],
    ) -> Vec<u8> {
        let head = [
            &length.to_le_bytes()[..],
            &2_i32.to_le_bytes(),
            &(-1_i32).to_le_bytes(),
            &1_u16.to_le_bytes(),
            &bits.to_le_bytes(),
            &compression.to_le_bytes(),
            &[0; 12],
            &colours.to_le_bytes(),
            &[0; 4],
            rest,
        ]
        .concat();
        let offset = (FILE_HEADER + head.len()) as u32;
        [
            &b"BM\0\0\0\0\0\0\0\0"[..],
            &offset.to_le_bytes(),
            &head,
            pixels,
        ]
        .concat()
    }

    fn masks(masks: &[u32]) -> Vec<u8> {
        masks.iter().flat_map(|mask| mask.to_le_bytes()).collect()
    }

    fn is_read(file: &[u8]) -> bool {
        check(file).is_ok()
    }

    #[test]
    fn pixels_begin_behind_the_head() {
        let plain = file(40, 24, PLAIN, 0, &[], &[0; 8]);
        let palette = file(40, 8, PLAIN, 0, &[0; 1024], &[0; 4]);
        let at = |file: &[u8], offset: u32| {
            let mut file = file.to_vec();
            file[OFFSET..][..4].copy_from_slice(&offset.to_le_bytes());
            is_read(&file)
        };
        assert!(at(&plain, 54) && at(&plain, 58) && !at(&plain, 0) && !at(&plain, 53));
        assert!(
            at(&palette, 54 + 1024) && at(&palette, 55) && !at(&palette, 54) && !at(&palette, 0)
        );
    }

    #[test]
    fn run_lengths_are_refused() {
        assert!(!is_read(&file(40, 8, 1, 0, &[0; 1024], &[2, 0, 0, 1])));
        let error = check(&file(40, 4, 2, 0, &[0; 64], &[2, 0, 0, 1])).unwrap_err();
        assert_eq!(error.code(), crate::ErrorCode::UnreadableImage);
        assert!(error.detail().contains("run lengths"), "{error}");
    }

    #[test]
    fn masks_are_those_that_everybody_reads() {
        let read = |length, bits, list: &[u32]| {
            is_read(&file(length, bits, MASKS, 0, &masks(list), &[0; 8]))
        };
        let usual = [0xff_0000, 0xff00, 0xff];
        assert!(read(40, 32, &usual) && read(52, 32, &usual));
        assert!(read(56, 32, &[0xff_0000, 0xff00, 0xff, 0]));
        assert!(read(56, 32, &[0xff_0000, 0xff00, 0xff, 0xff00_0000]));
        assert!(read(40, 16, &[0xf800, 0x7e0, 0x1f]) && read(40, 16, &[0x7c00, 0x3e0, 0x1f]));
        assert!(!read(40, 32, &[0xff00_0000; 3]) && !read(40, 32, &[0xff, 0xff00, 0xff_0000]));
        assert!(!read(40, 16, &usual) && !read(56, 32, &[0xff_0000, 0xff00, 0xff, 0xff]));
        assert!(!read(40, 32, &[]));
    }

    #[test]
    fn every_pixel_has_a_colour_of_the_palette() {
        let read = |bits, colours, row: u8| {
            is_read(&file(40, bits, PLAIN, colours, &[0; 64], &[row, row, 0, 0]))
        };
        assert!(read(8, 0, 255) && read(8, 8, 7) && !read(8, 7, 7));
        assert!(read(4, 8, 0x77) && !read(4, 7, 0x67) && !read(4, 7, 0x76));
        // Of a row of two pixels, the rest of the byte is no pixel.
        assert!(read(1, 1, 0x3f) && !read(1, 1, 0x40) && !read(1, 1, 0x80));
    }

    #[test]
    fn a_fourth_byte_that_nobody_explains_has_no_meaning() {
        let read = |length, mask, alphas: [u8; 2]| {
            let pixels = [[1, 2, 3, alphas[0]], [1, 2, 3, alphas[1]]].concat();
            let rest = [masks(&[0xff_0000, 0xff00, 0xff, mask]), vec![0; 52]].concat();
            let rest = if length == 40 { &[][..] } else { &rest };
            is_read(&file(length, 32, PLAIN, 0, rest, &pixels))
        };
        const MASK: u32 = 0xff00_0000;
        assert!(read(40, 0, [1, 2]) && read(108, 0, [1, 2]));
        assert!(read(108, MASK, [0, 0]) && read(108, MASK, [255, 255]));
        assert!(!read(108, MASK, [0, 255]) && !read(108, MASK, [1, 1]));
    }

    #[test]
    fn every_beginning_is_read_within_it() {
        for whole in [
            file(40, 8, PLAIN, 7, &[0; 28], &[1; 4]),
            file(108, 32, PLAIN, 0, &masks(&[1, 2, 3, 4]), &[1; 8]),
            file(u32::MAX, 8, PLAIN, u32::MAX, &[], &[]),
        ] {
            for end in 0..whole.len() {
                let _ = check(&whole[..end]);
            }
        }
    }
}
