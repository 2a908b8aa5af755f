//! Whether the entropy-coded data of a JPEG are all there and mean what such data can mean.
//!
//! Where they do not, every decoder goes on in a way of its own: one stops and gives what it has, another fills in, a
//! third counts coefficients beyond the last one from the first again. A file that was made for that shows each of them
//! another picture.

use super::bits::{Bits, Restarts};
use super::frame::{Factors, Frame, HuffmanSegment, MAX_ENERGY, Scan, Tables, no_tables};
use super::huffman::{AcCode, Code, DcCode, Shared};
use super::plain::Plain;
use super::segments::damaged;
use crate::deadline::Deadline;
use crate::error::Error;

/// Decoders keep coefficients in 16 bits.
const MAX_COEFFICIENT: u64 = 1 << 15;

/// Refuses a file whose data do not fit it. They may go on behind the picture, which all decoders pass over.
pub(super) fn check(plain: &Plain, deadline: &Deadline) -> Result<(), Error> {
    let frame = &plain.frame;
    let mut blocks = Blocks::of(frame);
    let mut scans = plain.scans();
    while let Some((scan, coded)) = scans.next()? {
        Stretch::new(coded, &scans.tables, deadline).check(&scan, frame, &mut blocks)?;
    }
    Ok(())
}

fn code<'a>(
    codes: &[Option<HuffmanSegment<'a>>; 4],
    at: usize,
) -> Result<HuffmanSegment<'a>, Error> {
    codes.get(at).copied().flatten().ok_or_else(no_tables)
}

/// The blocks of a component, which scans add to.
struct Blocks {
    columns: usize,
    all: Vec<Block>,
}

/// What is known of a block.
#[derive(Clone, Copy, Default)]
struct Block {
    /// Which coefficients are not zero so far, a bit for each. What a later scan holds of the block depends on it.
    begun: u64,
    energy: Energy,
}

impl Blocks {
    /// Of all components, where there are later scans.
    fn of(frame: &Frame) -> Vec<Self> {
        let [columns, rows] = frame.mcus();
        let parts = frame.parts.iter().filter(|_| frame.progressive);
        let blocks = parts.map(|part| Blocks {
            columns: columns * part.blocks[0],
            all: vec![Block::default(); columns * part.blocks[0] * rows * part.blocks[1]],
        });
        blocks.collect()
    }

    fn at(&mut self, [column, row]: [usize; 2]) -> Option<&mut Block> {
        self.all.get_mut(row * self.columns + column)
    }
}

/// The squares of a block's coefficients, added up.
#[derive(Clone, Copy, Default)]
struct Energy(u64);

impl Energy {
    /// Adds a coefficient that still lacks some bits, by the most that it can become. `None` where it is too much. The
    /// factor may be 0, but 16 bits must hold the coefficient nevertheless.
    #[inline(always)]
    fn add(&mut self, coefficient: i32, lacks: u8, factor: u16) -> Option<()> {
        let most = ((u64::from(coefficient.unsigned_abs()) + 1) << lacks) - 1;
        let size = most * u64::from(factor);
        self.0 = self.0.saturating_add(size.saturating_mul(size));
        (most < MAX_COEFFICIENT && self.0 < MAX_ENERGY.into()).then_some(())
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

    fn check(self, scan: &Scan, frame: &Frame, blocks: &mut [Blocks]) -> Result<(), Error> {
        match (scan.band, scan.high) {
            _ if !frame.progressive => self.check_whole(scan, frame),
            ([0, _], 0) => self.check_means(scan, frame, blocks),
            ([0, _], _) => self.each_block(scan, frame, |stretch, _, _| {
                stretch.bits.refill();
                stretch.bits.consume(1);
                Some(())
            }),
            _ => self.check_band(scan, frame, &mut blocks[scan.shares[0].part]),
        }
    }

    /// All coefficients of all components.
    fn check_whole(self, scan: &Scan, frame: &Frame) -> Result<(), Error> {
        let (mut dc, mut ac) = (Shared::default(), Shared::default());
        let mut parts = Vec::new();
        for share in &scan.shares {
            let mean = dc.place(code(&self.tables.dc, share.dc)?, DcCode::new);
            let others = ac.place(code(&self.tables.ac, share.ac)?, AcCode::new);
            let factors = self.factors(frame, share.part)?;
            let most = factors.iter().copied().fold(0, u16::max);
            parts.push((mean, others, factors, most));
        }
        self.each_block(scan, frame, |stretch, index, _| {
            let (mean, others, factors, most) = &parts[index];
            let mut energy = Energy::default();
            stretch.mean(dc.get(*mean), index, 0, factors, &mut energy)?;
            stretch.others(ac.get(*others), factors, *most, energy)
        })
    }

    /// The coefficients of a block but for its mean. That they have not too much energy is seen at once in nearly all
    /// blocks, as if the largest factor were that of all.
    #[inline(always)]
    fn others(
        &mut self,
        code: &AcCode,
        factors: &Factors,
        most: u16,
        mut energy: Energy,
    ) -> Option<()> {
        let start = self.bits;
        let squares = code.skip(&mut self.bits)?;
        if energy.0 + squares * u64::from(most).pow(2) < MAX_ENERGY.into() {
            return Some(());
        }
        self.bits = start;
        code.coefficients(&mut self.bits, |at, value| {
            energy.add(value, 0, factors[at])
        })
    }

    /// The first bits of the blocks' means.
    fn check_means(self, scan: &Scan, frame: &Frame, blocks: &mut [Blocks]) -> Result<(), Error> {
        let mut parts = Vec::new();
        for share in &scan.shares {
            let code = DcCode::new(code(&self.tables.dc, share.dc)?);
            parts.push((code, self.factors(frame, share.part)?, share.part));
        }
        self.each_block(scan, frame, |stretch, index, place| {
            let (code, factors, part) = &parts[index];
            let energy = &mut blocks[*part].at(place)?.energy;
            stretch.mean(code, index, scan.low, factors, energy)
        })
    }

    /// Other coefficients of one component: their first bits, or one more.
    fn check_band(self, scan: &Scan, frame: &Frame, blocks: &mut Blocks) -> Result<(), Error> {
        let share = scan.shares[0];
        let code = Code::new(code(&self.tables.ac, share.ac)?);
        let factors = self.factors(frame, share.part)?;
        self.each_block(scan, frame, |stretch, _, place| {
            let block = blocks.at(place)?;
            match scan.high {
                0 => stretch.first_bits(&code, scan, &factors, block),
                _ => stretch.next_bit(&code, scan, &factors, block),
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
    fn mean(
        &mut self,
        code: &DcCode,
        index: usize,
        low: u8,
        factors: &Factors,
        energy: &mut Energy,
    ) -> Option<()> {
        self.means[index] += code.difference(&mut self.bits)?;
        energy.add(self.means[index], low, factors[0])
    }

    /// The first bits of a block's band.
    fn first_bits(
        &mut self,
        code: &Code,
        scan: &Scan,
        factors: &Factors,
        block: &mut Block,
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
                    let value = self.bits.number(size.into());
                    if at > last {
                        return None;
                    }
                    block.energy.add(value, scan.low, factors[at])?;
                    block.begun |= 1 << at;
                    at += 1;
                }
            }
        }
        (at == last + 1).then_some(())
    }

    /// One more bit for each coefficient of a block's band that has begun, and those that begin with it.
    fn next_bit(
        &mut self,
        code: &Code,
        scan: &Scan,
        factors: &Factors,
        block: &mut Block,
    ) -> Option<()> {
        let [mut at, last] = scan.band;
        while at <= last && self.ended == 0 {
            self.bits.refill();
            let symbol = code.symbol(&mut self.bits)?;
            let zeros = usize::from(symbol >> 4);
            match symbol & 15 {
                0 if zeros < SIXTEEN_ZEROS => self.ended = self.run(zeros),
                size @ 0..=1 => {
                    self.bits.consume(size.into());
                    at = self.behind_zeros(block.begun, at, last, zeros)?;
                    if size == 1 {
                        block.energy.add(1, scan.low, factors[at])?;
                        block.begun |= 1 << at;
                    }
                    at += 1;
                }
                _ => return None,
            }
        }
        if self.ended > 0 {
            self.ended -= 1;
            (at..=last).for_each(|at| self.correct(block.begun, at));
        }
        Some(())
    }

    /// The coefficient that is zero behind so many others that are; those between have their bits.
    fn behind_zeros(
        &mut self,
        begun: u64,
        from: usize,
        last: usize,
        mut zeros: usize,
    ) -> Option<usize> {
        for at in from..=last {
            match (begun >> at & 1, zeros) {
                (1, _) => self.correct(begun, at),
                (_, 0) => return Some(at),
                _ => zeros -= 1,
            }
        }
        None
    }

    /// Takes the bit of a coefficient that is not zero.
    fn correct(&mut self, begun: u64, at: usize) {
        self.bits.refill();
        self.bits.consume((begun >> at & 1) as u32);
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
