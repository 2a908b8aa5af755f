//! What precedes the entropy-coded data of a JPEG.
//!
//! Only what cameras and image libraries write is read here: sequential Huffman coding, 8 bits, grey
//! or YCbCr in one scan. Anything else is `None`, and another decoder's business.

use image::metadata::Orientation;

use super::segments::exif_block;
use crate::decode::exif;

/// Samples of a block's side.
pub(super) const BLOCK: usize = 8;

/// Most bits of the difference between two neighbouring blocks' means.
pub(super) const MAX_SIZE: u8 = 11;

/// Most symbols of a Huffman table: one of each.
const MAX_SYMBOLS: usize = 256;

/// What precedes the text in a part of extended XMP: digest, length of all, place of the part.
const EXTENDED_XMP_HEAD: usize = 32 + 4 + 4;

/// A Huffman table as the file states it: codes per length from 1 to 16, and their symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HuffmanSegment<'a> {
    pub counts: &'a [u8; 16],
    pub symbols: &'a [u8],
}

/// A component of the picture: luma, or one of the two of colour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component<'a> {
    /// Blocks per MCU, across and down: 1 or 2.
    pub blocks: [usize; 2],
    /// In the order of the file (zigzag).
    pub quantization: [u16; 64],
    pub dc: HuffmanSegment<'a>,
    pub ac: HuffmanSegment<'a>,
}

/// What a decoder needs to know.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub width: usize,
    pub height: usize,
    pub orientation: Orientation,
    /// One or three.
    pub components: Vec<Component<'a>>,
    /// MCUs between restart markers; 0 where there are none.
    pub restart_interval: usize,
    /// The entropy-coded data and whatever follows it.
    pub data: &'a [u8],
}

/// The tables in force, and the frame header, as far as they were met.
#[derive(Default)]
struct Tables<'a> {
    quantization: [Option<[u16; 64]>; 4],
    dc: [Option<HuffmanSegment<'a>>; 4],
    ac: [Option<HuffmanSegment<'a>>; 4],
    restart_interval: usize,
    exif: Option<&'a [u8]>,
    frame: Option<Frame>,
}

struct Frame {
    width: usize,
    height: usize,
    /// Identifier, blocks per MCU, quantisation table.
    components: Vec<(u8, [usize; 2], usize)>,
}

impl<'a> Header<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
        let mut tables = Tables::default();
        loop {
            let (marker, segment) = segment(&mut rest)?;
            match marker {
                0xc0 | 0xc1 => tables.frame(segment)?,
                0xc4 => tables.huffman(segment)?,
                0xda => return tables.header(segment, rest),
                0xdb => tables.quantization(segment)?,
                0xdd => {
                    let &[high, low] = segment else { return None };
                    tables.restart_interval = usize::from(u16::from_be_bytes([high, low]));
                }
                // The `image` crate takes the first byte behind it for a part of it.
                0xe0 if segment.len() == 4 => return None,
                0xe1 => tables.application(segment)?,
                0xee => adobe(segment)?,
                // Descriptions for others: JFIF, colour profiles, previews, comments.
                0xe0 | 0xe2..=0xef | 0xfe => {}
                _ => return None,
            }
        }
    }
}

/// Takes a marker and its segment, without the length, off the front.
fn segment<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [0xff, marker, high, low, ..] = **rest else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let segment = rest.get(4..2 + length)?;
    *rest = &rest[2 + length..];
    Some((marker, segment))
}

/// A transformation other than the usual one to YCbCr is not for this decoder.
fn adobe(segment: &[u8]) -> Option<()> {
    (segment.len() == 12 && segment.starts_with(b"Adobe") && segment[11] == 1).then_some(())
}

impl<'a> Tables<'a> {
    /// The first of several EXIF blocks counts. The `image` crate refuses a part of extended XMP that has not all its
    /// numbers.
    fn application(&mut self, segment: &'a [u8]) -> Option<()> {
        self.exif = self.exif.or_else(|| exif_block(segment));
        let part = segment.strip_prefix(b"http://ns.adobe.com/xmp/extension/\0");
        part.is_none_or(|part| part.is_empty() || part.len() >= EXTENDED_XMP_HEAD)
            .then_some(())
    }

    fn frame(&mut self, segment: &[u8]) -> Option<()> {
        let (&[8, h1, h0, w1, w0, count], components) = segment.split_first_chunk()? else {
            return None;
        };
        if self.frame.is_some()
            || !matches!(count, 1 | 3)
            || components.len() != 3 * usize::from(count)
        {
            return None;
        }
        let component = |bytes: &[u8]| {
            let blocks = [bytes[1] >> 4, bytes[1] & 15].map(usize::from);
            (bytes[0], blocks, usize::from(bytes[2]))
        };
        self.frame = Some(Frame {
            width: u16::from_be_bytes([w1, w0]).into(),
            height: u16::from_be_bytes([h1, h0]).into(),
            components: components.chunks_exact(3).map(component).collect(),
        });
        Some(())
    }

    fn quantization(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = segment.split_first() {
            let slot = self.quantization.get_mut(usize::from(kind & 15))?;
            let width = match kind >> 4 {
                0 => 1,
                1 => 2,
                _ => return None,
            };
            let (values, rest) = rest.split_at_checked(64 * width)?;
            *slot = Some(std::array::from_fn(|at| match width {
                1 => values[at].into(),
                _ => u16::from_be_bytes([values[2 * at], values[2 * at + 1]]),
            }));
            segment = rest;
        }
        Some(())
    }

    fn huffman(&mut self, mut segment: &'a [u8]) -> Option<()> {
        while let Some((kind, rest)) = segment.split_first() {
            let class = match kind >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return None,
            };
            let slot = class.get_mut(usize::from(kind & 15))?;
            let (counts, rest) = rest.split_first_chunk()?;
            let total = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            if total > MAX_SYMBOLS
                || !is_prefix_code(counts)
                || kind >> 4 == 0 && symbols.iter().any(|size| *size > MAX_SIZE)
            {
                return None;
            }
            *slot = Some(HuffmanSegment { counts, symbols });
            segment = rest;
        }
        Some(())
    }

    /// At the start of the scan everything must be there.
    fn header(self, segment: &[u8], data: &'a [u8]) -> Option<Header<'a>> {
        let frame = self.frame?;
        let count = frame.components.len();
        if segment.len() != 4 + 2 * count
            || usize::from(segment[0]) != count
            || segment[1 + 2 * count..] != [0, 63, 0]
            || !is_usual(&frame)
        {
            return None;
        }
        let scanned = segment[1..].chunks_exact(2);
        let component = |((id, blocks, table), scanned): (&(u8, [usize; 2], usize), &[u8])| {
            let &[scanned_id, tables] = scanned else {
                return None;
            };
            let [dc, ac] = [tables >> 4, tables & 15].map(usize::from);
            (scanned_id == *id).then_some(Component {
                blocks: *blocks,
                quantization: (*self.quantization.get(*table)?)?,
                dc: (*self.dc.get(dc)?)?,
                ac: (*self.ac.get(ac)?)?,
            })
        };
        let components: Option<Vec<_>> = frame
            .components
            .iter()
            .zip(scanned)
            .map(component)
            .collect();
        Some(Header {
            width: frame.width,
            height: frame.height,
            orientation: self
                .exif
                .map_or(Orientation::NoTransforms, exif::orientation),
            components: components?,
            restart_interval: self.restart_interval,
            data,
        })
    }
}

/// Whether there are codes of these lengths; the one of all ones is never given away.
fn is_prefix_code(counts: &[u8; 16]) -> bool {
    let mut codes = 0;
    (1..=16).zip(counts).all(|(length, count)| {
        codes = 2 * codes + u32::from(*count);
        codes < 1 << length
    })
}

/// Grey, or YCbCr whose colours have at most twice as coarse a grid as the luma in either direction.
fn is_usual(frame: &Frame) -> bool {
    let sampling = match *frame.components.as_slice() {
        [(_, luma, _)] => luma == [1, 1],
        [(r, luma, _), (g, blue, _), (b, red, _)] => {
            luma.iter().all(|blocks| matches!(blocks, 1 | 2))
                && [blue, red] == [[1, 1]; 2]
                && [r, g, b] != *b"RGB"
                && r != g
                && g != b
                && r != b
        }
        _ => false,
    };
    sampling && frame.width > 0 && frame.height > 0
}
