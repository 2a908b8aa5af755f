//! Small files that would keep a decoder busy for minutes or hours.

use std::time::Duration;

use image::RgbImage;
use liveness::{Config, Engine, Image};

use super::files;
use super::meter::{Bounds, measure};
use super::{LARGE, Tally, check};

/// A picture as large as the limits allow takes its time and memory; nothing takes more.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(10),
    bytes: 1200 << 20,
};

const FILE: usize = 10 * 1024 * 1024;

/// Name, whether it is an image at all, and bytes.
fn bombs() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let empty_blocks = [
        &[0x78_u8, 0x01][..],
        &[0, 0, 0, 0xff, 0xff].repeat(2_000_000),
    ]
    .concat();
    // The code 256, which clears the table, as nine bits again and again.
    let tiff_clears = [0x80_u8, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01, 0x00].repeat(1_100_000);
    let gif_clears = [0x00_u8, 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80].repeat(1_100_000);
    let [after_a_scan, in_the_head, in_comments] = files::hidden_scans(100_000);
    vec![
        (
            "a JPEG of hidden scans after the first",
            "002",
            after_a_scan,
        ),
        ("a JPEG of scans hidden in its head", "002", in_the_head),
        ("a JPEG of scans hidden in comments", "002", in_comments),
        (
            "a JPEG of extended XMP in thousands of parts",
            "051",
            files::extended_xmp(20_000, 50_000),
        ),
        (
            "a PNG of 50 megapixels, interlaced, 16 bits",
            "051",
            files::png_bomb(7000, 7000, 16, 6, true),
        ),
        (
            "a PNG of 100 megapixels, 16 bits",
            "002",
            files::png_bomb(10_000, 10_000, 16, 6, false),
        ),
        (
            "a PNG of one bit at 100 megapixels",
            "051",
            files::png_bomb(10_000, 10_000, 1, 0, true),
        ),
        (
            "a PNG larger than the limit",
            "002",
            files::png_bomb(16_385, 1, 8, 2, false),
        ),
        (
            "a progressive JPEG of 16 scans",
            "051",
            files::scans_jpeg(4000, 14),
        ),
        (
            "a progressive JPEG of 100 scans",
            "002",
            files::scans_jpeg(10_000, 99),
        ),
        (
            "a progressive JPEG of thousands of scans",
            "002",
            files::scans_jpeg(10_000, 9999),
        ),
        (
            "a small one of as many",
            "002",
            files::scans_jpeg(800, 9999),
        ),
        (
            "TIFF strips of empty deflate blocks",
            "002",
            files::shared_strips(8, 8, &empty_blocks),
        ),
        (
            "TIFF strips of LZW clear codes",
            "002",
            files::shared_strips(5, 8, &tiff_clears),
        ),
        (
            "TIFF strips of packed nothing",
            "002",
            files::shared_strips(32_773, 8, &vec![0x80; FILE - 99_999]),
        ),
        (
            "TIFF strips of fax zeros",
            "002",
            files::shared_strips(4, 1, &vec![0; FILE - 99_999]),
        ),
        (
            "a GIF of clear codes",
            "002",
            files::gif(10_000, 10_000, 1, &gif_clears),
        ),
        (
            "a GIF of very many frames",
            "051",
            files::gif(4, 4, 250_000, &files::plain_lzw(16)),
        ),
        (
            "a WebP of many pictures that claim to be large",
            "002",
            files::claimed_pixels(100_000),
        ),
        (
            "an animated WebP of many frames",
            "051",
            files::animated_webp(&RgbImage::new(64, 64), 20_000),
        ),
    ]
}

#[test]
fn bombs_are_defused() {
    let mut tally = Tally::new();
    for (name, outcome, bytes) in bombs() {
        assert!(bytes.len() <= FILE, "{name}: {} bytes", bytes.len());
        let result = check(name, &LARGE, Image::Encoded(&bytes), BOUNDS, &mut tally);
        assert_eq!(
            crate::support::outcome(&result),
            outcome,
            "{name}: {result:?}"
        );
    }
}

/// Name, outcomes and bytes of small files that claim to be large.
fn claims() -> Vec<(&'static str, &'static [&'static str], Vec<u8>)> {
    const JUDGED: &[&str] = &["051", "live", "attack"];
    let image = RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let lossy =
        std::fs::read(crate::support::fixture("astronaut.webp")).expect("the fixture is there");
    let [picture, animation] = files::outgrown_webp(&lossy);
    let [codes, codes_of_animation, codes_of_alpha] = files::many_codes(8192, &lossy, 512);
    let turned = &files::odd_exif()[3];
    vec![
        (
            "a WebP with 4 GiB of EXIF",
            JUDGED,
            files::boastful_exif(&image, turned),
        ),
        (
            "a WebP with a picture of 4 GiB",
            &["002"],
            files::boastful_picture(&image),
        ),
        ("a WebP with a larger picture in it", &["002"], picture),
        ("an animated WebP with one", &["002"], animation),
        (
            "a PNG with a colour profile of 2 GB",
            JUDGED,
            files::profile_bomb(&image, 2000),
        ),
        (
            "an animated WebP with one behind alpha",
            &["002"],
            files::outgrown_behind_alpha(&lossy, 512),
        ),
        ("a WebP of very many codes", &["002"], codes),
        (
            "an animated WebP of very many codes",
            &["002"],
            codes_of_animation,
        ),
        (
            "a WebP whose alpha has very many codes",
            &["002"],
            codes_of_alpha,
        ),
        (
            "a PNG of very many texts",
            &["002"],
            files::many_texts(&image, 400_000),
        ),
        (
            "a GIF of a pixel with a large frame",
            &["002"],
            files::outgrown_gif(10_800),
        ),
        (
            "a GIF of a pixel with a larger frame",
            &["002"],
            files::outgrown_gif(64),
        ),
        (
            "a TIFF with lists longer than the file",
            &["002"],
            files::long_lists(4, 8 << 20, 100),
        ),
        (
            "a TIFF with long lists of bytes",
            &["002"],
            files::long_lists(1, 8_000_000, 8_000_000),
        ),
        (
            "a TIFF with a text for a list",
            &["002"],
            files::long_lists(2, 0x2000_0000, 100),
        ),
        ("a large JPEG in a TIFF", &["002"], files::jpeg_in_tiff(7)),
        (
            "a large JPEG of the old style in a TIFF",
            &["002"],
            files::jpeg_in_tiff(6),
        ),
        ("a TIFF with a wide tile", &["002"], files::wide_tile()),
        (
            "a TIFF with very many samples",
            &["002"],
            files::extra_samples(),
        ),
    ]
}

#[test]
fn claims_cost_nothing() {
    // What is asked for before any picture, beside what its decoder keeps of the file.
    const BOUNDS: Bounds = Bounds {
        time: Duration::from_secs(2),
        bytes: 72 << 20,
    };
    let mut tally = Tally::new();
    for (name, outcomes, bytes) in claims() {
        assert!(bytes.len() <= FILE, "{name}: {} bytes", bytes.len());
        let result = check(name, &LARGE, Image::Encoded(&bytes), BOUNDS, &mut tally);
        assert!(
            outcomes.contains(&crate::support::outcome(&result)),
            "{name}: {result:?}"
        );
        // What hurts is seen before a decoder meets it.
        let panicked = |error: &liveness::Error| error.detail().contains("gave up");
        assert!(!result.is_err_and(|error| panicked(&error)), "{name}");
    }
}

#[test]
fn metadata_that_claim_too_much_turn_nothing() {
    let image = &*crate::support::ASTRONAUT;
    let engine = Engine::new(Config::default()).expect("the embedded models load");
    let turned = &files::odd_exif()[3];
    let boastful = files::boastful_exif(image, turned);
    let upright = engine.check(Image::Encoded(&files::with_exif(image, &[])[2]));
    assert_eq!(
        crate::support::answer(&engine.check(Image::Encoded(&boastful))),
        crate::support::answer(&upright)
    );
    assert_eq!(crate::support::outcome(&upright), "live");
}

fn impatient(limit: Duration) -> Engine {
    let mut config = Config::default();
    config.time_limit = limit;
    Engine::new(config).expect("the embedded models load")
}

#[test]
fn a_check_that_takes_too_long_is_an_internal_error() {
    let engine = impatient(Duration::from_millis(20));
    let slow = [
        files::png_bomb(7000, 7000, 16, 6, false),
        files::png_bomb(10_000, 10_000, 1, 0, true),
        files::scans_jpeg(6000, 26),
        files::gif(
            10_000,
            10_000,
            1,
            &[0x00_u8, 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80].repeat(1_100_000),
        ),
    ];
    for bytes in &slow {
        let (result, cost) = measure(|| engine.check(Image::Encoded(bytes)));
        let error = result.expect_err("there was no time for a verdict");
        assert_eq!(error.code().as_str(), "005", "{error}");
        assert!(error.detail().contains("limit of 20 ms"), "{error}");
        assert!(cost.within(&BOUNDS), "{cost:?}");
    }
}

#[test]
fn streaming_decoders_stop_in_the_middle() {
    let whole = Engine::new(Config::default()).expect("the embedded models load");
    let engine = impatient(Duration::from_millis(20));
    let bytes = files::png_bomb(7000, 7000, 16, 6, false);
    let (_, patient) = measure(|| whole.check(Image::Encoded(&bytes)));
    let (_, hasty) = measure(|| engine.check(Image::Encoded(&bytes)));
    assert!(
        hasty.time * 4 < patient.time,
        "{hasty:?} is not much less than {patient:?}"
    );
}

#[test]
fn an_honest_image_has_time_enough() {
    let engine = impatient(Duration::from_secs(3600));
    let png =
        std::fs::read(crate::support::fixture("astronaut.png")).expect("the fixture is there");
    assert!(engine.check(Image::Encoded(&png)).is_ok());
}
