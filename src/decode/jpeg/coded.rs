//! Whether the entropy-coded data of a JPEG are all there and mean what such data can mean.
//!
//! Where they do not, every decoder goes on in a way of its own: one stops and gives what it has, another fills in, a
//! third counts coefficients beyond the last one from the first again. A file that was made for that shows each of them
//! another picture.

use super::bits::{Bits, Restarts};
use super::frame::{COEFFICIENTS, Factors, Frame, HuffmanSegment, Scan, Tables};
use super::huffman::{AcCode, Code, DcCode, Shared};
use super::segments::{HUFFMAN, QUANTIZATION, RESTART_INTERVAL, START_OF_SCAN, Segments, damaged};
use crate::deadline::Deadline;
use crate::error::Error;

/// Many decoders multiply coefficients in 16 bits, others in 32. Those of pictures are far below.
const MAX_COEFFICIENT: i64 = 1 << 15;
/// The largest AC coefficient of a sequential file.
const MAX_AC: i64 = 1023;

/// Refuses a plain file whose data do not fit it. They may go on behind the picture, which all decoders pass over.
pub(super) fn check(plain: &[u8], deadline: &Deadline) -> Result<(), Error> {
    let mut tables = Tables::default();
    let mut frame = None;
    let mut filled = Vec::new();
    for segment in Segments::of(plain) {
        let segment = segment?;
        let known = match (segment.marker, &frame) {
            (HUFFMAN, _) => tables.add_huffman(segment.data),
            (QUANTIZATION, _) => tables.add_quantization(segment.data),
            (RESTART_INTERVAL, _) => tables.set_restart_interval(segment.data),
            (START_OF_SCAN, Some(frame)) => {
                let scan = Scan::parse(segment.data, frame)?;
                let stretch = Stretch::new(segment.coded, &tables, deadline);
                Some(stretch.check(&scan, frame, &mut filled)?)
            }
            (marker, None) if Frame::is_begun_by(marker) => {
                let found = Frame::parse(marker, segment.data)?;
                filled = Filled::of(&found);
                frame = Some(found);
                Some(())
            }
            _ => Some(()),
        };
        known.ok_or_else(no_tables)?;
    }
    Ok(())
}

fn no_tables() -> Error {
    damaged("its tables are missing or make no sense")
}

fn code<'a>(
    codes: &[Option<HuffmanSegment<'a>>; 4],
    at: usize,
) -> Result<HuffmanSegment<'a>, Error> {
    codes.get(at).copied().flatten().ok_or_else(no_tables)
}

/// Which coefficients of a component's blocks are not zero so far, a bit for each. What a later scan holds of a block
/// depends on it.
struct Filled {
    columns: usize,
    blocks: Vec<u64>,
}

impl Filled {
    /// Of all components, where there are later scans.
    fn of(frame: &Frame) -> Vec<Self> {
        let [columns, rows] = frame.mcus();
        let parts = frame.parts.iter().filter(|_| frame.progressive);
        let filled = parts.map(|part| Filled {
            columns: columns * part.blocks[0],
            blocks: vec![0; columns * part.blocks[0] * rows * part.blocks[1]],
        });
        filled.collect()
    }

    fn block(&mut self, [column, row]: [usize; 2]) -> Option<&mut u64> {
        self.blocks.get_mut(row * self.columns + column)
    }
}

/// The data of a scan, as far as they were read.
struct Stretch<'a> {
    bits: Bits<'a>,
    tables: &'a Tables<'a>,
    deadline: &'a Deadline,
    restarts: Restarts,
    /// Means of the blocks before, of each component of the scan.
    means: [i32; 4],
    /// Blocks to come whose band has ended already.
    ended: u32,
}

impl<'a> Stretch<'a> {
    fn new(coded: &'a [u8], tables: &'a Tables<'a>, deadline: &'a Deadline) -> Self {
        Stretch {
            bits: Bits::new(coded),
            restarts: Restarts::every(tables.restart_interval),
            tables,
            deadline,
            means: [0; 4],
            ended: 0,
        }
    }

    fn check(self, scan: &Scan, frame: &Frame, filled: &mut [Filled]) -> Result<(), Error> {
        match (scan.band, scan.high) {
            _ if !frame.progressive => self.check_whole(scan, frame),
            ([0, _], 0) => self.check_means(scan, frame),
            ([0, _], _) => self.each_block(scan, frame, |stretch, _, _| {
                stretch.bits.refill();
                stretch.bits.consume(1);
                Some(())
            }),
            _ => self.check_band(scan, frame, &mut filled[scan.shares[0].part]),
        }
    }

    /// All coefficients of all components.
    fn check_whole(self, scan: &Scan, frame: &Frame) -> Result<(), Error> {
        let (mut dc, mut ac) = (Shared::default(), Shared::default());
        let mut parts = Vec::new();
        for share in &scan.shares {
            let mean = dc.place(code(&self.tables.dc, share.dc)?, DcCode::new);
            let others = ac.place(code(&self.tables.ac, share.ac)?, AcCode::new);
            parts.push((mean, others, self.factors(frame, share.part)?));
        }
        // Where no coefficient can be too large, they are passed over several at a time.
        let fits_all = |factors: &Factors| factors.iter().all(|factor| fits(MAX_AC, *factor));
        let all_fit: Vec<bool> = parts
            .iter()
            .map(|(_, _, factors)| fits_all(factors))
            .collect();
        self.each_block(scan, frame, |stretch, index, _| {
            let (mean, others, factors) = &parts[index];
            stretch.mean(dc.get(*mean), index, 0, factors)?;
            let others = ac.get(*others);
            if all_fit[index] {
                return others.skip(&mut stretch.bits, 1);
            }
            let mut fit = true;
            others.coefficients(&mut stretch.bits, COEFFICIENTS - 1, |at, value| {
                fit &= fits(value.into(), factors[at]);
            })?;
            fit.then_some(())
        })
    }

    /// The first bits of the blocks' means.
    fn check_means(self, scan: &Scan, frame: &Frame) -> Result<(), Error> {
        let mut parts = Vec::new();
        for share in &scan.shares {
            let code = DcCode::new(code(&self.tables.dc, share.dc)?);
            parts.push((code, self.factors(frame, share.part)?));
        }
        self.each_block(scan, frame, |stretch, index, _| {
            let (code, factors) = &parts[index];
            stretch.mean(code, index, scan.low, factors)
        })
    }

    /// Other coefficients of one component: their first bits, or one more.
    fn check_band(self, scan: &Scan, frame: &Frame, filled: &mut Filled) -> Result<(), Error> {
        let share = scan.shares[0];
        let code = Code::new(code(&self.tables.ac, share.ac)?);
        let factors = self.factors(frame, share.part)?;
        self.each_block(scan, frame, |stretch, _, place| {
            let block = filled.block(place)?;
            match scan.high {
                0 => stretch.first_bits(&code, scan, &factors, block),
                _ => stretch.next_bit(&code, scan, block),
            }
        })
    }

    fn factors(&self, frame: &Frame, part: usize) -> Result<Factors, Error> {
        let table = self.tables.quantization.get(frame.parts[part].table);
        table.copied().flatten().ok_or_else(no_tables)
    }

    /// Reads all blocks of a scan, each with the number of its component in the scan and its column and row among those
    /// of the component.
    fn each_block(
        mut self,
        scan: &Scan,
        frame: &Frame,
        mut read: impl FnMut(&mut Self, usize, [usize; 2]) -> Option<()>,
    ) -> Result<(), Error> {
        let ([columns, rows], blocks): (_, Vec<[usize; 2]>) = match *scan.shares.as_slice() {
            [share] => (frame.blocks(share.part), vec![[1, 1]]),
            _ => {
                let blocks = scan
                    .shares
                    .iter()
                    .map(|share| frame.parts[share.part].blocks);
                (frame.mcus(), blocks.collect())
            }
        };
        for row in 0..rows {
            self.deadline.check()?;
            for column in 0..columns {
                self.restart().ok_or_else(|| self.fault())?;
                for (index, [across, down]) in blocks.iter().enumerate() {
                    for block in 0..across * down {
                        let place = [
                            column * across + block % across,
                            row * down + block / across,
                        ];
                        read(&mut self, index, place).ok_or_else(|| self.fault())?;
                    }
                }
            }
            // Until here zeros stood for what is missing.
            if self.bits.is_exhausted() {
                return Err(self.fault());
            }
        }
        Ok(())
    }

    fn fault(&self) -> Error {
        damaged(if self.bits.has_ended() {
            "its data end before the picture does"
        } else if self.bits.are_senseless() {
            "its data hold a code that means nothing"
        } else {
            "its data make no sense"
        })
    }

    /// Passes over a restart marker where one is due.
    fn restart(&mut self) -> Option<()> {
        if self.restarts.pass(&mut self.bits)? {
            self.means = [0; 4];
            self.ended = 0;
        }
        Some(())
    }

    #[inline(always)]
    fn mean(&mut self, code: &DcCode, index: usize, low: u8, factors: &Factors) -> Option<()> {
        self.means[index] += code.difference(&mut self.bits)?;
        fits(i64::from(self.means[index]) << low, factors[0]).then_some(())
    }

    /// The first bits of a block's band.
    fn first_bits(
        &mut self,
        code: &Code,
        scan: &Scan,
        factors: &Factors,
        block: &mut u64,
    ) -> Option<()> {
        if self.ended > 0 {
            self.ended -= 1;
            return Some(());
        }
        let [mut at, last] = scan.band;
        while at <= last {
            self.bits.refill();
            let symbol = code.symbol(&mut self.bits)?;
            let zeros = usize::from(symbol >> 4);
            match symbol & 15 {
                0 if zeros < SIXTEEN_ZEROS => {
                    self.ended = self.run(zeros) - 1;
                    return Some(());
                }
                0 => at += zeros + 1,
                size => {
                    at += zeros;
                    let value = i64::from(self.bits.number(size.into())) << scan.low;
                    if at > last || !fits(value, factors[at]) {
                        return None;
                    }
                    *block |= 1 << at;
                    at += 1;
                }
            }
        }
        (at == last + 1).then_some(())
    }

    /// One more bit for each coefficient of a block's band that has begun, and those that begin with it.
    fn next_bit(&mut self, code: &Code, scan: &Scan, block: &mut u64) -> Option<()> {
        let [mut at, last] = scan.band;
        while at <= last && self.ended == 0 {
            self.bits.refill();
            let symbol = code.symbol(&mut self.bits)?;
            let zeros = usize::from(symbol >> 4);
            match symbol & 15 {
                0 if zeros < SIXTEEN_ZEROS => self.ended = self.run(zeros),
                size @ 0..=1 => {
                    self.bits.consume(size.into());
                    at = self.behind_zeros(*block, at, last, zeros)?;
                    *block |= u64::from(size) << at;
                    at += 1;
                }
                _ => return None,
            }
        }
        if self.ended > 0 {
            self.ended -= 1;
            (at..=last).for_each(|at| self.correct(*block, at));
        }
        Some(())
    }

    /// The coefficient that is zero behind so many others that are; those between have their bits.
    fn behind_zeros(
        &mut self,
        block: u64,
        from: usize,
        last: usize,
        mut zeros: usize,
    ) -> Option<usize> {
        for at in from..=last {
            match (block >> at & 1, zeros) {
                (1, _) => self.correct(block, at),
                (_, 0) => return Some(at),
                _ => zeros -= 1,
            }
        }
        None
    }

    /// Takes the bit of a coefficient that is not zero.
    fn correct(&mut self, block: u64, at: usize) {
        self.bits.refill();
        self.bits.consume((block >> at & 1) as u32);
    }

    /// In how many blocks a band ends, of a class by so many more bits.
    fn run(&mut self, class: usize) -> u32 {
        let more = self.bits.peek_some(class as u32);
        self.bits.consume(class as u32);
        (1 << class) + more
    }
}

/// What a symbol without a coefficient says: sixteen zeros, or less, in how many blocks the band ends.
const SIXTEEN_ZEROS: usize = 15;

/// Whether 16 bits hold a coefficient and its product with the factor, which may be 0.
fn fits(coefficient: i64, factor: u16) -> bool {
    coefficient.abs() * i64::from(factor.max(1)) < MAX_COEFFICIENT
}
