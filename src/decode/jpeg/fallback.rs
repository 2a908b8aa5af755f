//! JPEGs for which this library has no decoder of its own.
//!
//! The `image` crate hands the decoder inside it the whole file at once, which then never asks for more of it, and
//! takes what the decoder has where that fails. Here it fails as well, and where many scans could keep it busy (one of
//! some bytes for as long as the largest real one does) the clock is looked at before each.

use image::{DynamicImage, GrayImage, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::{ZByteReaderTrait, ZCursor};
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::plain::Plain;
use super::scans::take_time;
use crate::deadline::Deadline;
use crate::error::Error;

impl Plain {
    pub(super) fn decode(&self, deadline: &Deadline) -> Result<DynamicImage, Error> {
        let [width, height] = self.size();
        let colours = match self.frame.parts.len() {
            1 => ColorSpace::Luma,
            _ => ColorSpace::RGB,
        };
        let samples = if take_time(self.scan_count, width, height) {
            samples(deadline.reader(&self.bytes), colours)
        } else {
            samples(ZCursor::new(&self.bytes[..]), colours)
        }?;
        let image = match colours {
            ColorSpace::Luma => GrayImage::from_raw(width, height, samples).map(DynamicImage::from),
            _ => RgbImage::from_raw(width, height, samples).map(DynamicImage::from),
        };
        image.ok_or_else(|| fault("it has fewer pixels than it says"))
    }
}

fn samples(file: impl ZByteReaderTrait, colours: ColorSpace) -> Result<Vec<u8>, Error> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(colours);
    JpegDecoder::new_with_options(file, options)
        .decode()
        .map_err(|error| fault(&error.to_string()))
}

fn fault(cause: &str) -> Error {
    Error::undecodable("JPEG", cause)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::tests::{encode, far, grained, plain, reference, segment};
    use super::*;

    #[test]
    fn with_a_look_at_the_clock_the_pixels_are_the_same() {
        for (kind, colours) in [
            (jpeg_encoder::ColorType::Rgb, ColorSpace::RGB),
            (jpeg_encoder::ColorType::Luma, ColorSpace::Luma),
        ] {
            let bytes = encode(&grained([131, 98]), kind, |encoder| {
                encoder.set_progressive(true)
            });
            let plain = plain(&bytes);
            let (file, clocked) = (ZCursor::new(&plain.bytes[..]), far().reader(&plain.bytes));
            let decoded = plain.decode(&far()).unwrap();
            assert_eq!(decoded.to_rgb8(), reference(&bytes));
            for samples in [samples(file, colours), samples(clocked, colours)] {
                assert_eq!(samples.unwrap(), decoded.as_bytes());
            }
        }
    }

    /// A grey picture in scans of which each has a bit for each block, which says that there is nothing.
    fn empty_scans(side: u16, scans: u8) -> Vec<u8> {
        let one_code: [u8; 16] = std::array::from_fn(|at| u8::from(at == 0));
        let code = |class: u8| segment(0xc4, &[&[class][..], &one_code, &[0]].concat());
        let sides = [side.to_be_bytes(); 2].concat();
        let data = vec![0; (usize::from(side) / 8).pow(2).div_ceil(8)];
        let scan = |at: u8| [&segment(0xda, &[1, 1, 0, at, at, 0]), &data[..]].concat();
        [
            vec![0xff, 0xd8],
            segment(0xdb, &[&[0][..], &[1; 64]].concat()),
            segment(0xc2, &[&[8][..], &sides, &[1, 1, 0x11, 0]].concat()),
            [code(0x00), code(0x10)].concat(),
            (0..scans).flat_map(scan).collect(),
            vec![0xff, 0xd9],
        ]
        .concat()
    }

    #[test]
    fn many_scans_are_left_in_the_middle_when_the_time_is_up() {
        let plain = plain(&empty_scans(4000, 60));
        let timed = |deadline: &Deadline| {
            let started = Instant::now();
            let decoded = plain.decode(deadline);
            (decoded.is_ok(), started.elapsed())
        };
        let (is_whole, patient) = timed(&far());
        let (is_left, hasty) = timed(&Deadline::after(Duration::from_millis(1)));
        assert!(is_whole && !is_left);
        assert!(hasty * 2 < patient, "{hasty:?} of {patient:?}");
    }
}
