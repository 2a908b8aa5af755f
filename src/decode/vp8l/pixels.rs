//! The pixels of a WebP without loss, before its transforms: for what they say of how others are coded, and for whether
//! the cache has had each colour that is taken out of it.

use super::{Blocks, Code, LENGTHS, Walk, damaged};
use crate::error::Error;

/// The codes of green, red, blue, alpha and distance.
type Group = [Code; 5];

/// The first symbol of green that is none, but the length of a copy.
const COPY: usize = 256;
/// The first that is a colour of the cache.
const CACHED: usize = COPY + LENGTHS;
/// What the hash of a colour is made with.
const HASH: u32 = 0x1e35_a7bd;

/// The pixels that the distances 1 to 120 mean: how far to the left, and how many rows above.
#[rustfmt::skip]
const NEAR: [(i8, i8); 120] = [
    (0, 1), (1, 0), (1, 1), (-1, 1), (0, 2), (2, 0), (1, 2), (-1, 2), (2, 1), (-2, 1), (2, 2), (-2, 2),
    (0, 3), (3, 0), (1, 3), (-1, 3), (3, 1), (-3, 1), (2, 3), (-2, 3), (3, 2), (-3, 2), (0, 4), (4, 0),
    (1, 4), (-1, 4), (4, 1), (-4, 1), (3, 3), (-3, 3), (2, 4), (-2, 4), (4, 2), (-4, 2), (0, 5), (3, 4),
    (-3, 4), (4, 3), (-4, 3), (5, 0), (1, 5), (-1, 5), (5, 1), (-5, 1), (2, 5), (-2, 5), (5, 2), (-5, 2),
    (4, 4), (-4, 4), (3, 5), (-3, 5), (5, 3), (-5, 3), (0, 6), (6, 0), (1, 6), (-1, 6), (6, 1), (-6, 1),
    (2, 6), (-2, 6), (6, 2), (-6, 2), (4, 5), (-4, 5), (5, 4), (-5, 4), (3, 6), (-3, 6), (6, 3), (-6, 3),
    (0, 7), (7, 0), (1, 7), (-1, 7), (5, 5), (-5, 5), (7, 1), (-7, 1), (4, 6), (-4, 6), (6, 4), (-6, 4),
    (2, 7), (-2, 7), (7, 2), (-7, 2), (3, 7), (-3, 7), (7, 3), (-7, 3), (5, 6), (-5, 6), (6, 5), (-6, 5),
    (8, 0), (4, 7), (-4, 7), (7, 4), (-7, 4), (8, 1), (8, 2), (6, 6), (-6, 6), (8, 3), (5, 7), (-5, 7),
    (7, 5), (-7, 5), (8, 4), (6, 7), (-6, 7), (7, 6), (-7, 6), (8, 5), (7, 7), (-7, 7), (8, 6), (8, 7),
];

/// The groups of codes of a picture, and which blocks have which.
pub(super) struct Groups {
    /// All of a picture has the first, where there are no blocks.
    blocks: Option<Blocks>,
    all: Vec<Group>,
}

impl Groups {
    pub fn of(blocks: Option<Blocks>) -> Self {
        Groups {
            blocks,
            all: Vec::new(),
        }
    }

    /// How many the picture has.
    pub fn count(&self) -> usize {
        let blocks = self.blocks.iter().flat_map(|blocks| &blocks.values);
        1 + blocks.map(|value| index(*value)).max().unwrap_or(0)
    }

    pub fn add(&mut self, group: Group) {
        self.all.push(group);
    }

    fn at(&self, x: usize, y: usize) -> Result<&Group, Error> {
        let index = self.blocks.as_ref().map_or(0, |blocks| {
            index(blocks.values[(y >> blocks.bits) * blocks.across + (x >> blocks.bits)])
        });
        self.all.get(index).ok_or_else(damaged)
    }
}

/// The number of a block's group, which is its red and green.
fn index(value: u32) -> usize {
    (value >> 8) as usize & 0xffff
}

/// The colours that were seen last, by their hash; none that were never put there.
struct Cache(Vec<Option<u32>>);

impl Cache {
    fn new(colours: usize) -> Self {
        let mut all = vec![None; colours];
        // All begin as transparent black, which is where that belongs here alone; encoders rely on it.
        if let Some(first) = all.first_mut() {
            *first = Some(0);
        }
        Cache(all)
    }

    fn insert(&mut self, colour: u32) {
        if let Some(bits) = self.0.len().checked_ilog2() {
            let hash = HASH.wrapping_mul(colour) >> (u32::BITS - bits);
            self.0[hash as usize] = Some(colour);
        }
    }

    fn colour(&self, key: usize) -> Result<u32, Error> {
        let colour = self.0.get(key).copied().flatten();
        colour.ok_or_else(|| {
            Error::unreadable(
                "the WebP is damaged: it takes a colour out of its cache that was never put there",
            )
        })
    }
}

impl Walk<'_> {
    /// The pixels of a picture of this width and height, whose cache has so many colours.
    pub(super) fn pixels(
        &mut self,
        size: [u32; 2],
        groups: &Groups,
        cache: usize,
    ) -> Result<Vec<u32>, Error> {
        let [width, height] = size.map(|side| side as usize);
        let area = width * height;
        let mut cache = Cache::new(cache);
        let mut pixels = Vec::with_capacity(area);
        let (mut x, mut y) = (0, 0);
        self.deadline.check()?;
        while pixels.len() < area {
            let before = pixels.len();
            let group = groups.at(x, y)?;
            match self.bits.symbol(&group[0])? {
                green @ ..COPY => {
                    let colour = self.colour(green, group)?;
                    cache.insert(colour);
                    pixels.push(colour);
                }
                symbol @ COPY..CACHED => {
                    let length = self.bits.number(symbol - COPY)?;
                    let distance = self.distance(group, width)?;
                    if distance > before || length > area - before {
                        return Err(damaged());
                    }
                    for at in before - distance..before - distance + length {
                        let colour = pixels[at];
                        cache.insert(colour);
                        pixels.push(colour);
                    }
                }
                symbol => pixels.push(cache.colour(symbol - CACHED)?),
            }
            x += pixels.len() - before;
            while x >= width {
                (x, y) = (x - width, y + 1);
                self.deadline.check()?;
            }
        }
        Ok(pixels)
    }

    /// Alpha, red, green and blue as one number, whose green is known.
    fn colour(&mut self, green: usize, [_, red, blue, alpha, _]: &Group) -> Result<u32, Error> {
        let [red, blue, alpha] = [
            self.bits.symbol(red)?,
            self.bits.symbol(blue)?,
            self.bits.symbol(alpha)?,
        ];
        Ok((alpha << 24 | red << 16 | green << 8 | blue) as u32)
    }

    /// How many pixels before this one a copy begins.
    fn distance(&mut self, [.., distance]: &Group, width: usize) -> Result<usize, Error> {
        let symbol = self.bits.symbol(distance)?;
        let number = self.bits.number(symbol)?;
        let Some((left, above)) = NEAR.get(number - 1) else {
            return Ok(number - NEAR.len());
        };
        let distance = i64::from(*left) + i64::from(*above) * width as i64;
        Ok(distance.max(1) as usize)
    }
}
