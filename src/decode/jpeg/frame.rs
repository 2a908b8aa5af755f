//! The headers of frame and scan, and the tables in force.

use super::segments::{BASELINE, PROGRESSIVE, SEQUENTIAL, damaged};
use crate::error::Error;

/// Samples of a block's side.
pub(super) const BLOCK: usize = 8;
/// Coefficients of a block.
pub(super) const COEFFICIENTS: usize = 64;
/// Largest size of a DC difference that a table may name.
const MAX_DC_SYMBOL: u8 = 15;
/// Most symbols of a Huffman table: one of each.
const MAX_SYMBOLS: usize = 256;
/// Most bits that a coefficient may lack after a pass.
const MAX_LOW: u8 = 13;
/// As much as the squares of a block's coefficients add up to, or more, is no picture's: those of 8 bits give 1024^2 at
/// most (Parseval's theorem), and rounding to multiples of 255 may make all of them twice as large. Beyond that decoders
/// that calculate with 16 bits overflow, and show another picture than those that do not.
pub(super) const MAX_ENERGY: u32 = 1 << 22;

/// A component of the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub id: u8,
    /// Blocks per MCU, across and down.
    pub blocks: [usize; 2],
    /// Its quantisation table.
    pub table: usize,
}

#[derive(Debug)]
pub(super) struct Frame {
    pub progressive: bool,
    pub width: usize,
    pub height: usize,
    /// One, three or four.
    pub parts: Vec<Part>,
}

impl Frame {
    pub fn is_begun_by(marker: u8) -> bool {
        matches!(marker, BASELINE | SEQUENTIAL | PROGRESSIVE)
    }

    pub fn parse(marker: u8, data: &[u8]) -> Result<Self, Error> {
        let Some((&[bits, h1, h0, w1, w0, count], parts)) = data.split_first_chunk() else {
            return Err(damaged("the header of its frame is too short"));
        };
        if bits != 8 || !matches!(count, 1 | 3 | 4) {
            return Err(Error::unreadable(format!(
                "the JPEG has {count} components of {bits} bits: save it as RGB with 8 bits"
            )));
        }
        if parts.len() != 3 * usize::from(count) {
            return Err(damaged(
                "the header of its frame has another length than it says",
            ));
        }
        let part = |bytes: &[u8; 3]| Part {
            id: bytes[0],
            blocks: [bytes[1] >> 4, bytes[1] & 15].map(usize::from),
            table: bytes[2].into(),
        };
        let frame = Frame {
            progressive: marker == PROGRESSIVE,
            width: u16::from_be_bytes([w1, w0]).into(),
            height: u16::from_be_bytes([h1, h0]).into(),
            parts: parts.as_chunks().0.iter().map(part).collect(),
        };
        frame.check().map(|()| frame)
    }

    fn check(&self) -> Result<(), Error> {
        if self.width == 0 || self.height == 0 {
            // The height may follow behind the first scan (DNL), which most decoders do not read.
            return Err(damaged("it does not say how large it is"));
        }
        let ids = self.parts.iter().map(|part| part.id);
        let is_double = |at: usize, id| ids.clone().skip(at + 1).any(|other| other == id);
        if ids.clone().enumerate().any(|(at, id)| is_double(at, id)) {
            return Err(damaged("two of its components have one name"));
        }
        if self
            .parts
            .iter()
            .any(|part| part.blocks.iter().any(|blocks| !(1..=4).contains(blocks)))
        {
            return Err(damaged("its components have a fineness that there is not"));
        }
        // The decoder spreads out every component as if none were finer across than the first.
        if self
            .parts
            .iter()
            .any(|part| part.blocks[0] > self.parts[0].blocks[0])
        {
            return Err(Error::unreadable(
                "the JPEG stores its colours in a fineness that is not read: save it again",
            ));
        }
        Ok(())
    }

    /// Most blocks per MCU that a component has, across and down.
    fn most(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            self.parts
                .iter()
                .map(|part| part.blocks[axis])
                .max()
                .unwrap_or(1)
        })
    }

    /// Columns and rows of MCUs where all components are in one scan.
    pub fn mcus(&self) -> [usize; 2] {
        let most = self.most();
        [
            self.width.div_ceil(BLOCK * most[0]),
            self.height.div_ceil(BLOCK * most[1]),
        ]
    }

    /// Columns and rows of blocks that a component has in a scan of its own.
    pub fn blocks(&self, part: usize) -> [usize; 2] {
        let (most, own) = (self.most(), self.parts[part].blocks);
        [
            (self.width * own[0]).div_ceil(BLOCK * most[0]),
            (self.height * own[1]).div_ceil(BLOCK * most[1]),
        ]
    }
}

/// What a scan has of a component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Which component of the frame.
    pub part: usize,
    pub dc: usize,
    pub ac: usize,
}

/// What a scan has.
#[derive(Debug)]
pub(super) struct Scan {
    /// In the order of the frame.
    pub shares: Vec<Share>,
    /// First and last coefficient.
    pub band: [usize; 2],
    /// Bits that the coefficients lacked before it, and those that they lack behind it.
    pub high: u8,
    pub low: u8,
}

impl Scan {
    pub fn parse(data: &[u8], frame: &Frame) -> Result<Self, Error> {
        let count = data.first().map_or(0, |count| usize::from(*count));
        let Some((shares, &[first, last, bits])) = data.get(1..).and_then(<[u8]>::split_last_chunk)
        else {
            return Err(damaged("the header of a scan is too short"));
        };
        let shares: Option<Vec<_>> = shares
            .as_chunks()
            .0
            .iter()
            .map(|share| Share::of(*share, frame))
            .collect();
        let shares = shares.filter(|shares| {
            !shares.is_empty() && data.len() == 4 + 2 * count && shares.len() == count
        });
        let Some(shares) = shares else {
            return Err(damaged("the header of a scan does not fit its frame"));
        };
        if shares.windows(2).any(|pair| pair[0].part >= pair[1].part) {
            return Err(damaged("the components of a scan are out of order"));
        }
        Ok(Scan {
            shares,
            band: [first, last].map(usize::from),
            high: bits >> 4,
            low: bits & 15,
        })
    }
}

impl Share {
    fn of([id, tables]: [u8; 2], frame: &Frame) -> Option<Self> {
        let part = frame.parts.iter().position(|part| part.id == id)?;
        let [dc, ac] = [tables >> 4, tables & 15].map(usize::from);
        Some(Share { part, dc, ac })
    }
}

/// How far the scans of a picture have come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Per component and coefficient: the bits that it still lacks, where it has begun.
    lacks: Vec<[Option<u8>; COEFFICIENTS]>,
}

impl Progress {
    pub fn has_begun(&self) -> bool {
        !self.lacks.is_empty()
    }

    /// Refuses a scan that gives anew what was given before: one decoder keeps the first, another the last.
    pub fn add(&mut self, scan: &Scan, frame: &Frame) -> Result<(), Error> {
        if !frame.progressive {
            return self.add_only(scan, frame);
        }
        let [first, last] = scan.band;
        let is_dc = first == 0 && last == 0;
        let is_ac = first > 0 && first <= last && last < COEFFICIENTS && scan.shares.len() == 1;
        if !is_dc && !is_ac || scan.low > MAX_LOW {
            return Err(damaged(
                "a scan has coefficients that there cannot be in one",
            ));
        }
        self.lacks.resize(frame.parts.len(), [None; COEFFICIENTS]);
        for share in &scan.shares {
            for lack in &mut self.lacks[share.part][first..=last] {
                let due = match *lack {
                    None => scan.high == 0,
                    Some(low) => low > 0 && [scan.high, scan.low + 1] == [low; 2],
                };
                if !due {
                    return Err(damaged("a scan does not continue those before it"));
                }
                *lack = Some(scan.low);
            }
        }
        Ok(())
    }

    /// A sequential picture has one scan of everything. The decoder can miss that a second one follows.
    fn add_only(&mut self, scan: &Scan, frame: &Frame) -> Result<(), Error> {
        if self.has_begun() || scan.shares.len() < frame.parts.len() {
            return Err(Error::unreadable(
                "the JPEG stores its colours in scans that are not read: save it again",
            ));
        }
        self.lacks.resize(frame.parts.len(), [None; COEFFICIENTS]);
        Ok(())
    }
}

/// A Huffman table as the file states it: codes per length from 1 to 16, and their symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HuffmanSegment<'a> {
    pub counts: &'a [u8; 16],
    pub symbols: &'a [u8],
}

/// What the coefficients are multiplied with, in the order of the file (zigzag).
pub(super) type Factors = [u16; COEFFICIENTS];

/// The tables in force, as far as they were met.
#[derive(Default)]
pub(super) struct Tables<'a> {
    pub quantization: [Option<Factors>; 4],
    pub dc: [Option<HuffmanSegment<'a>>; 4],
    pub ac: [Option<HuffmanSegment<'a>>; 4],
    /// MCUs between restart markers; 0 where there are none.
    pub restart_interval: usize,
}

impl<'a> Tables<'a> {
    pub fn set_restart_interval(&mut self, segment: &[u8]) -> Option<()> {
        let interval = u16::from_be_bytes(segment.try_into().ok()?);
        self.restart_interval = interval.into();
        Some(())
    }

    pub fn add_quantization(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = segment.split_first() {
            let slot = self.quantization.get_mut(usize::from(kind & 15))?;
            let width = match kind >> 4 {
                0 => 1,
                1 => 2,
                _ => return None,
            };
            let (values, rest) = rest.split_at_checked(COEFFICIENTS * width)?;
            *slot = Some(std::array::from_fn(|at| match width {
                1 => values[at].into(),
                _ => u16::from_be_bytes([values[2 * at], values[2 * at + 1]]),
            }));
            segment = rest;
        }
        Some(())
    }

    pub fn add_huffman(&mut self, mut segment: &'a [u8]) -> Option<()> {
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
                || kind >> 4 == 0 && symbols.iter().any(|size| *size > MAX_DC_SYMBOL)
            {
                return None;
            }
            *slot = Some(HuffmanSegment { counts, symbols });
            segment = rest;
        }
        Some(())
    }
}

pub(super) fn no_tables() -> Error {
    damaged("its tables are missing or make no sense")
}

/// Whether there are codes of these lengths; the one of all ones is never given away.
fn is_prefix_code(counts: &[u8; 16]) -> bool {
    let mut codes = 0;
    (1..=16).zip(counts).all(|(length, count)| {
        codes = 2 * codes + u32::from(*count);
        codes < 1 << length
    })
}
