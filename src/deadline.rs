//! The time limit of a check.
//!
//! A call cannot be interrupted from outside, so it looks at the clock itself: between its steps,
//! and whenever a decoder asks for more of the file. No decoder may read a file over and over.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use crate::error::Error;

/// When a check must be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    limit: Duration,
    /// `None` where the clock cannot count that far.
    end: Option<Instant>,
}

impl Deadline {
    /// From now on.
    pub fn after(limit: Duration) -> Self {
        Deadline {
            limit,
            end: Instant::now().checked_add(limit),
        }
    }

    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Refuses to go on when the time is up.
    pub fn check(&self) -> Result<(), Error> {
        if !self.is_over() {
            return Ok(());
        }
        Err(Error::internal(format!(
            "the check took longer than its limit of {} ms: send a smaller image, or set a longer time limit",
            self.limit.as_millis()
        )))
    }

    /// A file that cannot be read any more once the time is up, or once it was read twice.
    pub fn reader<'a>(&self, bytes: &'a [u8]) -> Reader<'a> {
        self.reader_of_pieces(bytes, 0)
    }

    /// A file of so many pieces, behind each of which a decoder may read on a little in vain.
    pub fn reader_of_pieces<'a>(&self, bytes: &'a [u8], pieces: usize) -> Reader<'a> {
        let more = METADATA.saturating_add(pieces.saturating_mul(PIECE));
        Reader {
            bytes: Cursor::new(bytes),
            deadline: *self,
            // The first call looks at the clock.
            unseen: PIECE,
            left: bytes.len().saturating_mul(2).saturating_add(more),
        }
    }
}

/// Most that a decoder gets at once. A kilobyte can hold a megabyte of pixels, so this bounds
/// what happens between two looks at the clock.
const PIECE: usize = 4096;
/// What a call counts for, beside its bytes: many small ones take their time as well.
const CALL: usize = PIECE / 16;
/// What a decoder may read besides twice the file: small parts of it again and again. A TIFF can
/// name the same megabytes as each of its thousands of strips, and keep a decoder busy for hours.
const METADATA: usize = 1 << 20;

/// Hands out a file in pieces and fails when the time is up.
pub(crate) struct Reader<'a> {
    bytes: Cursor<&'a [u8]>,
    deadline: Deadline,
    /// Bytes and calls since the last look at the clock, which is not free.
    unseen: usize,
    /// Bytes that may still be read.
    left: usize,
}

impl Reader<'_> {
    /// A call is made. Fails where it may not be.
    fn call(&mut self) -> io::Result<()> {
        if self.left == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it refers to the same bytes again and again",
            ));
        }
        self.unseen = self.unseen.saturating_add(CALL);
        if self.unseen < PIECE {
            return Ok(());
        }
        self.unseen = 0;
        if self.deadline.is_over() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the time limit of the check is over",
            ));
        }
        Ok(())
    }

    fn used(&mut self, bytes: usize) {
        self.unseen = self.unseen.saturating_add(bytes);
        self.left = self.left.saturating_sub(bytes);
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(PIECE);
        self.call()?;
        let bytes = self.bytes.read(&mut buffer[..most])?;
        self.used(bytes);
        Ok(bytes)
    }
}

impl BufRead for Reader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.call()?;
        let rest = self.bytes.fill_buf()?;
        Ok(&rest[..rest.len().min(PIECE)])
    }

    fn consume(&mut self, amount: usize) {
        self.used(amount);
        self.bytes.consume(amount);
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.call()?;
        self.bytes.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    const OVER: Duration = Duration::ZERO;
    const FAR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_reason_names_limit_and_cure() {
        assert!(Deadline::after(FAR).check().is_ok());
        assert!(Deadline::after(Duration::MAX).check().is_ok());
        let error = Deadline::after(OVER).check().unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        assert!(
            error.detail().contains("0 ms") && error.detail().contains("longer time limit"),
            "{error}"
        );
    }

    #[test]
    fn a_reader_gives_the_file_until_the_time_is_up() {
        let bytes: Vec<u8> = (0..3 * PIECE).map(|at| at as u8).collect();
        let mut all = Vec::new();
        Deadline::after(FAR)
            .reader(&bytes)
            .read_to_end(&mut all)
            .unwrap();
        assert_eq!(all, bytes);

        let mut late = Deadline::after(OVER).reader(&bytes);
        let error = late.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_file_is_not_read_over_and_over() {
        let bytes = vec![0; METADATA];
        let mut reader = Deadline::after(FAR).reader(&bytes);
        let mut rounds = 0;
        let error = loop {
            if let Err(error) = reader
                .rewind()
                .and_then(|()| io::copy(&mut reader, &mut io::sink()))
            {
                break error;
            }
            rounds += 1;
        };
        assert_eq!((rounds, error.kind()), (2, io::ErrorKind::InvalidData));
    }

    #[test]
    fn small_steps_look_at_the_clock_too() {
        let bytes = [0; 64];
        let steps: [fn(&mut Reader<'_>) -> io::Result<()>; 3] = [
            |reader| reader.read(&mut [0]).map(drop),
            |reader| reader.fill_buf().map(drop),
            |reader| reader.rewind(),
        ];
        for step in steps {
            let mut late = Deadline::after(OVER).reader(&bytes);
            assert!((0..PIECE).any(|_| step(&mut late).is_err()));
        }
    }
}
