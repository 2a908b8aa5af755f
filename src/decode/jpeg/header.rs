//! What the decoder beside the `image` crate's needs to know of a JPEG.
//!
//! Only what cameras and image libraries write is read here: sequential Huffman coding, 8 bits, grey
//! or YCbCr in one scan. Anything else is `None`, and another decoder's business.

use image::metadata::Orientation;

use super::frame::{COEFFICIENTS, Factors, Frame, HuffmanSegment, Scan, Share, Tables};
use super::plain::{Plain, YCBCR};

/// A component of the picture: luma, or one of the two of colour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component<'a> {
    /// Blocks per MCU, across and down: 1 or 2.
    pub blocks: [usize; 2],
    pub quantization: Factors,
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
    /// The entropy-coded data.
    pub data: &'a [u8],
}

impl<'a> Header<'a> {
    pub fn of(plain: &'a Plain) -> Option<Self> {
        let frame = &plain.frame;
        // A transformation other than the usual one to YCbCr is not for this decoder.
        if frame.progressive || !matches!(plain.colours, None | Some(YCBCR)) || !is_usual(frame) {
            return None;
        }
        let mut scans = plain.scans();
        let (scan, data) = scans.next().ok()??;
        // At the start of the scan everything must be there.
        Header::new(plain, &scan, &scans.tables, data)
    }

    fn new(plain: &Plain, scan: &Scan, tables: &Tables<'a>, data: &'a [u8]) -> Option<Self> {
        if scan.band != [0, COEFFICIENTS - 1] || [scan.high, scan.low] != [0; 2] {
            return None;
        }
        let component = |share: &Share| {
            let part = plain.frame.parts[share.part];
            Some(Component {
                blocks: part.blocks,
                quantization: (*tables.quantization.get(part.table)?)?,
                dc: (*tables.dc.get(share.dc)?)?,
                ac: (*tables.ac.get(share.ac)?)?,
            })
        };
        Some(Header {
            width: plain.frame.width,
            height: plain.frame.height,
            orientation: plain.orientation,
            components: scan.shares.iter().map(component).collect::<Option<_>>()?,
            restart_interval: tables.restart_interval,
            data,
        })
    }
}

/// Grey, or YCbCr whose colours have at most twice as coarse a grid as the luma in either direction.
fn is_usual(frame: &Frame) -> bool {
    let blocks: Vec<[usize; 2]> = frame.parts.iter().map(|part| part.blocks).collect();
    match *blocks.as_slice() {
        [luma] => luma == [1, 1],
        [luma, blue, red] => {
            luma.iter().all(|blocks| matches!(blocks, 1 | 2)) && [blue, red] == [[1, 1]; 2]
        }
        _ => false,
    }
}
