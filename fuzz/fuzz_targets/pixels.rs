//! Raw pixels in every format, stride and size, in memory of exactly the stated length.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use image::RgbImage;
use image::imageops::{self, FilterType};
use libfuzzer_sys::fuzz_target;
use liveness_fuzz::abi::{Input, Pixels};
use liveness_fuzz::{check, engine, portrait};

#[derive(Debug, Arbitrary)]
struct Case<'a> {
    format: i32,
    width: u32,
    height: u32,
    stride: usize,
    orientation: u32,
    reserved: u32,
    struct_size: u32,
    /// Bit by bit: whether the field above is taken as it is, or made to fit.
    wild: u8,
    /// Samples are those of the portrait before `paint` goes over them.
    face: bool,
    missing: u16,
    place: u32,
    paint: &'a [u8],
}

impl Case<'_> {
    fn is_wild(&self, bit: u8) -> bool {
        self.wild & 1 << bit != 0 && self.wild & 0x80 != 0
    }

    fn fitted(&self) -> (i32, u32, u32, usize) {
        let format = if self.is_wild(0) {
            self.format
        } else {
            self.format.rem_euclid(8) + 1
        };
        let side = |side: u32, wild| if wild { side } else { side % 160 + 1 };
        let (width, height) = (
            side(self.width, self.is_wild(1)),
            side(self.height, self.is_wild(2)),
        );
        let row = width as usize * channels(format);
        let stride = match self.stride % 3 {
            _ if self.is_wild(3) => self.stride,
            0 => 0,
            1 => row,
            _ => row.saturating_add(self.stride % 67),
        };
        (format, width, height, stride)
    }
}

fn channels(format: i32) -> usize {
    match format {
        1 | 2 => 3,
        3 | 4 => 4,
        _ => 1,
    }
}

/// Bytes that the layout takes, if it is one that could be given at all.
fn needed(format: i32, width: u32, height: u32, stride: usize) -> Option<usize> {
    const MOST: usize = 1 << 20;
    let stride = if stride == 0 {
        width as usize * channels(format)
    } else {
        stride
    };
    let luma = stride.checked_mul(height as usize)?;
    let all = match format {
        6..=8 => luma.checked_add(
            stride
                .div_ceil(2)
                .checked_mul(2)?
                .checked_mul(height.div_ceil(2) as usize)?,
        )?,
        _ => luma,
    };
    (all <= MOST).then_some(all)
}

/// The portrait in this layout, as far as it fits.
fn draw(data: &mut [u8], image: &RgbImage, format: i32, stride: usize) {
    let luma = |[r, g, b]: [u8; 3]| {
        ((u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29) >> 8) as u8
    };
    let wide = channels(format);
    let stride = if stride == 0 {
        image.width() as usize * wide
    } else {
        stride
    };
    for (x, y, pixel) in image.enumerate_pixels() {
        let [r, g, b] = pixel.0;
        // A wild stride leads beyond all memory, where nothing is to be drawn.
        let row = (y as usize).saturating_mul(stride);
        let at = row.saturating_add(x as usize * wide);
        let samples = match format {
            1 => vec![r, g, b],
            2 => vec![b, g, r],
            3 => vec![r, g, b, 255],
            4 => vec![b, g, r, 255],
            _ => vec![luma(pixel.0)],
        };
        if let Some(to) = data.get_mut(at..at.saturating_add(wide)) {
            to.copy_from_slice(&samples);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    let (format, width, height, stride) = case.fitted();
    let length = needed(format, width, height, stride).unwrap_or(case.paint.len());
    // Grey, so that the chroma planes say nothing.
    let mut data = vec![128; length].into_boxed_slice();
    let sane = (1..=512).contains(&width) && (1..=512).contains(&height);
    if case.face && sane {
        let image = imageops::resize(&*portrait::SMALL, width, height, FilterType::Triangle);
        draw(&mut data, &image, format, stride);
    }
    let painted = case.paint.len().min(data.len());
    if painted > 0 {
        let at = case.place as usize % (data.len() - painted + 1);
        data[at..at + painted].copy_from_slice(&case.paint[..painted]);
    }
    let short = if case.is_wild(4) {
        data.len().min(case.missing.into())
    } else {
        0
    };
    // A copy of exactly this length, behind which AddressSanitizer watches.
    let data: Box<[u8]> = data[..data.len() - short].into();
    let pixels = Pixels {
        struct_size: if case.is_wild(5) {
            // More than the struct has would be the host's lie about its own memory.
            case.struct_size.min(size_of::<Pixels>() as u32)
        } else {
            size_of::<Pixels>() as u32
        },
        format,
        data: data.as_ptr(),
        len: data.len(),
        stride,
        width,
        height,
        orientation: if case.is_wild(6) {
            case.orientation
        } else {
            case.orientation % 9
        },
        reserved: if case.is_wild(6) { case.reserved } else { 0 },
    };
    let found = check(engine(), Input::Pixels(&pixels), &[2, 4, 51, 52]);
    if !case.face
        && let Ok(outcome) = found
    {
        assert_eq!(
            outcome.liveness, 0,
            "live, but nobody is there: {outcome:?}"
        );
    }
});
