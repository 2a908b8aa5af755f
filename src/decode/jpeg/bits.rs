//! Bits of entropy-coded data.

/// Reads bits, the most significant of a byte first, without the stuffed bytes. A marker, and the end
/// of the data, read as zeros without end; whether any of those were used is asked afterwards.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, the first of them on top.
    buffer: u64,
    /// How many of them there are.
    count: u32,
    /// How many of those, at the end, stand for what is missing.
    missing: u64,
    /// Whether bits were met that are no code.
    senseless: bool,
}

const FIRST_RESTART: u8 = 0xd0;

/// Bits that are there after [`Bits::refill`]: a code and the value that follows it.
const READY: u32 = 32;

impl<'a> Bits<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Bits {
            data,
            at: 0,
            buffer: 0,
            count: 0,
            missing: 0,
            senseless: false,
        }
    }

    /// Bits were met that are no code.
    #[cold]
    pub fn make_no_sense(&mut self) {
        self.senseless = true;
    }

    pub fn are_senseless(&self) -> bool {
        self.senseless
    }

    /// Sees to it that at least 32 bits are there.
    #[inline(always)]
    pub fn refill(&mut self) {
        if self.count >= READY {
            return;
        }
        if let Some(next) = self.data.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_be_bytes(*next);
            if !has_ff(word) {
                // Bits beyond the whole bytes that are counted come again, the same, next time.
                self.buffer |= word >> self.count;
                let bytes = (64 - self.count) / 8;
                self.at += bytes as usize;
                self.count += 8 * bytes;
                return;
            }
        }
        self.refill_slowly();
    }

    #[cold]
    #[inline(never)]
    fn refill_slowly(&mut self) {
        while self.count <= 56 {
            let byte = match self.data.get(self.at..) {
                Some([0xff, 0x00, ..]) => {
                    self.at += 2;
                    0xff
                }
                Some([byte, ..]) if *byte != 0xff => {
                    self.at += 1;
                    *byte
                }
                _ => {
                    self.missing += 8;
                    0
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next bits, 1 to 16 of those that are there.
    #[inline(always)]
    pub fn peek(&self, count: u32) -> usize {
        (self.buffer >> (64 - count)) as usize
    }

    /// The next bits, up to 16 of those that are there.
    pub fn peek_some(&self, count: u32) -> u32 {
        match count {
            0 => 0,
            count => self.peek(count) as u32,
        }
    }

    /// Takes bits off that are there.
    #[inline(always)]
    pub fn consume(&mut self, count: u32) {
        self.buffer <<= count;
        self.count -= count;
    }

    /// Takes a signed number of so many bits, 1 to 16, as JPEG writes it: those that start with 0 are
    /// negative.
    #[inline(always)]
    pub fn number(&mut self, count: u32) -> i32 {
        let raw = self.peek(count) as i32;
        self.consume(count);
        signed(raw, count)
    }

    /// Whether more bits were taken than there are.
    pub fn is_exhausted(&self) -> bool {
        self.left().is_none()
    }

    /// How many bits of the data are read and not taken; `None` where more were taken than there are.
    fn left(&self) -> Option<u64> {
        u64::from(self.count).checked_sub(self.missing)
    }

    /// What comes next: how many fill bytes, and the byte behind them.
    fn next(&self) -> Option<(usize, u8)> {
        let rest = self.data.get(self.at..)?;
        let fill = rest.iter().position(|byte| *byte != 0xff)?;
        Some((fill, rest[fill]))
    }

    /// Whether there are no more bits, or less than a byte of them before a marker that ends all of the data.
    pub fn has_ended(&self) -> bool {
        let goes_on = matches!(self.next(), Some((0, _) | (_, 0x00 | 0xd0..=0xd7)));
        self.left().is_none_or(|left| left < 8 && !goes_on)
    }

    /// Whether nothing but padding is left.
    pub fn is_over(&mut self) -> bool {
        self.refill();
        self.at == self.data.len() && self.left().is_some_and(|left| left < 8)
    }

    /// Passes over the padding and the marker that ends a stretch; `None` where that is not due.
    pub fn marker(&mut self, expected: u8) -> Option<()> {
        self.refill();
        let (fill, found) = self.next()?;
        if self.left()? >= 8 || fill == 0 || found != expected {
            return None;
        }
        *self = Bits {
            at: self.at + fill + 1,
            ..Bits::new(self.data)
        };
        Some(())
    }
}

/// The number that JPEG means by these bits.
pub(super) fn signed(raw: i32, count: u32) -> i32 {
    if raw < 1 << (count - 1) {
        raw - (1 << count) + 1
    } else {
        raw
    }
}

/// Whether a byte is 0xff: it stands before a stuffed byte, or a marker.
#[inline(always)]
fn has_ff(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let flipped = !word;
    flipped.wrapping_sub(ONES) & word & (ONES << 7) != 0
}

/// The restart markers of entropy-coded data, one after every so many MCUs.
pub(super) struct Restarts {
    /// MCUs between two; 0 where there are none.
    interval: usize,
    /// MCUs until the next one, and which it is.
    until: usize,
    next: u8,
}

impl Restarts {
    pub fn every(interval: usize) -> Self {
        Restarts {
            interval,
            until: interval,
            next: 0,
        }
    }

    /// Passes over the one that is due before the next MCU, and says whether one was; `None` where it is not there.
    #[inline(always)]
    pub fn pass(&mut self, bits: &mut Bits<'_>) -> Option<bool> {
        if self.interval == 0 {
            return Some(false);
        }
        let is_due = self.until == 0;
        if is_due {
            bits.marker(FIRST_RESTART + self.next % 8)?;
            self.next = self.next.wrapping_add(1);
            self.until = self.interval;
        }
        self.until -= 1;
        Some(is_due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bits: &mut Bits<'_>, count: u32) -> usize {
        bits.refill();
        let value = bits.peek(count);
        bits.consume(count);
        value
    }

    #[test]
    fn stuffed_bytes_are_left_out_wherever_they_stand() {
        for at in 0..40 {
            let plain: Vec<u8> = (0..40).map(|i| if i == at { 0xff } else { i }).collect();
            let stuffed: Vec<u8> = plain
                .iter()
                .flat_map(|byte| [*byte, 0].into_iter().take(1 + usize::from(*byte == 0xff)))
                .chain([0xff, 0xd9])
                .collect();
            let mut bits = Bits::new(&stuffed);
            let expected = plain.iter().flat_map(|byte| [byte >> 5, byte & 31]);
            for (value, count) in expected.zip([3, 5].into_iter().cycle()) {
                assert_eq!(take(&mut bits, count), usize::from(value));
            }
            assert!(!bits.is_exhausted());
            assert_eq!(bits.marker(0xd9), Some(()));
        }
    }

    #[test]
    fn what_is_missing_is_noticed() {
        let mut bits = Bits::new(&[0xab, 0xff, 0xd9]);
        assert_eq!((take(&mut bits, 8), bits.is_exhausted()), (0xab, false));
        assert_eq!((take(&mut bits, 1), bits.is_exhausted()), (0, true));
    }

    #[test]
    fn data_end_at_a_marker_that_restarts_nothing() {
        let has_ended = |data: &[u8], taken: u32| {
            let mut bits = Bits::new(data);
            take(&mut bits, taken);
            bits.has_ended()
        };
        assert!(has_ended(&[0x12, 0xff, 0xd9], 1) && has_ended(&[0x12, 0xff, 0xff, 0xe1], 9));
        assert!(has_ended(&[0x12, 0xff], 8) && has_ended(&[0x12], 8) && has_ended(&[0x12], 9));
        assert!(!has_ended(&[0x12, 0x34, 0xff, 0xd9], 8));
        assert!(!has_ended(&[0x12, 0xff, 0xd3], 8) && !has_ended(&[0x12, 0xff, 0x00], 8));
    }

    #[test]
    fn a_marker_stands_right_after_the_last_byte() {
        let marker = |data: &[u8], taken: u32| {
            let mut bits = Bits::new(data);
            take(&mut bits, taken);
            bits.marker(0xd9)
        };
        assert_eq!(marker(&[0x12, 0xff, 0xd9], 1), Some(()));
        assert_eq!(marker(&[0x12, 0xff, 0xff, 0xd9], 8), Some(()));
        assert_eq!(marker(&[0x12, 0x34, 0xff, 0xd9], 8), None);
        assert_eq!(marker(&[0x12, 0xff, 0xd8], 8), None);
        assert_eq!(marker(&[0x12, 0xff], 8), None);
        assert_eq!(marker(&[0x12], 8), None);
        assert_eq!(marker(&[0x12, 0xff, 0xd9], 9), None);
    }

    #[test]
    fn numbers_are_signed_by_their_first_bit() {
        let mut bits = Bits::new(&[0b0101_0110, 0b1000_0000, 0, 0, 0]);
        bits.refill();
        assert_eq!(
            [1, 1, 2, 3, 3].map(|count| bits.number(count)),
            [-1, 1, -2, -4, -5]
        );
    }
}
