//! Huffman decoding of the coefficients of a block.
//!
//! Where a part of a photograph is decoded, most of its data are of blocks beside that part. Their coefficients are
//! passed over several at a time: twelve bits tell how many codes, with the numbers that follow them, they hold.

use super::bits::{Bits, signed};
use super::frame::{COEFFICIENTS, HuffmanSegment};

/// Most bits of the difference between two neighbouring blocks' means.
const MAX_SIZE: u8 = 11;

/// Bits by which a code is looked up; longer ones are rare.
const CODE_BITS: u32 = 9;
/// Bits by which a code and its number are looked up at once.
const VALUE_BITS: u32 = 10;
/// Bits by which several codes and their numbers are passed over.
const SKIP_BITS: u32 = 12;
/// Most bits of an AC coefficient, in files of 8 bits per sample.
const MAX_AC_SIZE: u8 = 10;

/// What a symbol says of AC coefficients: this many zeros, then one of this many bits.
const END_OF_BLOCK: u8 = 0x00;
const SIXTEEN_ZEROS: u8 = 0xf0;

/// A prefix code.
pub(super) struct Code {
    /// Per next bits: length of the code shifted by 8, and its symbol; 0 where the code is longer.
    short: Box<[u16; 1 << CODE_BITS]>,
    /// Per length: the first code after those up to that length, as 16 bits; and what to add to a code
    /// to get its symbol's place.
    ends: [u32; 17],
    places: [i32; 17],
    symbols: Box<[u8]>,
}

impl Code {
    pub fn new(segment: HuffmanSegment<'_>) -> Self {
        let mut code = Code {
            short: Box::new([0; 1 << CODE_BITS]),
            ends: [0; 17],
            places: [0; 17],
            symbols: segment.symbols.into(),
        };
        let (mut next, mut place) = (0_u32, 0);
        for (length, count) in (1..=16).zip(segment.counts) {
            code.places[length as usize] = place as i32 - next as i32;
            for symbol in &segment.symbols[place..place + usize::from(*count)] {
                if length <= CODE_BITS {
                    let spare = CODE_BITS - length;
                    let first = (next << spare) as usize;
                    code.short[first..first + (1 << spare)]
                        .fill((length << 8) as u16 | u16::from(*symbol));
                }
                next += 1;
            }
            place += usize::from(*count);
            code.ends[length as usize] = next << (16 - length);
            next <<= 1;
        }
        code
    }

    /// The symbol at the start of 16 bits, and the length of its code.
    fn look_up(&self, next: usize) -> Option<(u8, u32)> {
        let short = self.short[next >> (16 - CODE_BITS)];
        if short != 0 {
            return Some((short as u8, u32::from(short >> 8)));
        }
        let length =
            (CODE_BITS + 1..=16).find(|length| (next as u32) < self.ends[*length as usize])?;
        let place = self.places[length as usize] + (next >> (16 - length)) as i32;
        Some((*self.symbols.get(place as usize)?, length))
    }

    /// Takes a symbol.
    #[inline(always)]
    pub fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let Some((symbol, length)) = self.look_up(bits.peek(16)) else {
            bits.make_no_sense();
            return None;
        };
        bits.consume(length);
        Some(symbol)
    }
}

/// The code for the mean of a block, given as the difference from that of the block before.
pub(super) struct DcCode(Code);

impl DcCode {
    pub fn new(segment: HuffmanSegment<'_>) -> Self {
        DcCode(Code::new(segment))
    }

    /// Takes a difference.
    #[inline(always)]
    pub fn difference(&self, bits: &mut Bits<'_>) -> Option<i32> {
        bits.refill();
        match self.0.symbol(bits)? {
            0 => Some(0),
            size @ 1..=MAX_SIZE => Some(bits.number(size.into())),
            _ => None,
        }
    }
}

/// The code for the other coefficients.
pub(super) struct AcCode {
    code: Code,
    /// Per next bits: the coefficient, the zeros before it and the bits it takes; 0 where there is none
    /// that short.
    values: Box<[Value; 1 << VALUE_BITS]>,
    skips: Box<[Skip; 1 << SKIP_BITS]>,
}

#[derive(Clone, Copy, Default)]
struct Value {
    coefficient: i16,
    zeros: u8,
    bits: u8,
}

/// What a stretch of bits holds: whole codes with their numbers.
#[derive(Clone, Copy, Default)]
struct Skip {
    /// How many bits they take; 0 where not even the first one is whole.
    bits: u8,
    /// How many coefficients they stand for; with [`Skip::END`] if the last of them ends the block.
    coefficients: u8,
    /// The squares of the numbers, added up.
    squares: u16,
}

impl Skip {
    const END: u8 = 0x80;
}

impl AcCode {
    pub fn new(segment: HuffmanSegment<'_>) -> Self {
        let code = Code::new(segment);
        AcCode {
            values: Box::new(std::array::from_fn(|next| {
                value(&code, next).unwrap_or_default()
            })),
            skips: Box::new(std::array::from_fn(|next| skip(&code, next))),
            code,
        }
    }

    /// Takes a block's coefficients, and hands on those that are not zero.
    #[inline(always)]
    pub fn coefficients(
        &self,
        bits: &mut Bits<'_>,
        mut hand_on: impl FnMut(usize, i32) -> Option<()>,
    ) -> Option<()> {
        let mut at = 1;
        while at < COEFFICIENTS {
            bits.refill();
            let Value {
                coefficient,
                zeros,
                bits: length,
            } = self.values[bits.peek(VALUE_BITS)];
            let value = if length != 0 {
                bits.consume(length.into());
                at += usize::from(zeros);
                coefficient.into()
            } else {
                match self.code.symbol(bits)? {
                    END_OF_BLOCK => return Some(()),
                    SIXTEEN_ZEROS => {
                        at += 16;
                        continue;
                    }
                    symbol => {
                        at += usize::from(symbol >> 4);
                        bits.number(ac_size(symbol)?.into())
                    }
                }
            };
            if at >= COEFFICIENTS {
                return None;
            }
            hand_on(at, value)?;
            at += 1;
        }
        (at == COEFFICIENTS).then_some(())
    }

    /// Passes over a block's coefficients, and adds up the squares of the numbers that they are.
    #[inline(always)]
    pub fn skip(&self, bits: &mut Bits<'_>) -> Option<u64> {
        let mut at = 1;
        let mut sum = 0;
        while at < COEFFICIENTS {
            bits.refill();
            let Skip {
                bits: length,
                coefficients,
                squares,
            } = self.skips[bits.peek(SKIP_BITS)];
            let next = at + usize::from(coefficients & !Skip::END);
            let ends = coefficients & Skip::END != 0;
            // Codes beyond the end of the block are not this block's.
            if length != 0 && next + usize::from(ends) <= COEFFICIENTS {
                bits.consume(length.into());
                sum += u64::from(squares);
                if ends {
                    return Some(sum);
                }
                at = next;
            } else {
                let (next, square) = self.skip_one(bits, at)?;
                at = next;
                sum += square;
            }
        }
        (at == COEFFICIENTS).then_some(sum)
    }

    /// Passes over one code. Gives the coefficient after it, and the square of its number.
    #[inline(never)]
    fn skip_one(&self, bits: &mut Bits<'_>, at: usize) -> Option<(usize, u64)> {
        match self.code.symbol(bits)? {
            END_OF_BLOCK => Some((COEFFICIENTS, 0)),
            SIXTEEN_ZEROS => Some((at + 16, 0)),
            symbol => {
                let value = bits.number(ac_size(symbol)?.into());
                Some((at + usize::from(symbol >> 4) + 1, square(value)))
            }
        }
    }
}

fn square(value: i32) -> u64 {
    u64::from(value.unsigned_abs()).pow(2)
}

fn ac_size(symbol: u8) -> Option<u8> {
    let size = symbol & 15;
    (1..=MAX_AC_SIZE).contains(&size).then_some(size)
}

/// The code and number that these bits hold, where they hold both.
fn value(code: &Code, next: usize) -> Option<Value> {
    let (symbol, length) = code.look_up(next << (16 - VALUE_BITS))?;
    let size = ac_size(symbol)?;
    let spare = VALUE_BITS.checked_sub(length + u32::from(size))?;
    Some(Value {
        coefficient: number(next, spare, size) as i16,
        zeros: symbol >> 4,
        bits: (length + u32::from(size)) as u8,
    })
}

/// The number of so many bits before those to spare.
fn number(next: usize, spare: u32, size: u8) -> i32 {
    let raw = (next >> spare) as i32 & ((1 << size) - 1);
    signed(raw, size.into())
}

/// The codes and numbers that these bits hold.
fn skip(code: &Code, next: usize) -> Skip {
    let mut skip = Skip::default();
    let mut left = SKIP_BITS;
    loop {
        let Some((symbol, length)) = code.look_up(next << (16 - left) & 0xffff) else {
            return skip;
        };
        let (coefficients, size) = match symbol {
            END_OF_BLOCK => (Skip::END, 0),
            SIXTEEN_ZEROS => (16, 0),
            symbol => match ac_size(symbol) {
                Some(size) => ((symbol >> 4) + 1, size),
                None => return skip,
            },
        };
        let Some(rest) = left.checked_sub(length + u32::from(size)) else {
            return skip;
        };
        if usize::from(skip.coefficients + (coefficients & !Skip::END)) > COEFFICIENTS {
            return skip;
        }
        let square = match size {
            0 => 0,
            size => square(number(next, rest, size)),
        };
        let Ok(squares) = u16::try_from(u64::from(skip.squares) + square) else {
            return skip;
        };
        left = rest;
        skip.squares = squares;
        skip.bits = (SKIP_BITS - left) as u8;
        skip.coefficients += coefficients;
        if left == 0 || symbol == END_OF_BLOCK {
            return skip;
        }
    }
}

/// Codes that several components share are made once.
pub(super) struct Shared<'a, T> {
    segments: Vec<HuffmanSegment<'a>>,
    codes: Vec<T>,
}

impl<T> Default for Shared<'_, T> {
    fn default() -> Self {
        Shared {
            segments: Vec::new(),
            codes: Vec::new(),
        }
    }
}

impl<'a, T> Shared<'a, T> {
    /// Where the code of a segment is.
    pub fn place(
        &mut self,
        segment: HuffmanSegment<'a>,
        new: fn(HuffmanSegment<'a>) -> T,
    ) -> usize {
        let known = self.segments.iter().position(|other| *other == segment);
        known.unwrap_or_else(|| {
            self.segments.push(segment);
            self.codes.push(new(segment));
            self.codes.len() - 1
        })
    }

    pub fn get(&self, place: usize) -> &T {
        &self.codes[place]
    }
}
