//! The decoder beside the `image` crate's.

use std::time::Duration;

use image::{ImageFormat, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::bits::Bits;
use super::huffman::{AcCode, DcCode};
use super::*;
use crate::ErrorCode;
use crate::decode::encoded;

const LIMITS: Limits = Limits {
    file_bytes: 1 << 20,
    pixels: 1 << 20,
    side: 1 << 12,
};
/// Everything that has 16 pixels a side at an eighth of its size is decoded so.
const COARSE: f64 = 16.0;

const SAMPLINGS: [(ColorType, SamplingFactor); 5] = [
    (ColorType::Luma, SamplingFactor::F_1_1),
    (ColorType::Rgb, SamplingFactor::F_1_1),
    (ColorType::Rgb, SamplingFactor::F_2_1),
    (ColorType::Rgb, SamplingFactor::F_1_2),
    (ColorType::Rgb, SamplingFactor::F_2_2),
];
const SIZES: [[u32; 2]; 6] = [[1, 1], [7, 9], [16, 16], [33, 47], [131, 98], [240, 31]];

pub(super) fn far() -> Deadline {
    Deadline::after(Duration::from_secs(3600))
}

/// Smooth, with every colour in it.
fn picture([width, height]: [u32; 2]) -> RgbImage {
    let wave = |x: u32, y: u32, speed: f64, phase: f64| {
        let turn = f64::from(x) * speed + f64::from(y) * (0.11 - speed) + phase;
        (128.0 + 90.0 * turn.sin()) as u8
    };
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([
            wave(x, y, 0.07, 0.0),
            wave(x, y, 0.05, 2.0),
            wave(x, y, 0.03, 4.0),
        ])
    })
}

/// The same with fine detail.
pub(super) fn grained(size: [u32; 2]) -> RgbImage {
    let mut image = picture(size);
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        let hash =
            (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)).wrapping_mul(0x2c1b_3c6d);
        let grain = (hash >> 28) as u8;
        pixel.0 = pixel.0.map(|value| value.saturating_add(grain));
    }
    image
}

pub(super) fn encode(
    image: &RgbImage,
    color: ColorType,
    with: impl FnOnce(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 95);
    with(&mut encoder);
    let [width, height] = [image.width(), image.height()].map(|side| side as u16);
    let samples = match color {
        ColorType::Luma => image.pixels().map(|pixel| pixel.0[1]).collect(),
        ColorType::Cmyk => image
            .pixels()
            .flat_map(|pixel| [pixel.0[0], 9, 9, 9])
            .collect(),
        _ => image.as_raw().clone(),
    };
    encoder.encode(&samples, width, height, color).unwrap();
    bytes
}

/// What the `image` crate makes of a file.
pub(super) fn reference(bytes: &[u8]) -> RgbImage {
    image::load_from_memory_with_format(bytes, ImageFormat::Jpeg)
        .unwrap()
        .into_rgb8()
}

pub(super) fn plain(bytes: &[u8]) -> Plain {
    Plain::of(bytes).unwrap()
}

fn decoded(bytes: &[u8], unit: u32) -> Picture<'static> {
    let plain = plain(bytes);
    let header = Header::of(&plain).unwrap();
    header.decode(unit, header.whole(), &far()).unwrap()
}

/// The mean of the pixels for which a coarse one stands; those on the border are of parts.
fn mean(image: &RgbImage, x: u32, y: u32, unit: u32) -> [f64; 3] {
    let columns = x * unit..((x + 1) * unit).min(image.width());
    let rows = y * unit..((y + 1) * unit).min(image.height());
    let count = f64::from(columns.len() as u32 * rows.len() as u32);
    let mut sums = [0.0; 3];
    for pixel in rows.flat_map(|y| columns.clone().map(move |x| image.get_pixel(x, y))) {
        for (sum, value) in sums.iter_mut().zip(pixel.0) {
            *sum += f64::from(value) / count;
        }
    }
    sums
}

/// The largest and the mean difference of a reduced picture from the means of the full one.
fn difference(reduced: &Picture, full: &RgbImage) -> (f64, f64) {
    let unit = reduced.unit();
    let size = [full.width(), full.height()].map(|side| side.div_ceil(unit));
    assert_eq!([reduced.pixels().width(), reduced.pixels().height()], size);
    let pixels = reduced.pixels().enumerate_pixels();
    let differences: Vec<f64> = pixels
        .flat_map(|(x, y, pixel)| {
            let mean = mean(full, x, y, unit);
            let values = pixel.0.map(f64::from);
            [0, 1, 2].map(|channel| (values[channel] - mean[channel]).abs())
        })
        .collect();
    let sum: f64 = differences.iter().sum();
    (
        differences.iter().copied().fold(0.0, f64::max),
        sum / differences.len() as f64,
    )
}

#[test]
fn a_reduced_picture_is_the_mean_of_the_full_one() {
    for (color, sampling) in SAMPLINGS {
        for size in SIZES {
            for restart in [0, 1, 5] {
                let bytes = encode(&picture(size), color, |encoder| {
                    encoder.set_sampling_factor(sampling);
                    encoder.set_restart_interval(restart);
                });
                let full = reference(&bytes);
                for unit in [1, 2, 4, 8] {
                    let (most, mean) = difference(&decoded(&bytes, unit), &full);
                    let case = format!("{color:?} {sampling:?} {size:?} {restart} 1/{unit}");
                    assert!(most <= 16.0 && mean <= 2.5, "{case}: {most} {mean}");
                }
            }
        }
    }
}

#[test]
fn a_part_at_full_size_has_the_pixels_of_the_image_crate() {
    for (color, sampling) in &SAMPLINGS[..2] {
        let bytes = encode(&grained([131, 98]), *color, |encoder| {
            encoder.set_sampling_factor(*sampling);
        });
        let (most, mean) = difference(&decoded(&bytes, 1), &reference(&bytes));
        assert!(most <= 3.0 && mean < 0.5, "{color:?}: {most} {mean}");
    }
}

#[test]
fn fine_detail_is_averaged() {
    for (color, sampling) in SAMPLINGS {
        let bytes = encode(&grained([160, 144]), color, |encoder| {
            encoder.set_sampling_factor(sampling);
        });
        for unit in [2, 4, 8] {
            let (_, mean) = difference(&decoded(&bytes, unit), &reference(&bytes));
            assert!(mean <= 2.5, "{color:?} {sampling:?} 1/{unit}: {mean}");
        }
    }
}

#[test]
fn a_part_is_cut_out_of_the_whole() {
    for (color, sampling) in SAMPLINGS {
        let bytes = encode(&grained([131, 98]), color, |encoder| {
            encoder.set_sampling_factor(sampling);
            encoder.set_restart_interval(2);
        });
        let plain = plain(&bytes);
        let header = Header::of(&plain).unwrap();
        for unit in [1, 2, 4, 8] {
            let whole = decoded(&bytes, unit);
            for part in [
                [0..1, 0..1],
                [40..77, 30..41],
                [130..131, 90..98],
                [0..131, 50..51],
            ] {
                let cut = header.decode(unit, part.clone(), &far()).unwrap();
                let extent = cut.extent();
                let [columns, rows] = part.map(|span| [span.start, span.end].map(|at| at as f64));
                assert!(extent.x <= columns[0] && extent.x + extent.width >= columns[1]);
                assert!(extent.y <= rows[0] && extent.y + extent.height >= rows[1]);
                assert!(extent.width <= columns[1] - columns[0] + 30.0);
                let [left, top] = [extent.x, extent.y].map(|at| at as u32 / unit);
                for (x, y, pixel) in cut.pixels().enumerate_pixels() {
                    assert_eq!(pixel, whole.pixels().get_pixel(left + x, top + y));
                }
            }
        }
    }
}

#[test]
fn the_scale_follows_from_what_is_looked_at() {
    let bytes = encode(&picture([640, 480]), ColorType::Rgb, |_| {});
    let part = Rect {
        x: 100.0,
        y: 200.0,
        width: 120.0,
        height: 90.0,
    };
    for (size, unit) in [(15, 4), (20, 2), (29, 2), (31, 1), (120, 1)] {
        let glance = Glance::new(part, size, size, 1.5);
        let detail = plain(&bytes).detail(&[glance], &far()).unwrap();
        assert_eq!(detail.unit(), unit, "{size}");
        assert_eq!((detail.width(), detail.height()), (640, 480));
        assert!(detail.pixels().width() * unit <= 120 + 32);
    }
}

/// A block that says so, big-endian.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0]);
    block
}

#[test]
fn orientation_is_applied_to_the_whole_and_to_parts() {
    for orientation in 1..=8 {
        let bytes = encode(&picture([131, 98]), ColorType::Rgb, |encoder| {
            encoder.add_app_segment(1, &exif(orientation)).unwrap();
        });
        let full = encoded::decode(&bytes, &LIMITS, &Overview::full(), &far()).unwrap();
        let size = [full.width(), full.height()];
        assert_eq!(
            size,
            if orientation < 5 {
                [131, 98]
            } else {
                [98, 131]
            }
        );
        let reduced = seen(&bytes).unwrap();
        assert_eq!(
            (reduced.unit(), [reduced.width(), reduced.height()]),
            (4, size)
        );
        let part = Rect {
            x: 48.0,
            y: 16.0,
            width: 40.0,
            height: 60.0,
        };
        let glance = Glance { part, unit: 2.0 };
        let fine = plain(&bytes).detail(&[glance], &far()).unwrap();
        assert_eq!(fine.unit(), 2);
        let expected = full.resize(part, 10, 15).unwrap();
        for other in [&reduced, &fine] {
            let found = other.resize(part, 10, 15).unwrap();
            let pairs = found.as_raw().iter().zip(expected.as_raw());
            let most = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(most <= 6, "{orientation} 1/{}: {most}", other.unit());
        }
    }
}

/// So that the sides must have [`COARSE`] pixels at least.
fn coarse() -> Overview {
    Overview {
        long_side: COARSE,
        short_side: COARSE,
    }
}

/// At less than full size, if this decoder reads it.
fn seen(bytes: &[u8]) -> Option<Picture<'static>> {
    let plain = Plain::of(bytes).ok()?;
    plain.overview(&LIMITS, &coarse(), &far())
}

#[test]
fn what_is_unusual_is_left_to_others() {
    let image = picture([160, 160]);
    let sampling =
        |factor| move |encoder: &mut Encoder<&mut Vec<u8>>| encoder.set_sampling_factor(factor);
    let usual = encode(&image, ColorType::Rgb, sampling(SamplingFactor::F_2_2));
    assert!(seen(&usual).is_some());
    let unusual = [
        encode(&image, ColorType::Cmyk, |_| {}),
        encode(&image, ColorType::Rgb, |encoder| {
            encoder.set_progressive(true)
        }),
        encode(&image, ColorType::Rgb, sampling(SamplingFactor::F_4_1)),
        encode(&image, ColorType::Rgb, sampling(SamplingFactor::F_4_2)),
    ];
    for bytes in unusual {
        assert!(seen(&bytes).is_none());
    }
    // Nor is anything beyond the limits looked at.
    let small = Limits {
        side: 159,
        ..LIMITS
    };
    let usual = plain(&usual);
    assert!(usual.overview(&small, &coarse(), &far()).is_none());
}

/// The largest coefficients that pictures have: fine black and white, as exact and as coarse as it can be stored.
#[test]
fn every_picture_has_coefficients_within_the_limit() {
    // A bent function of each block's six bits: its coefficients are alike in size, so that their sum is large.
    let image = RgbImage::from_fn(64, 64, |x, y| {
        let [a, c, e] = [0, 1, 2].map(|bit| x >> bit & 1);
        let [b, d, f] = [0, 1, 2].map(|bit| y >> bit & 1);
        image::Rgb([255 * ((a & b) ^ (c & d) ^ (e & f)) as u8; 3])
    });
    for quality in [1, 100] {
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes, quality)
            .encode(image.as_raw(), 64, 64, ColorType::Rgb)
            .unwrap();
        for unit in [8, 4, 2, 1] {
            decoded(&bytes, unit);
        }
    }
}

#[test]
fn coefficients_that_no_picture_has_are_left_to_others() {
    let bytes = encode(&grained([64, 64]), ColorType::Rgb, |_| {});
    let swollen = requantized(&bytes, |table| table.fill(255));
    for unit in [8, 4, 2, 1] {
        let is_read = |bytes: &[u8]| {
            let plain = plain(bytes);
            let header = Header::of(&plain).unwrap();
            header.decode(unit, header.whole(), &far()).is_some()
        };
        assert_eq!([is_read(&bytes), is_read(&swollen)], [true, false]);
    }
}

/// The file with other quantisation tables, each of which is a segment of its own.
fn requantized(bytes: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let tables: Vec<usize> = (0..bytes.len() - 69)
        .filter(|at| bytes[*at..].starts_with(&[0xff, 0xdb, 0, 67]))
        .collect();
    assert!(!tables.is_empty());
    for at in tables {
        change(&mut changed[at + 5..at + 69]);
    }
    changed
}

/// The file with so much more contrast within its blocks, whose means stay what they are.
fn swollen(bytes: &[u8], factor: u8) -> Vec<u8> {
    requantized(bytes, |table| {
        for value in &mut table[1..] {
            *value = value.saturating_mul(factor);
        }
    })
}

/// A smaller picture made of the coefficients as they stand would show the means.
#[test]
fn what_is_cut_off_at_full_size_is_cut_off_at_every_size() {
    // A few dark dots on a lighter ground.
    let image = RgbImage::from_fn(96, 64, |x, y| {
        image::Rgb([if (x + 3 * y) % 8 == 0 { 100 } else { 132 }; 3])
    });
    for (color, sampling) in SAMPLINGS {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 100);
        encoder.set_sampling_factor(sampling);
        let samples: Vec<u8> = match color {
            ColorType::Luma => image.pixels().map(|pixel| pixel.0[0]).collect(),
            _ => image.as_raw().clone(),
        };
        encoder.encode(&samples, 96, 64, color).unwrap();
        let bytes = swollen(&bytes, 20);
        let full = reference(&bytes);
        for unit in [1, 2, 4, 8] {
            let reduced = decoded(&bytes, unit).pixels().to_vec();
            let reduced = RgbImage::from_raw(96 / unit, 64 / unit, reduced).unwrap();
            for (x, y) in (0..8).flat_map(|y| (0..12).map(move |x| (x, y))) {
                let [expected, found] =
                    [(&full, 8), (&reduced, 8 / unit)].map(|(image, side)| mean(image, x, y, side));
                let case = format!("{color:?} {sampling:?} 1/{unit} {expected:?} {found:?}");
                assert!(expected[0] > 170.0, "{case}");
                assert!((expected[0] - found[0]).abs() < 3.0, "{case}");
            }
        }
    }
}

#[test]
fn what_needs_all_pixels_is_left_to_others() {
    let bytes = encode(&picture([31, 31]), ColorType::Rgb, |_| {});
    assert!(seen(&bytes).is_none());
    let bytes = encode(&picture([32, 32]), ColorType::Rgb, |_| {});
    assert_eq!(seen(&bytes).unwrap().unit(), 2);
}

fn code(bytes: &[u8], overview: &Overview) -> Option<ErrorCode> {
    encoded::decode(bytes, &LIMITS, overview, &far())
        .err()
        .map(|error| error.code())
}

#[test]
fn damaged_files_get_the_same_answer() {
    let bytes = encode(&grained([64, 48]), ColorType::Rgb, |encoder| {
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.set_restart_interval(3);
    });
    assert!(seen(&bytes).is_some());
    for end in 0..bytes.len() {
        assert!(seen(&bytes[..end]).is_none(), "{end}");
        assert_eq!(
            code(&bytes[..end], &coarse()),
            Some(ErrorCode::UnreadableImage),
            "{end}"
        );
    }
    for at in 2..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut broken = bytes.clone();
            broken[at] ^= change;
            let answers = [coarse(), Overview::full()].map(|overview| code(&broken, &overview));
            assert_eq!(answers[0], answers[1], "{at} {change}");
        }
    }
}

/// A marker, the length of the data, the data.
pub(super) fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker][..], &length, data].concat()
}

#[test]
fn missing_rows_and_wrong_markers_are_noticed() {
    let with = |restart| {
        encode(&grained([64, 48]), ColorType::Rgb, move |encoder| {
            encoder.set_restart_interval(restart);
        })
    };
    let (plain, marked) = (with(0), with(4));
    let is_left = |bytes: &[u8]| seen(bytes).is_none();
    assert!(!is_left(&plain) && !is_left(&marked));
    // Taller than its data.
    let mut tall = plain.clone();
    let frame = tall
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    tall[frame + 6] += 16;
    assert!(is_left(&tall));
    // Lower than its data.
    let mut low = plain.clone();
    low[frame + 6] -= 16;
    assert!(is_left(&low));
    // Restart markers out of order.
    let mut wrong = marked.clone();
    let at = wrong
        .windows(2)
        .rposition(|pair| pair == [0xff, 0xd1])
        .unwrap();
    wrong[at + 1] = 0xd2;
    assert!(is_left(&wrong));
    // What follows the image does not matter.
    assert!(!is_left(
        &[&plain[..], b"\xff\xd8 another picture, or a video"].concat()
    ));
}

/// Where the entropy-coded data begin of a file of one scan.
fn start_of_data(bytes: &[u8]) -> usize {
    let plain = plain(bytes);
    bytes.len() - 2 - Header::of(&plain).unwrap().data.len()
}

#[test]
fn a_picture_that_ends_too_early_is_refused_at_every_size() {
    let whole = encode(&grained([64, 48]), ColorType::Rgb, |encoder| {
        encoder.set_restart_interval(3);
    });
    let start = start_of_data(&whole);
    for end in (start..whole.len() - 20).step_by(7) {
        for rest in [&[0xff, 0xd9][..], &whole] {
            let broken = [&whole[..end], rest].concat();
            for overview in [coarse(), Overview::full()] {
                let error = encoded::decode(&broken, &LIMITS, &overview, &far()).unwrap_err();
                assert_eq!(error.code(), ErrorCode::UnreadableImage, "{end}");
            }
        }
    }
}

#[test]
fn a_code_that_means_nothing_is_damage() {
    let whole = encode(&grained([64, 48]), ColorType::Rgb, |_| {});
    let start = start_of_data(&whole);
    let (head, rest) = whole.split_at(start + (whole.len() - start) / 2);
    let broken = [head, &[0xff, 0x00].repeat(8), rest].concat();
    for overview in [coarse(), Overview::full()] {
        let error = encoded::decode(&broken, &LIMITS, &overview, &far()).unwrap_err();
        assert!(error.to_string().contains("means nothing"), "{error}");
    }
}

#[test]
fn the_first_exif_block_counts() {
    for (first, second, size) in [(1, 6, [64, 48]), (6, 1, [48, 64])] {
        let bytes = encode(&picture([64, 48]), ColorType::Rgb, |encoder| {
            encoder.add_app_segment(1, b"Exif\0\0").unwrap();
            encoder.add_app_segment(1, &exif(first)).unwrap();
            encoder.add_app_segment(1, &exif(second)).unwrap();
        });
        let full = encoded::decode(&bytes, &LIMITS, &Overview::full(), &far()).unwrap();
        for picture in [full, seen(&bytes).unwrap()] {
            assert_eq!([picture.width(), picture.height()], size);
        }
    }
}

#[test]
fn four_inks_must_say_how_they_are_stored() {
    let bytes = encode(&picture([64, 48]), ColorType::Cmyk, |_| {});
    let marker = bytes.windows(2).position(|pair| pair == [0xff, 0xee]);
    let (head, adobe) = bytes.split_at(marker.unwrap());
    let rest = &adobe[16..];
    assert!(encoded::decode(&bytes, &LIMITS, &coarse(), &far()).is_ok());
    let error = encoded::decode(&[head, rest].concat(), &LIMITS, &coarse(), &far()).unwrap_err();
    assert!(error.to_string().contains("four inks"), "{error}");
}

#[test]
fn the_time_limit_holds() {
    let bytes = encode(&picture([256, 256]), ColorType::Rgb, |_| {});
    let over = Deadline::after(Duration::ZERO);
    assert!(plain(&bytes).overview(&LIMITS, &coarse(), &over).is_none());
    let error = encoded::decode(&bytes, &LIMITS, &coarse(), &over).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Internal);
}

mod crafted;

#[test]
fn coefficients_that_are_passed_over_are_squared() {
    for quality in [1, 30, 90, 100] {
        let image = grained([131, 98]);
        let luma: Vec<u8> = image.pixels().map(|pixel| pixel.0[1]).collect();
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes, quality)
            .encode(&luma, 131, 98, ColorType::Luma)
            .unwrap();
        let plain = plain(&bytes);
        let header = Header::of(&plain).unwrap();
        let component = header.components[0];
        let (dc, ac) = (DcCode::new(component.dc), AcCode::new(component.ac));
        let mut bits = Bits::new(header.data);
        for block in 0..17 * 13 {
            dc.difference(&mut bits).unwrap();
            let mut others = bits;
            let squares = ac.skip(&mut bits).unwrap();
            let mut sum = 0;
            ac.coefficients(&mut others, |_, value| {
                sum += u64::from(value.unsigned_abs()).pow(2);
                Some(())
            })
            .unwrap();
            assert_eq!(squares, sum, "{quality} {block}");
            bits.refill();
            others.refill();
            assert_eq!(bits.peek(16), others.peek(16), "{quality} {block}");
        }
        assert!(bits.is_over());
    }
}

/// CRC-32 of the pixels that libjpeg-turbo 3.2 (in Pillow 13.0) makes of the files below, as RGB, one after the other, for
/// each of [`SAMPLINGS`]. Where `LIVENESS_WRITE` names a folder, the files go there, in this order by their names.
const LIBJPEG: [u32; 5] = [
    0xb1aa_c8ee,
    0x690e_b472,
    0xb5f9_6efe,
    0xcd81_d484,
    0x0dcf_2891,
];

#[test]
fn at_full_size_the_pixels_are_those_of_libjpeg() {
    const SIZES: [[u16; 2]; 7] = [
        [1, 1],
        [2, 3],
        [5, 4],
        [7, 9],
        [16, 16],
        [33, 47],
        [131, 98],
    ];
    let folder = std::env::var_os("LIVENESS_WRITE").map(std::path::PathBuf::from);
    let mut sums = [(); 5].map(|()| crc32fast::Hasher::new());
    for (index, (color, sampling)) in SAMPLINGS.into_iter().enumerate() {
        for (at, size) in SIZES.into_iter().enumerate() {
            for quality in [10, 50, 98] {
                let bytes = reproducible(size, color, sampling, quality);
                if let Some(folder) = &folder {
                    let name = format!("{index}-{at}-{quality}.jpg");
                    std::fs::write(folder.join(name), &bytes).unwrap();
                }
                let plain = plain(&bytes);
                let header = Header::of(&plain).unwrap();
                let image = whole::decode(&header, &far()).unwrap().into_rgb8();
                sums[index].update(image.as_raw());
            }
        }
    }
    assert_eq!(sums.map(|sum| sum.finalize()), LIBJPEG);
}

/// The file of a picture with smooth and with rough parts, which is the same on every machine.
fn reproducible(
    [width, height]: [u16; 2],
    color: ColorType,
    sampling: SamplingFactor,
    quality: u8,
) -> Vec<u8> {
    let image = RgbImage::from_fn(width.into(), height.into(), |x, y| {
        let hash =
            (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)).wrapping_mul(0x2c1b_3c6d);
        let rough = if (x / 20 + y / 20) % 2 == 0 {
            hash >> 26
        } else {
            0
        };
        image::Rgb([2 * x + rough, 255 - 2 * y, (x * y / 40) ^ rough].map(|value| value as u8))
    });
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(sampling);
    let samples = match color {
        ColorType::Luma => image.pixels().map(|pixel| pixel.0[1]).collect(),
        _ => image.into_raw(),
    };
    encoder.encode(&samples, width, height, color).unwrap();
    bytes
}
