//! From what a caller hands in to upright RGB pixels.

mod base64;
mod bmp;
mod colour;
mod detail;
mod encoded;
mod exif;
mod gif;
mod jpeg;
mod palette;
mod picture;
mod png;
mod raw;
mod tiff;
mod vp8l;
mod webp;
mod yuv;

use std::borrow::Cow;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::config::Config;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::pixels::Image;
use crate::resample::Rect;

#[cfg(fuzzing)]
pub use jpeg::compare_jpeg_decoders;

pub(crate) use detail::{Glance, Overview};
pub(crate) use picture::{Picture, Samples};

/// What an image may cost. It is checked before anything of that size is allocated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub file_bytes: u64,
    pub pixels: u64,
    pub side: u32,
}

impl Limits {
    pub fn new(config: &Config) -> Self {
        Limits {
            file_bytes: config.max_file_bytes,
            pixels: config.max_pixels,
            side: config.max_side,
        }
    }

    fn check_size(&self, width: u32, height: u32) -> Result<(), Error> {
        if width == 0 || height == 0 {
            return Err(Error::unreadable(format!(
                "the image is {width} x {height} pixels, so it is empty"
            )));
        }
        if width > self.side
            || height > self.side
            || u64::from(width) * u64::from(height) > self.pixels
        {
            return Err(Error::unreadable(format!(
                "the image is {width} x {height} pixels; the limits are {} pixels a side and {} in all: send a smaller one",
                self.side, self.pixels
            )));
        }
        Ok(())
    }

    fn check_file(&self, bytes: u64) -> Result<(), Error> {
        if bytes > self.file_bytes {
            return Err(Error::too_large(format!(
                "the file has {bytes} bytes; the limit is {}: send a smaller one",
                self.file_bytes
            )));
        }
        Ok(())
    }
}

/// An image that was decoded as finely as a first look needs.
#[derive(Debug)]
pub(crate) struct Decoded<'a> {
    /// All of the image.
    pub picture: Picture<'a>,
    /// The file, where it can be decoded more finely.
    file: Option<encoded::File<'a>>,
}

/// Decodes an image and turns it upright.
pub(crate) fn decode<'a>(
    image: Image<'a>,
    limits: &Limits,
    overview: &Overview,
    deadline: &Deadline,
) -> Result<Decoded<'a>, Error> {
    let file = match image {
        Image::Encoded(bytes) => Cow::Borrowed(bytes),
        Image::Base64(text) => Cow::Owned(base64::decode(text, limits)?),
        Image::File(path) => Cow::Owned(read(path, limits)?),
        Image::Pixels(pixels) => {
            let picture = raw::decode(&pixels, limits)?;
            return Ok(Decoded {
                picture,
                file: None,
            });
        }
    };
    let file = encoded::File::open(file, limits)?;
    let picture = file.decode(limits, overview, deadline)?;
    let file = (picture.unit() > 1).then_some(file);
    Ok(Decoded { picture, file })
}

impl<'a> Decoded<'a> {
    /// A picture that is fine enough for these glances and shows all that they look at.
    pub fn detailed(
        self,
        glances: &[Glance],
        limits: &Limits,
        deadline: &Deadline,
    ) -> Result<Picture<'a>, Error> {
        match self.file {
            Some(file) if detail::unit_of(glances) < self.picture.unit() => {
                // It is not needed any more, and the next one is larger.
                drop(self.picture);
                file.decode_again(glances, limits, deadline)
            }
            _ => Ok(self.picture),
        }
    }
}

fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    // The path is the caller's own. It stays out of the reason, which is logged and may be sent on.
    let fault = |cause: &dyn std::fmt::Display| {
        Error::unreadable(format!("the file cannot be read: {cause}"))
    };
    // Asked before opening: to open a pipe could wait forever.
    let metadata = path.metadata().map_err(|error| fault(&error))?;
    if !metadata.is_file() {
        return Err(fault(&"it is not a regular file"));
    }
    limits.check_file(metadata.len())?;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| fault(&error))?;
    // The file may have grown since; one byte more than allowed is enough to tell.
    file.take(limits.file_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| match error.kind() {
            ErrorKind::OutOfMemory => Error::internal("there is no memory for the file"),
            _ => fault(&error),
        })?;
    Ok(bytes)
}
