//! Mutations that know the structure of image files: whole segments are dropped, doubled,
//! swapped or changed, and sizes stay consistent where plain mutation would break them.

use libfuzzer_sys::fuzzer_mutate;

/// Mutates a file in place like a libFuzzer mutator, and gives its new length.
pub fn image_file(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random(u64::from(seed) | 1 << 40);
    if random.below(4) != 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut parts = split(&data[..size]);
    if parts.len() < 3 {
        return fuzzer_mutate(data, size, max_size);
    }
    let (at, other) = (random.below(parts.len()), random.below(parts.len()));
    match random.below(5) {
        0 => drop(parts.remove(at)),
        1 => parts.insert(other, parts[at].clone()),
        2 => parts.swap(at, other),
        3 => extreme(&mut parts[at], &mut random),
        _ => {
            let part = &mut parts[at];
            let length = part.len();
            part.resize(length + 64, 0);
            let length = fuzzer_mutate(part, length, length + 64);
            part.truncate(length);
        }
    }
    let bytes = parts.concat();
    let size = bytes.len().min(max_size);
    data[..size].copy_from_slice(&bytes[..size]);
    size
}

/// Writes a number that is often not expected, in either byte order.
fn extreme(part: &mut [u8], random: &mut Random) {
    const NUMBERS: [u32; 10] = [
        0,
        1,
        2,
        0x7fff,
        0x8000,
        0xffff,
        0x1_0000,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
    ];
    let number = NUMBERS[random.below(NUMBERS.len())];
    let width = [2, 4][random.below(2)];
    if part.len() < width {
        return;
    }
    let at = random.below(part.len() - width + 1);
    let bytes = if random.below(2) == 0 {
        number.to_be_bytes()
    } else {
        number.to_le_bytes()
    };
    let start = if number.to_be_bytes() == bytes {
        4 - width
    } else {
        0
    };
    part[at..at + width].copy_from_slice(&bytes[start..start + width]);
}

/// A file in its segments: those of JPEG, PNG, GIF's blocks coarsely, RIFF's chunks.
fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    if bytes.starts_with(&[0xff, 0xd8]) {
        jpeg(bytes)
    } else if bytes.starts_with(b"\x89PNG") {
        chunks(bytes, 8, |head| {
            Some(u32::from_be_bytes(*head.first_chunk()?) as usize + 12)
        })
    } else if bytes.starts_with(b"RIFF") {
        chunks(bytes, 12, |head| {
            let length = u32::from_le_bytes(*head.get(4..8)?.first_chunk()?) as usize;
            Some(8 + length + length % 2)
        })
    } else {
        bytes
            .chunks(bytes.len().div_ceil(16).max(4))
            .map(<[u8]>::to_vec)
            .collect()
    }
}

fn chunks(bytes: &[u8], head: usize, length: impl Fn(&[u8]) -> Option<usize>) -> Vec<Vec<u8>> {
    let (start, mut rest) = bytes.split_at(head.min(bytes.len()));
    let mut parts = vec![start.to_vec()];
    while !rest.is_empty() {
        let next = length(rest).unwrap_or(rest.len()).clamp(1, rest.len());
        let (part, after) = rest.split_at(next);
        parts.push(part.to_vec());
        rest = after;
    }
    parts
}

/// Segments begin with a marker; the entropy-coded data stays with its scan.
fn jpeg(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1).copied().unwrap_or(0);
        let marker = *byte == 0xff && matches!(next, 0xc0..=0xcf | 0xd8..=0xfe);
        match parts.last_mut() {
            Some(part) if !marker => part.push(*byte),
            _ => parts.push(vec![*byte]),
        }
    }
    parts
}

/// A small generator (xorshift64*), because libFuzzer hands over a seed only.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}
