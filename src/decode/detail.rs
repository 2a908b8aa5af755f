//! How finely an image must be decoded.

use crate::resample::Rect;

/// A part of the image that is looked at, in pixels of the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Glance {
    pub part: Rect,
    /// The largest pixels in which it shows enough, in pixels of the image.
    pub unit: f64,
}

impl Glance {
    /// A part that is resampled to this size, and wants so many samples per pixel of that.
    pub fn new(part: Rect, width: u32, height: u32, samples: f64) -> Self {
        let pixel = (part.width / f64::from(width)).min(part.height / f64::from(height));
        let unit = pixel / samples;
        Glance { part, unit }
    }
}

/// The sides of the coarsest copy of an image that is of use, before anybody has looked at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Overview {
    pub long_side: f64,
    pub short_side: f64,
}

impl Overview {
    /// For whoever wants to see everything.
    #[cfg(any(test, fuzzing))]
    pub fn full() -> Self {
        Overview {
            long_side: f64::INFINITY,
            short_side: f64::INFINITY,
        }
    }
}

/// Sizes, in pixels of the image, of the pixels that can be decoded, coarse ones first.
pub(super) const UNITS: [u32; 4] = [8, 4, 2, 1];

/// The size of pixels that an image of this size is decoded in first.
pub(super) fn unit_for(overview: &Overview, width: u32, height: u32) -> u32 {
    let (long, short) = (width.max(height), width.min(height));
    coarsest(|unit| {
        f64::from(long) >= overview.long_side * unit
            && f64::from(short) >= overview.short_side * unit
    })
}

/// The size of pixels in which all is fine enough.
pub(super) fn unit_of(glances: &[Glance]) -> u32 {
    coarsest(|unit| glances.iter().all(|glance| glance.unit >= unit))
}

fn coarsest(is_enough: impl Fn(f64) -> bool) -> u32 {
    UNITS
        .into_iter()
        .find(|unit| is_enough(f64::from(*unit)))
        .unwrap_or(1)
}
