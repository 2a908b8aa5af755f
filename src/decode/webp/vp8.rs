//! Whether the coefficients of a WebP with loss fit into 16 bits.
//!
//! The decoder computes with 32 bits and libwebp, which all others are made with, with 16: where a number exceeds those, it
//! is black to one and white to the other, and blocks of such numbers are a picture that only one of the two shows. So the
//! coefficients are read here first, by RFC 6386. No encoder comes near the limits.

mod tables;

use tables::{AC_QUANT, DC_QUANT, MODES, TOKEN_UPDATES, TOKENS, Tokens};

use crate::deadline::Deadline;
use crate::error::Error;

/// Most that the coefficients of a block may sum up to: a transform takes each at most 1.71 times. Where the largest
/// differences between pixels are all that a block has, they sum up to less than 10,000.
const MAX_SUM: i32 = 1 << 14;
/// The same where the mean of a block comes from those of all, of which it is an eighth.
const MAX_SUM_BUT_MEAN: i32 = MAX_SUM - MAX_SUM_OF_MEANS / 8;
/// Of the means of all blocks, which are added up and subtracted only.
const MAX_SUM_OF_MEANS: i32 = (1 << 15) - 8;

/// Tag, signature, width and height.
const HEAD: usize = 10;
const SEGMENTS: usize = 4;
/// Of a side of a macroblock, in blocks: one for all its means, then those of luma and of both kinds of chroma.
const EDGES: usize = 1 + 4 + 2 + 2;

/// Kinds of blocks: luma without its mean, the means of all of luma, chroma, and luma with its mean.
const WITHOUT_MEAN: usize = 0;
const MEANS: usize = 1;
const CHROMA: usize = 2;
const WITH_MEAN: usize = 3;

/// Modes of blocks: those that macroblocks have as well.
const MEAN: usize = 0;
const GRADIENT: usize = 1;
const VERTICAL: usize = 2;
const HORIZONTAL: usize = 3;

/// The tree of modes: the next node, or a mode less than or equal to zero.
const MODE_TREE: [[i8; 2]; 9] = [
    [0, 1],
    [-1, 2],
    [-2, 3],
    [4, 6],
    [-3, 5],
    [-5, -6],
    [-4, 7],
    [-7, 8],
    [-8, -9],
];

/// The part that each coefficient is of.
const BANDS: [usize; 16] = [0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7];

/// Probabilities of the further bits of large coefficients.
const EXTRA: [&[u8]; 4] = [
    &[173, 148, 140],
    &[176, 155, 140, 135],
    &[180, 157, 141, 134, 130],
    &[254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129],
];

/// Refuses a picture of this size with coefficients that libwebp and the decoder do not compute alike. What is damaged
/// otherwise the decoder refuses.
pub(super) fn check_coefficients(
    data: &[u8],
    (width, height): (u32, u32),
    deadline: &Deadline,
) -> Result<(), Error> {
    let Some((tag, rest)) = data
        .split_first_chunk::<3>()
        .zip(data.get(HEAD..))
        .map(|((tag, _), rest)| (*tag, rest))
    else {
        return Ok(());
    };
    let [low, middle, high] = tag;
    let first = (u32::from_le_bytes([low, middle, high, 0]) >> 5) as usize;
    let (first, rest) = rest.split_at(first.min(rest.len()));
    let mut frame = Frame::read(first, rest);
    let (across, down) = (width.div_ceil(16) as usize, height.div_ceil(16) as usize);
    let mut above = vec![Edge::default(); across];
    for row in 0..down {
        deadline.check()?;
        let mut left = Edge::default();
        for above in &mut above {
            if !frame.macroblock(row, above, &mut left) {
                return Err(Error::unreadable(
                    "the WebP has coefficients of more than 16 bits, of which decoders make different pictures: save it again",
                ));
            }
        }
    }
    Ok(())
}

/// What a macroblock says to the next ones on one of its sides.
#[derive(Clone, Copy, Default)]
struct Edge {
    modes: [usize; 4],
    /// Whether its blocks have coefficients.
    filled: [bool; EDGES],
}

/// What the coefficients of the kinds of blocks are multiplied with: the mean and the others.
type Quants = [[i32; 2]; 4];

struct Frame<'a> {
    head: Bools<'a>,
    parts: Vec<Bools<'a>>,
    /// Probabilities of the tree of segments, where each macroblock says which one it is of.
    segments: Option<[u8; SEGMENTS - 1]>,
    quants: [Quants; SEGMENTS],
    tokens: Tokens,
    /// How likely a macroblock has coefficients, where some have none.
    filled: Option<u8>,
}

impl<'a> Frame<'a> {
    fn read(first: &'a [u8], rest: &'a [u8]) -> Self {
        let mut head = Bools::new(first);
        // Colours and clamping.
        head.literal(2);
        let (segments, levels) = read_segments(&mut head);
        skip_filter(&mut head);
        let parts = split(rest, 1 << head.literal(2));
        let quants = read_quants(&mut head, levels);
        // What later frames are decoded with.
        head.flag();
        let mut tokens = TOKENS;
        let updates = TOKEN_UPDATES.as_flattened().as_flattened().as_flattened();
        let all = tokens.as_flattened_mut().as_flattened_mut();
        for (token, update) in all.as_flattened_mut().iter_mut().zip(updates) {
            if head.bool(*update) {
                *token = head.literal(8) as u8;
            }
        }
        let filled = head.flag().then(|| head.literal(8) as u8);
        Frame {
            head,
            parts,
            segments,
            quants,
            tokens,
            filled,
        }
    }

    /// Reads a macroblock. Gives whether its coefficients fit.
    fn macroblock(&mut self, row: usize, above: &mut Edge, left: &mut Edge) -> bool {
        let head = &mut self.head;
        let segment = self.segments.map_or(0, |[root, low, high]| {
            if head.bool(root) {
                2 + usize::from(head.bool(high))
            } else {
                usize::from(head.bool(low))
            }
        });
        let is_empty = self.filled.is_some_and(|filled| head.bool(filled));
        let has_means = read_modes(head, above, left);
        if is_empty {
            for edge in [above, left] {
                let means = edge.filled[0] && !has_means;
                edge.filled = [false; EDGES];
                edge.filled[0] = means;
            }
            return true;
        }
        let parts = self.parts.len();
        let mut blocks = Blocks {
            bools: &mut self.parts[row % parts],
            tokens: &self.tokens,
            quants: &self.quants[segment],
        };
        blocks.all_fit(has_means, above, left)
    }
}

/// Reads the modes of a macroblock. Gives whether the means of its blocks have a block of their own.
fn read_modes(head: &mut Bools<'_>, above: &mut Edge, left: &mut Edge) -> bool {
    let whole = head.bool(145).then(|| match head.bool(156) {
        false if head.bool(163) => VERTICAL,
        false => MEAN,
        true if head.bool(128) => GRADIENT,
        true => HORIZONTAL,
    });
    match whole {
        Some(mode) => {
            above.modes = [mode; 4];
            left.modes = [mode; 4];
        }
        None => {
            for left in &mut left.modes {
                for above in &mut above.modes {
                    let mode = read_mode(head, &MODES[*above][*left]);
                    *above = mode;
                    *left = mode;
                }
            }
        }
    }
    // Those of chroma.
    let _ = head.bool(142) && head.bool(114) && head.bool(183);
    whole.is_some()
}

fn read_mode(head: &mut Bools<'_>, probabilities: &[u8; 9]) -> usize {
    let mut node = 0;
    loop {
        let next = MODE_TREE[node][usize::from(head.bool(probabilities[node]))];
        if next <= 0 {
            return next.unsigned_abs().into();
        }
        node = next.unsigned_abs().into();
    }
}

/// What segments say of the quantisation: whether that is all of it, and a number for each.
type Levels = Option<(bool, [i32; SEGMENTS])>;

fn read_segments(head: &mut Bools<'_>) -> (Option<[u8; SEGMENTS - 1]>, Levels) {
    if !head.flag() {
        return (None, None);
    }
    let map = head.flag();
    let mut levels = (true, [0; SEGMENTS]);
    if head.flag() {
        levels.0 = head.flag();
        levels.1 = [(); SEGMENTS].map(|()| head.signed(7));
        // How much they are filtered.
        let _ = [(); SEGMENTS].map(|()| head.signed(6));
    }
    let map = map.then(|| {
        [(); SEGMENTS - 1].map(|()| {
            if head.flag() {
                head.literal(8) as u8
            } else {
                u8::MAX
            }
        })
    });
    (map, Some(levels))
}

fn skip_filter(head: &mut Bools<'_>) {
    // Kind, level and sharpness.
    head.literal(1 + 6 + 3);
    // Whether the level is adjusted, and whether it is said anew how.
    if head.flag() && head.flag() {
        for _ in 0..8 {
            head.signed(6);
        }
    }
}

fn read_quants(head: &mut Bools<'_>, levels: Levels) -> [Quants; SEGMENTS] {
    let base = head.literal(7) as i32;
    let [luma, means, means_rest, chroma, chroma_rest] = [(); 5].map(|()| head.signed(4));
    std::array::from_fn(|segment| {
        let base = match levels {
            Some((true, levels)) => levels[segment],
            Some((false, levels)) => base + levels[segment],
            None => base,
        };
        let dc = |delta: i32| DC_QUANT[(base + delta).clamp(0, 127) as usize];
        let ac = |delta: i32| AC_QUANT[(base + delta).clamp(0, 127) as usize];
        let luma = [dc(luma), ac(0)];
        let means = [2 * dc(means), (ac(means_rest) * 155 / 100).max(8)];
        let chroma = [dc(chroma).min(132), ac(chroma_rest)];
        let mut quants = [luma; 4];
        quants[MEANS] = means;
        quants[CHROMA] = chroma;
        quants
    })
}

/// The parts that rows of macroblocks are in by turns; the lengths of all but the last precede them.
fn split(data: &[u8], count: usize) -> Vec<Bools<'_>> {
    let (lengths, mut rest) = data.split_at((3 * (count - 1)).min(data.len()));
    let mut parts = Vec::with_capacity(count);
    for [low, middle, high] in lengths.as_chunks().0 {
        let length = u32::from_le_bytes([*low, *middle, *high, 0]) as usize;
        let (part, others) = rest.split_at(length.min(rest.len()));
        parts.push(Bools::new(part));
        rest = others;
    }
    parts.push(Bools::new(rest));
    parts
}

/// The blocks of a macroblock.
struct Blocks<'a, 'b> {
    bools: &'a mut Bools<'b>,
    tokens: &'a Tokens,
    quants: &'a Quants,
}

impl Blocks<'_, '_> {
    fn all_fit(&mut self, has_means: bool, above: &mut Edge, left: &mut Edge) -> bool {
        let (above, left) = (&mut above.filled, &mut left.filled);
        let mut fit = true;
        let (kind, most) = if has_means {
            fit &= self.fits(MEANS, MAX_SUM_OF_MEANS, &mut above[0], &mut left[0]);
            (WITHOUT_MEAN, MAX_SUM_BUT_MEAN)
        } else {
            (WITH_MEAN, MAX_SUM)
        };
        for (kind, most, edge) in [
            (kind, most, 1..5),
            (CHROMA, MAX_SUM, 5..7),
            (CHROMA, MAX_SUM, 7..9),
        ] {
            for left in &mut left[edge.clone()] {
                for above in &mut above[edge.clone()] {
                    fit &= self.fits(kind, most, above, left);
                }
            }
        }
        fit
    }

    /// Whether the coefficients of a block sum up to no more than that.
    fn fits(&mut self, kind: usize, most: i32, above: &mut bool, left: &mut bool) -> bool {
        let first = usize::from(kind == WITHOUT_MEAN);
        let context = usize::from(*above) + usize::from(*left);
        let (end, sum) = self.sum(kind, first, context);
        *above = end > first;
        *left = end > first;
        sum <= most
    }

    /// Where the coefficients of a block end, and what they sum up to without their signs.
    fn sum(&mut self, kind: usize, first: usize, mut context: usize) -> (usize, i32) {
        let mut sum = 0;
        let mut at = first;
        while at < BANDS.len() {
            let mut tokens = &self.tokens[kind][BANDS[at]][context];
            if !self.bools.bool(tokens[0]) {
                break;
            }
            while !self.bools.bool(tokens[1]) {
                at += 1;
                let Some(band) = BANDS.get(at) else {
                    return (at, sum);
                };
                tokens = &self.tokens[kind][*band][0];
            }
            let size = self.size(tokens);
            // Its sign.
            self.bools.flag();
            sum += size * self.quants[kind][usize::from(at > 0)];
            context = if size == 1 { 1 } else { 2 };
            at += 1;
        }
        (at, sum)
    }

    /// A coefficient that is not zero, before it is multiplied.
    fn size(&mut self, tokens: &[u8; 11]) -> i32 {
        let bools = &mut *self.bools;
        if !bools.bool(tokens[2]) {
            return 1;
        }
        if !bools.bool(tokens[3]) {
            return if bools.bool(tokens[4]) {
                3 + i32::from(bools.bool(tokens[5]))
            } else {
                2
            };
        }
        if !bools.bool(tokens[6]) {
            return if bools.bool(tokens[7]) {
                7 + 2 * i32::from(bools.bool(165)) + i32::from(bools.bool(145))
            } else {
                5 + i32::from(bools.bool(159))
            };
        }
        let high = usize::from(bools.bool(tokens[8]));
        let kind = 2 * high + usize::from(bools.bool(tokens[9 + high]));
        let add = |size, probability: &u8| 2 * size + i32::from(bools.bool(*probability));
        3 + (8 << kind) + EXTRA[kind].iter().fold(0, add)
    }
}

/// Bits of known probabilities (section 7). Behind the end there are zeros.
struct Bools<'a> {
    rest: &'a [u8],
    value: u64,
    /// Bits of the value beyond the eight that are compared.
    spare: i32,
    range: u32,
}

impl<'a> Bools<'a> {
    fn new(data: &'a [u8]) -> Self {
        Bools {
            rest: data,
            value: 0,
            spare: -8,
            range: 255,
        }
    }

    /// A bit that is zero with this probability, in parts of 256.
    fn bool(&mut self, probability: u8) -> bool {
        while self.spare < 0 {
            let (byte, rest) = self.rest.split_first().unwrap_or((&0, &[]));
            self.rest = rest;
            self.value = self.value << 8 | u64::from(*byte);
            self.spare += 8;
        }
        let split = 1 + (((self.range - 1) * u32::from(probability)) >> 8);
        let bound = u64::from(split) << self.spare;
        let bit = self.value >= bound;
        if bit {
            self.value -= bound;
            self.range -= split;
        } else {
            self.range = split;
        }
        let shift = self.range.leading_zeros() - 24;
        self.range <<= shift;
        self.spare -= shift as i32;
        bit
    }

    fn flag(&mut self) -> bool {
        self.bool(128)
    }

    fn literal(&mut self, bits: u32) -> u32 {
        (0..bits).fold(0, |value, _| value << 1 | u32::from(self.flag()))
    }

    /// A number with a sign, which may be left out.
    fn signed(&mut self, bits: u32) -> i32 {
        if !self.flag() {
            return 0;
        }
        let value = self.literal(bits) as i32;
        if self.flag() { -value } else { value }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Writes bits of known probabilities (section 7.3).
    struct Writer {
        bytes: Vec<u8>,
        bottom: u32,
        range: u32,
        left: u32,
    }

    impl Writer {
        fn new() -> Self {
            Writer {
                bytes: Vec::new(),
                bottom: 0,
                range: 255,
                left: 24,
            }
        }

        fn bool(&mut self, bit: bool, probability: u8) {
            let split = 1 + (((self.range - 1) * u32::from(probability)) >> 8);
            if bit {
                self.bottom += split;
                self.range -= split;
            } else {
                self.range = split;
            }
            while self.range < 128 {
                self.range <<= 1;
                if self.bottom >> 31 == 1 {
                    self.carry();
                }
                self.bottom <<= 1;
                self.left -= 1;
                if self.left == 0 {
                    self.bytes.push((self.bottom >> 24) as u8);
                    self.bottom &= 0xff_ffff;
                    self.left = 8;
                }
            }
        }

        fn carry(&mut self) {
            for byte in self.bytes.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }

        fn literal(&mut self, value: u32, bits: u32) {
            for bit in (0..bits).rev() {
                self.bool(value >> bit & 1 == 1, 128);
            }
        }

        fn end(mut self) -> Vec<u8> {
            self.literal(0, 32);
            self.bytes
        }
    }

    /// A picture of one macroblock with this quantisation. Its first block, of means or else of luma, has this coefficient
    /// so many times, with all further bits that a coefficient of this kind can have; the others have none.
    fn picture(quant: u32, has_means: bool, kind: usize, times: usize) -> Vec<u8> {
        let mut head = Writer::new();
        // Colours, segments, the filter and its adjustments, one part; the quantisation and the same for all; the rest.
        head.literal(0, 2 + 1 + 10 + 1 + 2);
        head.literal(quant, 7);
        head.literal(0, 5 + 1);
        for update in TOKEN_UPDATES.as_flattened().as_flattened().as_flattened() {
            head.bool(false, *update);
        }
        head.bool(false, 128);
        head.bool(has_means, 145);
        if has_means {
            head.bool(false, 156);
            head.bool(false, 163);
        } else {
            for _ in 0..16 {
                head.bool(false, MODES[MEAN][MEAN][0]);
            }
        }
        head.bool(false, 142);
        let head = head.end();
        let mut part = Writer::new();
        let block = if has_means { MEANS } else { WITH_MEAN };
        let mut tokens = &TOKENS[block][0][0];
        for at in 0..times {
            for node in [0, 1, 2, 3, 6] {
                part.bool(true, tokens[node]);
            }
            part.bool(kind / 2 == 1, tokens[8]);
            part.bool(kind % 2 == 1, tokens[9 + kind / 2]);
            for probability in EXTRA[kind] {
                part.bool(true, *probability);
            }
            part.bool(at % 2 == 1, 128);
            if let Some(band) = BANDS.get(at + 1) {
                tokens = &TOKENS[block][*band][2];
            }
        }
        if times < 16 {
            part.bool(false, tokens[0]);
        }
        let part = part.end();
        let tag = ((head.len() as u32) << 5 | 1 << 4).to_le_bytes();
        let size = [16, 0, 16, 0];
        [&tag[..3], &[0x9d, 1, 0x2a], &size, &head, &part].concat()
    }

    fn check(data: &[u8]) -> Result<(), Error> {
        let far = Deadline::after(Duration::from_secs(3600));
        check_coefficients(data, (16, 16), &far)
    }

    #[test]
    fn large_coefficients_are_refused() {
        // Of the largest kind, a coefficient has 2114 steps, of 8 or 4 with the finest quantisation and of 314 and 157
        // with the coarsest.
        for (quant, has_means, kind, times, fits) in [
            (0, true, 3, 1, true),
            (0, true, 3, 2, false),
            (0, false, 3, 1, true),
            (0, false, 3, 2, false),
            (127, true, 3, 1, false),
            (127, false, 3, 1, false),
            // Of 66 steps, and of 18.
            (127, true, 2, 1, true),
            (127, true, 2, 2, false),
            (127, false, 2, 1, true),
            (127, false, 0, 3, true),
            (127, false, 0, 16, false),
        ] {
            let name = format!("{quant} {has_means} {kind} {times}");
            let checked = check(&picture(quant, has_means, kind, times));
            assert_eq!(checked.is_ok(), fits, "{name}");
            if let Err(error) = checked {
                assert!(error.detail().contains("16 bits"), "{error}");
            }
        }
    }

    #[test]
    fn every_beginning_is_read_within_it() {
        let whole = picture(0, false, 3, 1);
        for end in 0..whole.len() {
            let _ = check(&whole[..end]);
        }
        for value in [0, 0x55, 0xaa, 0xff] {
            let _ = check(&vec![value; 4096]);
        }
    }

    #[test]
    fn time_is_looked_at() {
        let late = Deadline::after(Duration::ZERO);
        let error = check_coefficients(&picture(0, true, 0, 1), (16, 16), &late).unwrap_err();
        assert_eq!(error.code(), crate::ErrorCode::Internal, "{error}");
    }
}
