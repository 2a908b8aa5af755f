//! The size of a GIF's first frame, which need not be that of the screen it is drawn on.

/// What precedes the blocks: "GIF89a", the size of the screen, its flags, background and aspect.
const HEAD: usize = 13;
const FLAGS: usize = 10;

const EXTENSION: u8 = 0x21;
const FRAME: u8 = 0x2c;

/// The part of the screen that the first frame is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    left: u32,
    top: u32,
    pub width: u32,
    pub height: u32,
}

impl Frame {
    /// Whether a screen of this size shows all of it. Viewers make others larger, and the decoder leaves out the rest.
    pub fn fits(&self, width: u32, height: u32) -> bool {
        self.left + self.width <= width && self.top + self.height <= height
    }
}

/// The first frame. `None` where there is none, which the decoder says as well.
pub(super) fn first_frame(bytes: &[u8]) -> Option<Frame> {
    let mut rest = bytes.get(HEAD + palette(*bytes.get(FLAGS)?)..)?;
    loop {
        rest = match rest {
            // Its place, then its size.
            [FRAME, place @ ..] if place.len() >= 8 => {
                let number = |at| u32::from(u16::from_le_bytes([place[at], place[at + 1]]));
                return Some(Frame {
                    left: number(0),
                    top: number(2),
                    width: number(4),
                    height: number(6),
                });
            }
            [EXTENSION, _, blocks @ ..] => behind(blocks)?,
            _ => return None,
        }
    }
}

/// How many bytes the palette of the screen has.
fn palette(flags: u8) -> usize {
    match flags >> 7 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
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
                let frame = first_frame(&bytes).unwrap();
                assert_eq!([frame.left, frame.top], [1, 2]);
                assert_eq!([frame.width, frame.height], [3, 0x0504]);
                assert!(frame.fits(4, 0x0506) && !frame.fits(3, 0x0506) && !frame.fits(4, 0x0505));
            }
            assert_eq!(first_frame(&file(flags, &[comment, b";", small])), None);
        }
    }

    #[test]
    fn every_beginning_is_read_within_it() {
        let whole = file(0x80, &[b"!\xfe\x02,,\0", b",\0\0\0\0\x01\0\x01\0"]);
        for end in 0..whole.len() {
            assert_eq!(first_frame(&whole[..end]), None, "{end}");
        }
    }
}
