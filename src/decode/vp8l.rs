//! How much memory the codes of a WebP without loss take, and whether all decoders see the same pixels.
//!
//! Parts of such a picture may have Huffman codes of their own, 65,536 groups of five, and the decoder
//! builds the tables of all before it looks at a pixel: a file of some hundred kilobytes makes it take
//! gigabytes for 64 x 64 pixels, of which the size of the picture says nothing. So the codes are read
//! here first, in the order and by the rules of the decoder.
//!
//! A pixel may be said to be one of the cache, which keeps the colours that were seen last. libwebp puts in again what it
//! takes out, the decoder does not: the same, unless it is a colour that was never put there.

mod pixels;

use crate::deadline::Deadline;
use crate::error::Error;
use pixels::Groups;

/// Most bytes of all codes together: what [`memory::expect`](crate::memory::expect) asks for beside every
/// picture, and 2600 groups, the most that libwebp makes, with the largest tables that they usually have.
const MAX_CODES: u64 = 56 << 20;
/// Of a group, beside what its codes own: their heads, in a list that doubles as it grows.
const GROUP: u64 = 1024;
/// Of a table of the decoder, which has an entry for each number of so many bits as its longest code, up to a limit.
const TABLE_ENTRY: u64 = 4;
const TABLE_BITS: usize = 10;
/// Of the two nodes that are set aside for each longer code.
const LONG_CODE: u64 = 32;

/// Bits of the longest code.
const MAX_LENGTH: usize = 15;
/// The symbols that lengths of codes are written with, in the order of the file.
const LENGTH_SYMBOLS: [usize; 19] = [
    17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];
/// Symbols of green, red, blue, alpha and distance; green has those of lengths and of the cache as well.
const SYMBOLS: [usize; 5] = [256 + LENGTHS, 256, 256, 256, 40];
const LENGTHS: usize = 24;

/// What happens to the pixels at the end.
const TRANSFORMS: usize = 4;
const PREDICTOR: usize = 0;
const SUBTRACT_GREEN: usize = 2;
const PALETTE: usize = 3;
/// The last mode of prediction.
const MAX_MODE: u8 = 13;

/// Signature, width and height, a hint of alpha, the version.
const HEAD: usize = 5;
const ALPHA_AT: usize = 4;
const ALPHA: u8 = 0x10;

/// Width and height of a picture by its head, and what follows that.
pub(super) fn split_head(data: &[u8]) -> Result<((u32, u32), &[u8]), Error> {
    let ([_, head @ ..], rest) = data.split_first_chunk::<HEAD>().ok_or_else(damaged)?;
    let head = u32::from_le_bytes(*head);
    let side = |bits: u32| (bits & 0x3fff) + 1;
    Ok(((side(head), side(head >> 14)), rest))
}

/// Whether the head of a picture says that it has transparent pixels.
pub(super) fn has_alpha(data: &[u8]) -> bool {
    data.get(ALPHA_AT).is_some_and(|byte| byte & ALPHA != 0)
}

/// The picture with a head that says so.
pub(super) fn with_alpha(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    if let Some(byte) = data.get_mut(ALPHA_AT) {
        *byte |= ALPHA;
    }
    data
}

/// Refuses a picture of this size, or a channel of alpha, whose codes take too much. The data begin behind the head,
/// which a channel of alpha does not have. Says whether the codes leave a picture no transparent pixel, as those of
/// encoders mostly do where it has none.
pub(super) fn check_codes(
    data: &[u8],
    (width, height): (u32, u32),
    deadline: &Deadline,
) -> Result<bool, Error> {
    let mut walk = Walk {
        bits: Bits { data, at: 0 },
        deadline,
    };
    let (width, transforms) = walk.transforms(width, height)?;
    let cache = walk.cache()?;
    let mut groups = walk.groups(width, height)?;
    let mut bytes = 0;
    // An opaque pixel is predicted from opaque ones, and its alpha is then a difference of nothing. What was not predicted
    // can come from a colour of the cache that nobody put there, or of the palette, neither of which is looked at here.
    let mut opaque = transforms[PREDICTOR] && !transforms[PALETTE];
    for _ in 0..groups.count() {
        deadline.check()?;
        let group = walk.group(cache)?;
        let [_, _, _, alpha, _] = &group;
        opaque &= alpha.symbols == [0];
        bytes += GROUP + group.iter().map(Code::bytes).sum::<u64>();
        if bytes > MAX_CODES {
            return Err(Error::unreadable(format!(
                "the WebP has so many Huffman codes that they take more than {MAX_CODES} bytes: save the image as PNG, or as WebP by a usual encoder"
            )));
        }
        if cache > 0 {
            groups.add(group);
        }
    }
    if cache > 0 {
        walk.pixels([width, height], &groups, cache)?;
    }
    Ok(opaque)
}

fn damaged() -> Error {
    Error::unreadable("the WebP is damaged: what precedes its pixels makes no sense")
}

/// A value for each block of a picture: alpha, red, green and blue as one number.
struct Blocks {
    /// Of the side of a block, which is a power of two.
    bits: u32,
    /// How many there are from left to right.
    across: usize,
    values: Vec<u32>,
}

/// The bits of a picture, the lowest of a byte first.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// Those that come next, 56 at least; zeros behind the end.
    fn ahead(&self) -> u64 {
        let data = self.data.get(self.at / 8..).unwrap_or_default();
        let word = data.first_chunk().copied().unwrap_or_else(|| {
            let mut word = [0; 8];
            word[..data.len()].copy_from_slice(data);
            word
        });
        u64::from_le_bytes(word) >> (self.at % 8)
    }

    fn skip(&mut self, count: usize) -> Result<(), Error> {
        self.at += count;
        if self.at > 8 * self.data.len() {
            return Err(damaged());
        }
        Ok(())
    }

    fn take(&mut self, count: u32) -> Result<u32, Error> {
        let value = self.ahead() & ((1 << count) - 1);
        self.skip(count as usize)?;
        Ok(value as u32)
    }

    fn flag(&mut self) -> Result<bool, Error> {
        Ok(self.take(1)? == 1)
    }

    fn symbol(&mut self, code: &Code) -> Result<usize, Error> {
        if let [only] = code.symbols[..] {
            return Ok(only.into());
        }
        let entry = code.table[self.ahead() as usize & (code.table.len() - 1)];
        if entry > 0 {
            self.skip(usize::from(entry & LENGTH))?;
            return Ok(usize::from(entry >> LENGTH_BITS));
        }
        let (mut value, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            value |= self.take(1)? as usize;
            if value < first + count {
                return code
                    .symbols
                    .get(index + value - first)
                    .map(|symbol| usize::from(*symbol))
                    .ok_or_else(damaged);
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        Err(damaged())
    }

    /// A length or distance, of which the symbol says how many bits are still to come.
    fn number(&mut self, symbol: usize) -> Result<usize, Error> {
        if symbol < 4 {
            return Ok(symbol + 1);
        }
        let more = (symbol - 2) >> 1;
        Ok(((2 + symbol % 2) << more) + self.take(more as u32)? as usize + 1)
    }
}

/// A Huffman code.
struct Code {
    /// How many symbols have a code of so many bits.
    counts: [usize; MAX_LENGTH + 1],
    /// In the order of their codes. The only symbol of a code takes no bits.
    symbols: Vec<u16>,
    /// For what the next bits can be, the symbol and the length of its code; 0 where that is longer.
    table: Vec<u16>,
}

/// The part of an entry that is the length.
const LENGTH_BITS: u32 = 4;
const LENGTH: u16 = (1 << LENGTH_BITS) - 1;

impl Code {
    /// The code whose symbols have codes of these lengths, 0 for none.
    fn from_lengths(lengths: &[usize]) -> Result<Self, Error> {
        let mut counts = [0; MAX_LENGTH + 1];
        for length in lengths.iter().filter(|length| **length > 0) {
            counts[*length] += 1;
        }
        let of =
            |length| move |(symbol, other): (u16, &usize)| (*other == length).then_some(symbol);
        let symbols: Vec<u16> = (1..=MAX_LENGTH)
            .filter(|length| counts[*length] > 0)
            .flat_map(|length| (0..).zip(lengths).filter_map(of(length)))
            .collect();
        let taken = (1..=MAX_LENGTH).map(|length| counts[length] << (MAX_LENGTH - length));
        if symbols.len() != 1 && taken.sum::<usize>() != 1 << MAX_LENGTH {
            return Err(damaged());
        }
        Ok(Code::new(counts, symbols))
    }

    fn new(counts: [usize; MAX_LENGTH + 1], symbols: Vec<u16>) -> Self {
        let mut code = Code {
            counts,
            symbols,
            table: Vec::new(),
        };
        let longest = code.longest().min(TABLE_BITS);
        code.table = vec![0; 1 << longest];
        let (mut bits, mut symbols) = (0_usize, code.symbols.iter());
        for (length, count) in counts.iter().enumerate().take(longest + 1).skip(1) {
            bits <<= 1;
            for symbol in symbols.by_ref().take(*count) {
                let first = bits.reverse_bits() >> (usize::BITS as usize - length);
                let entries = code.table[first..].iter_mut().step_by(1 << length);
                entries.for_each(|entry| *entry = symbol << LENGTH_BITS | length as u16);
                bits += 1;
            }
        }
        code
    }

    /// Bits of the longest.
    fn longest(&self) -> usize {
        let longest = self.counts.iter().rposition(|count| *count > 0);
        longest.unwrap_or(0)
    }

    /// What the decoder takes for it.
    fn bytes(&self) -> u64 {
        if self.symbols.len() == 1 {
            return 0;
        }
        let long: usize = self.counts[TABLE_BITS + 1..].iter().sum();
        (TABLE_ENTRY << self.longest().min(TABLE_BITS)) + LONG_CODE * (long as u64 + 2)
    }
}

struct Walk<'a> {
    bits: Bits<'a>,
    deadline: &'a Deadline,
}

impl Walk<'_> {
    /// Walks over what happens to the pixels at the end. Gives the width before that, and which of it happens.
    fn transforms(
        &mut self,
        mut width: u32,
        height: u32,
    ) -> Result<(u32, [bool; TRANSFORMS]), Error> {
        let mut seen = [false; TRANSFORMS];
        while self.bits.flag()? {
            let kind = self.bits.take(2)? as usize;
            if std::mem::replace(&mut seen[kind], true) {
                return Err(damaged());
            }
            match kind {
                SUBTRACT_GREEN => {}
                PALETTE => {
                    let colours = self.bits.take(8)? + 1;
                    self.small_picture(colours, 1)?;
                    width = width.div_ceil(match colours {
                        0..=2 => 8,
                        3..=4 => 4,
                        5..=16 => 2,
                        _ => 1,
                    });
                }
                _ => {
                    let blocks = self.blocks(width, height)?;
                    // libwebp takes four bits of a mode, and the decoder makes nothing of those that do not exist.
                    let exists = |value: &u32| (*value >> 8) as u8 <= MAX_MODE;
                    if kind == PREDICTOR && !blocks.values.iter().all(exists) {
                        return Err(damaged());
                    }
                }
            }
        }
        Ok((width, seen))
    }

    /// Which group of codes each block of the picture has.
    fn groups(&mut self, width: u32, height: u32) -> Result<Groups, Error> {
        let blocks = match self.bits.flag()? {
            true => Some(self.blocks(width, height)?),
            false => None,
        };
        Ok(Groups::of(blocks))
    }

    /// A picture that has a pixel for each block of the large one.
    fn blocks(&mut self, width: u32, height: u32) -> Result<Blocks, Error> {
        let bits = 2 + self.bits.take(3)?;
        let [across, down] = [width, height].map(|side| side.div_ceil(1 << bits));
        Ok(Blocks {
            bits,
            across: across as usize,
            values: self.small_picture(across, down)?,
        })
    }

    /// The pixels of a picture that is only for use in decoding.
    fn small_picture(&mut self, width: u32, height: u32) -> Result<Vec<u32>, Error> {
        let cache = self.cache()?;
        let mut groups = Groups::of(None);
        groups.add(self.group(cache)?);
        self.pixels([width, height], &groups, cache)
    }

    /// How many colours the cache has.
    fn cache(&mut self) -> Result<usize, Error> {
        if !self.bits.flag()? {
            return Ok(0);
        }
        match self.bits.take(4)? {
            bits @ 1..=11 => Ok(1 << bits),
            _ => Err(damaged()),
        }
    }

    fn group(&mut self, cache: usize) -> Result<[Code; 5], Error> {
        let [green, red, blue, alpha, distance] = SYMBOLS;
        Ok([
            self.code(green + cache)?,
            self.code(red)?,
            self.code(blue)?,
            self.code(alpha)?,
            self.code(distance)?,
        ])
    }

    fn code(&mut self, symbols: usize) -> Result<Code, Error> {
        if self.bits.flag()? {
            return self.simple_code(symbols);
        }
        let mut lengths = [0; LENGTH_SYMBOLS.len()];
        let written = 4 + self.bits.take(4)? as usize;
        for symbol in LENGTH_SYMBOLS.iter().take(written) {
            lengths[*symbol] = self.bits.take(3)? as usize;
        }
        let code = Code::from_lengths(&lengths)?;
        Code::from_lengths(&self.lengths(&code, symbols)?)
    }

    /// A code of one or two symbols.
    fn simple_code(&mut self, symbols: usize) -> Result<Code, Error> {
        let two = self.bits.flag()?;
        let bits = if self.bits.flag()? { 8 } else { 1 };
        let mut counts = [0; MAX_LENGTH + 1];
        let mut found = vec![self.bits.take(bits)? as u16];
        if two {
            counts[1] = 2;
            found.push(self.bits.take(8)? as u16);
        }
        // Of two, libwebp takes the smaller one for the first, and the decoder the one that is written first.
        if !found.is_sorted_by(|first, second| first < second)
            || found.iter().any(|symbol| usize::from(*symbol) >= symbols)
        {
            return Err(damaged());
        }
        Ok(Code::new(counts, found))
    }

    /// The lengths of the codes of so many symbols.
    fn lengths(&mut self, code: &Code, symbols: usize) -> Result<Vec<usize>, Error> {
        let mut written = symbols;
        if self.bits.flag()? {
            let bits = 2 + 2 * self.bits.take(3)?;
            written = 2 + self.bits.take(bits)? as usize;
        }
        if written > symbols {
            return Err(damaged());
        }
        let mut lengths = Vec::with_capacity(symbols);
        let mut last = 8;
        while lengths.len() < symbols && written > 0 {
            written -= 1;
            let (length, times) = match self.bits.symbol(code)? {
                16 => (last, 3 + self.bits.take(2)?),
                17 => (0, 3 + self.bits.take(3)?),
                18 => (0, 11 + self.bits.take(7)?),
                length => (length, 1),
            };
            if length > 0 {
                last = length;
            }
            lengths.extend(std::iter::repeat_n(length, times as usize));
        }
        if lengths.len() > symbols {
            return Err(damaged());
        }
        lengths.resize(symbols, 0);
        Ok(lengths)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Values and how many bits they have.
    type Fields = Vec<(u32, u32)>;

    fn packed(fields: &[(u32, u32)]) -> Vec<u8> {
        let bits: Vec<u8> = fields
            .iter()
            .flat_map(|(value, count)| (0..*count).map(move |bit| (value >> bit & 1) as u8))
            .collect();
        let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit);
        bits.chunks(8).map(byte).collect()
    }

    fn check(data: &[u8]) -> Result<(), Error> {
        by(data, &Deadline::after(Duration::from_secs(3600)))
    }

    fn by(data: &[u8], deadline: &Deadline) -> Result<(), Error> {
        let (size, data) = split_head(data)?;
        check_codes(data, size, deadline).map(drop)
    }

    /// What precedes the transforms of 256 x 256 pixels.
    const HEADER: [(u32, u32); 4] = [(0x2f, 8), (255, 14), (255, 14), (0, 4)];
    const NO_TRANSFORMS: (u32, u32) = (0, 1);
    const NO_CACHE: (u32, u32) = (0, 1);

    fn only(symbol: u32) -> Fields {
        vec![(0b101, 3), (symbol, 8)]
    }

    /// A code with lengths 1 to 9, 10 and 10, in as few bits as such a large table can be said in.
    fn large_table() -> Fields {
        // The lengths 1 to 6 are written in three bits, 7 to 10 in four.
        let lengths = [0, 0, 0, 3, 3, 3, 3, 3, 0, 3, 4, 4, 4, 4].map(|length| (length, 3));
        let written = [(1, 1), (1, 3), (11 - 2, 4)];
        let three = (0_u32..6).map(|code| (code.reverse_bits() >> 29, 3));
        let four = [12_u32, 13, 14, 15, 15].map(|code| (code.reverse_bits() >> 28, 4));
        [(0, 1), (14 - 4, 4)]
            .into_iter()
            .chain(lengths)
            .chain(written)
            .chain(three)
            .chain(four)
            .collect()
    }

    fn group_of_one_symbol_each(symbols: [u32; 5]) -> Fields {
        symbols.into_iter().flat_map(only).collect()
    }

    /// What follows the transforms: so many groups of the largest tables.
    fn groups(count: u32) -> Fields {
        const BLOCKS_OF_4: [(u32, u32); 2] = [(1, 1), (0, 3)];
        let last = count - 1;
        let image = group_of_one_symbol_each([last & 0xff, last >> 8, 0, 0, 0]);
        let table = large_table();
        let tables = (0..5 * count).flat_map(|_| table.clone());
        [NO_CACHE]
            .into_iter()
            .chain(BLOCKS_OF_4)
            .chain([NO_CACHE])
            .chain(image)
            .chain(tables)
            .collect()
    }

    /// A picture for use in decoding of 64 x 64 pixels, nearly all of which are copies.
    fn copies() -> Fields {
        // The symbols 0, and 262 for nine to twelve pixels, have a bit each.
        let green = [
            &[
                (0, 1),
                (0, 4),
                (0, 3),
                (1, 3),
                (0, 3),
                (1, 3),
                (1, 1),
                (0, 3),
            ][..],
            &[
                (4 - 2, 2),
                (0, 1),
                (1, 1),
                (127, 7),
                (1, 1),
                (112, 7),
                (0, 1),
            ],
        ]
        .concat();
        // The copies are of the pixel to the left.
        let others = [0, 0, 0, 1].into_iter().flat_map(only);
        let twelve = (0..341).flat_map(|_| [(1, 1), (3, 2)]);
        [NO_CACHE]
            .into_iter()
            .chain(green)
            .chain(others)
            .chain([(0, 1)])
            .chain(twelve)
            .chain([(0, 1); 3])
            .collect()
    }

    /// All four transforms, on 256 x 256 pixels, of which 128 across are left by a palette of 16.
    fn transforms() -> Fields {
        let cached = [&[(1, 1), (11, 4)][..], &group_of_one_symbol_each([7; 5])].concat();
        let palette = [&[(1, 1), (3, 2), (15, 8)][..], &cached].concat();
        let predictor = [&[(1, 1), (0, 2), (0, 3)][..], &copies()].concat();
        let colours = [&[(1, 1), (1, 2), (7, 3)][..], &cached].concat();
        let green = vec![(1, 1), (2, 2)];
        [predictor, green, colours, palette, vec![NO_TRANSFORMS]].concat()
    }

    #[test]
    fn as_many_codes_as_the_usual_encoder_writes_are_taken_and_no_more() {
        for before in [vec![NO_TRANSFORMS], transforms()] {
            let check = |count| check(&packed(&[&HEADER[..], &before, &groups(count)].concat()));
            assert!(check(1).is_ok());
            assert!(check(2600).is_ok(), "{:?}", check(2600));
            let error = check(2700).unwrap_err();
            assert!(error.detail().contains("so many Huffman codes"), "{error}");
        }
    }

    #[test]
    fn every_mode_of_prediction_exists() {
        let far = Deadline::after(Duration::from_secs(3600));
        let is_read = |kind, value| {
            let block = [&[NO_CACHE][..], &group_of_one_symbol_each([value; 5])].concat();
            let transform = [&[(1, 1), (kind, 2), (0, 3)][..], &block].concat();
            let group = group_of_one_symbol_each([0; 5]);
            let rest = [&[NO_TRANSFORMS, NO_CACHE, (0, 1)], &group[..]].concat();
            check_codes(&packed(&[transform, rest].concat()), (8, 8), &far).is_ok()
        };
        assert!(is_read(0, 13) && !is_read(0, 14) && !is_read(0, 16));
        // Factors of colours may be any.
        assert!(is_read(1, 16));
    }

    #[test]
    fn two_symbols_are_in_their_order() {
        let far = Deadline::after(Duration::from_secs(3600));
        let is_read = |symbols: [u32; 2]| {
            let two = [(0b111, 3), (symbols[0], 8), (symbols[1], 8)];
            let others = (0..4).flat_map(|_| only(0));
            let group: Fields = two.into_iter().chain(others).collect();
            let data = packed(&[&[NO_TRANSFORMS, NO_CACHE, (0, 1)], &group[..]].concat());
            check_codes(&data, (8, 8), &far).is_ok()
        };
        assert!(is_read([3, 7]) && !is_read([7, 3]) && !is_read([7, 7]));
    }

    /// A code of two symbols, the colour 0 and another one that a picture with a cache of two colours can have.
    fn black_or(symbol: u32) -> Fields {
        // Of lengths, 1 and as many zeros as follow have a bit each.
        let lengths = [(0, 1), (1, 4), (0, 3), (1, 3), (0, 3), (1, 3), (0, 3)];
        let mut zeros = symbol - 1;
        let mut runs = Vec::new();
        while zeros > 0 {
            // The shortest has eleven.
            let run = match zeros {
                139..150 => 100,
                _ => zeros.min(138),
            };
            runs.extend([(1, 1), (run - 11, 7)]);
            zeros -= run;
        }
        let written = runs.len() as u32 / 2 + 2;
        let count = [(1, 1), (1, 3), (written - 2, 4)];
        [&lengths[..], &count, &[(0, 1)], &runs, &[(0, 1)]].concat()
    }

    /// What follows the transforms of pixels that are black or what the other symbol of green says, in this order.
    fn cached(symbol: u32, others: [bool; 64]) -> Fields {
        let codes = [0, 0, 0, 1].into_iter().flat_map(only);
        let pixels = others.map(|other| (other.into(), 1));
        [(1, 1), (1, 4)]
            .into_iter()
            .chain(black_or(symbol))
            .chain(codes)
            .chain(pixels)
            .collect()
    }

    #[test]
    fn colours_come_out_of_the_cache_that_were_put_there() {
        let far = Deadline::after(Duration::from_secs(3600));
        let check = |data: &[Fields]| check_codes(&packed(&data.concat()), (8, 8), &far);
        let mut pixels = [true; 64];
        pixels[0] = false;
        // Black is the first of two colours, by its hash.
        let [first, second] = [280, 281];
        let plain = |symbol, pixels| {
            let mut fields = cached(symbol, pixels);
            // No groups of codes.
            fields.insert(2, (0, 1));
            [vec![NO_TRANSFORMS], fields]
        };
        assert!(check(&plain(first, pixels)).is_ok());
        // As which all begin.
        assert!(check(&plain(first, [true; 64])).is_ok());
        for data in [plain(second, pixels), plain(second, [true; 64])] {
            let error = check(&data).unwrap_err();
            assert_eq!(error.code(), crate::ErrorCode::UnreadableImage);
            assert!(error.detail().contains("never put there"), "{error}");
        }
        // So it is in a picture for use in decoding, which has 8 x 8 pixels for the codes of 32 x 32.
        let inner = |symbol, pixels| {
            let group = group_of_one_symbol_each([0; 5]);
            let data = [
                &[NO_TRANSFORMS, NO_CACHE, (1, 1), (0, 3)][..],
                &cached(symbol, pixels),
                &group,
            ];
            check_codes(&packed(&data.concat()), (32, 32), &far).is_ok()
        };
        assert!(inner(first, pixels) && inner(first, [true; 64]) && !inner(second, pixels));
    }

    #[test]
    fn copies_put_colours_into_the_cache_and_stay_within_the_picture() {
        let far = Deadline::after(Duration::from_secs(3600));
        // The symbol 256 is a copy of one pixel.
        let check = |pixels| {
            let mut fields = cached(256, pixels);
            fields.insert(2, (0, 1));
            check_codes(
                &packed(&[&[NO_TRANSFORMS][..], &fields].concat()),
                (8, 8),
                &far,
            )
        };
        let mut pixels = [true; 64];
        assert!(check(pixels).is_err());
        pixels[0] = false;
        assert!(check(pixels).is_ok());
    }

    #[test]
    fn tables_say_what_codes_say() {
        let lengths: Vec<usize> = (1..=13).chain([14, 15, 15]).collect();
        let code = Code::from_lengths(&lengths).unwrap();
        for (symbol, length) in lengths.iter().enumerate() {
            // Ones up to a zero, but for the last.
            let zero = (symbol < 15).then_some((0, 1));
            let ones = vec![(1, 1); length - zero.iter().len()];
            let data = packed(&[&ones[..], zero.as_slice(), &[(0, 8)]].concat());
            let mut bits = Bits { data: &data, at: 0 };
            assert_eq!(bits.symbol(&code).unwrap(), symbol);
            assert_eq!(bits.at, *length);
        }
    }

    #[test]
    fn codes_show_that_nothing_is_transparent() {
        let far = Deadline::after(Duration::from_secs(3600));
        let is_opaque = |transforms: &[(u32, u32)], alpha| {
            let group = group_of_one_symbol_each([1, 2, 3, alpha, 0]);
            let data = packed(&[transforms, &[NO_TRANSFORMS, NO_CACHE, (0, 1)], &group].concat());
            check_codes(&data, (8, 8), &far).unwrap()
        };
        let block = [&[NO_CACHE][..], &group_of_one_symbol_each([0; 5])].concat();
        let predictor = [&[(1, 1), (0, 2), (0, 3)][..], &block].concat();
        let palette = [&[(1, 1), (3, 2), (0, 8)][..], &block].concat();
        assert!(is_opaque(&predictor, 0));
        assert!(!is_opaque(&predictor, 255) && !is_opaque(&[], 0) && !is_opaque(&[], 255));
        assert!(!is_opaque(&[predictor, palette].concat(), 0));
    }

    #[test]
    fn alpha_has_no_header() {
        let far = Deadline::after(Duration::from_secs(3600));
        for (count, fits) in [(1, true), (2700, false)] {
            let data = packed(&[&transforms()[..], &groups(count)].concat());
            assert_eq!(check_codes(&data, (256, 256), &far).is_ok(), fits);
        }
    }

    #[test]
    fn what_the_encoder_here_writes_is_taken() {
        for (width, height) in [(1, 1), (3, 500), (64, 48)] {
            let image = image::RgbImage::from_fn(width, height, |x, y| {
                image::Rgb([(x * y) as u8, y as u8, x as u8])
            });
            let mut bytes = std::io::Cursor::new(Vec::new());
            image
                .write_to(&mut bytes, image::ImageFormat::WebP)
                .unwrap();
            // Behind the heads of file and chunk.
            check(&bytes.get_ref()[20..]).unwrap();
        }
    }

    #[test]
    fn damage_is_refused() {
        let whole = packed(&[&HEADER[..], &transforms(), &groups(3)].concat());
        assert!(check(&whole).is_ok());
        for end in 0..whole.len() - 1 {
            let error = check(&whole[..end]).unwrap_err();
            assert!(error.detail().contains("damaged"), "{end}: {error}");
        }
        let twice = [
            &HEADER[..],
            &[(1, 1), (2, 2), (1, 1), (2, 2)],
            &[(0, 32); 9],
        ]
        .concat();
        assert!(check(&packed(&twice)).is_err());
        for value in [0x00, 0x55, 0xaa, 0xff] {
            let _ = check(&vec![value; 4096]);
        }
    }

    #[test]
    fn time_is_looked_at() {
        let data = packed(&[&HEADER[..], &[NO_TRANSFORMS], &groups(1)].concat());
        let error = by(&data, &Deadline::after(Duration::ZERO)).unwrap_err();
        assert_eq!(error.code(), crate::ErrorCode::Internal, "{error}");
    }
}
