//! What an attacker does to a picture to slip through: docs/behaviour.md says how each is answered.

mod support;

use std::sync::LazyLock;

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use liveness::{Config, Engine, Error, Face, Image, Reason, Verdict};
use support::{ASTRONAUT, ENGINE, answer, check, face, files, jpeg, outcome, recapture};

/// An attack presentation, and where its face is.
struct Attack {
    name: &'static str,
    image: RgbImage,
    face: Face,
}

static ATTACKS: LazyLock<[Attack; 2]> = LazyLock::new(|| {
    // Head and shoulders, as somebody would print or show them.
    let photo = imageops::crop_imm(&*ASTRONAUT, 90, 10, 270, 330).to_image();
    [
        ("paper", recapture::on_paper(&photo)),
        ("screen", recapture::on_screen(&photo)),
    ]
    .map(|(name, image)| {
        let face = face(&check(&image));
        Attack { name, image, face }
    })
});

/// Refuses faces of which too much is missing.
static STRICT: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::default();
    config.strict_quality = true;
    Engine::new(config).expect("the embedded models load")
});

/// A camera writes JPEG, so that is what is sent.
fn send(image: &RgbImage) -> Result<Verdict, Error> {
    ENGINE.check(Image::Encoded(&jpeg(image, 90)))
}

fn never_live(name: &str, image: &RgbImage) -> Result<Verdict, Error> {
    let result = send(image);
    assert_ne!(outcome(&result), "live", "{name}: {result:?}");
    result
}

fn is_attack(name: &str, image: &RgbImage) {
    let result = never_live(name, image);
    assert_eq!(outcome(&result), "attack", "{name}: {result:?}");
}

/// The part of an image around its face: left, top, right and bottom in sizes of the face's box
/// beyond it; negative ones cut the face.
fn around(image: &RgbImage, face: &Face, [left, top, right, bottom]: [f32; 4]) -> RgbImage {
    let [x, y, width, height] = face.bbox;
    let within = |value: f32, side: u32| value.clamp(0.0, side as f32) as u32;
    let (x0, x1) = (
        within(x - left * width, image.width()),
        within(x + width + right * width, image.width()),
    );
    let (y0, y1) = (
        within(y - top * height, image.height()),
        within(y + height + bottom * height, image.height()),
    );
    imageops::crop_imm(image, x0, y0, x1 - x0, y1 - y0).to_image()
}

#[test]
fn padding_does_not_help() {
    for attack in &*ATTACKS {
        for (colour, value) in [("black", 0), ("grey", 128), ("white", 255)] {
            let (width, height) = attack.image.dimensions();
            for [left, top] in [[width / 2, height / 2], [0, height / 3], [width / 2, 0]] {
                let mut canvas =
                    RgbImage::from_pixel(width + 2 * left, height + 2 * top, Rgb([value; 3]));
                imageops::replace(&mut canvas, &attack.image, left.into(), top.into());
                let name = format!("{} with {left} and {top} of {colour}", attack.name);
                is_attack(&name, &canvas);
            }
        }
    }
}

#[test]
fn a_mirror_does_not_help() {
    for attack in &*ATTACKS {
        is_attack(attack.name, &imageops::flip_horizontal(&attack.image));
    }
}

/// A known weakness: without a border in the picture the networks err now and then, and the model
/// card says how often on real attacks. More than one of six would be a worse set of networks.
#[test]
fn cutting_the_border_off_seldom_helps() {
    let mut passed = Vec::new();
    for attack in &*ATTACKS {
        for margin in [0.7, 0.5, 0.3] {
            let result = send(&around(&attack.image, &attack.face, [margin; 4]));
            if outcome(&result) == "live" {
                passed.push(format!("{} with {margin} around the face", attack.name));
            }
        }
    }
    assert!(passed.len() <= 1, "{passed:?}");
}

#[test]
fn a_huge_face_does_not_help() {
    for attack in &*ATTACKS {
        for margin in [0.1, 0.0, -0.1] {
            let image = around(&attack.image, &attack.face, [margin; 4]);
            let large = imageops::resize(&image, 1200, 1400, FilterType::Triangle);
            let name = format!("{} with {margin} around the face", attack.name);
            let _ = never_live(&name, &large);
        }
    }
}

#[test]
fn a_face_at_the_edge_does_not_help() {
    for attack in &*ATTACKS {
        for (edge, side) in ["left", "top", "right", "bottom"].into_iter().enumerate() {
            for cut in [0.0, -0.15, -0.3, -0.5] {
                let mut margins = [2.0; 4];
                margins[edge] = cut;
                let image = around(&attack.image, &attack.face, margins);
                let name = format!("{} with the {side} at {cut}", attack.name);
                let result = send(&image);
                let Ok(verdict) = &result else { continue };
                if verdict.details.quality.outside <= 0.25 {
                    assert_ne!(outcome(&result), "live", "{name}: {result:?}");
                    continue;
                }
                // The networks may err about half a face, but say that it is one.
                let reasons = &verdict.details.reasons;
                assert!(reasons.contains(&Reason::FaceCutOff), "{name}: {reasons:?}");
                let strict = STRICT.check(Image::Encoded(&jpeg(&image, 90)));
                assert_eq!(outcome(&strict), "051", "{name}: {strict:?}");
            }
        }
    }
}

/// The attack with the live portrait beside it, whose face has this share of the attack's height.
fn beside(attack: &Attack, share: f32) -> RgbImage {
    let live = face(&check(&ASTRONAUT));
    let factor = share * attack.face.bbox[3] / live.bbox[3];
    let portrait = support::scaled(&ASTRONAUT, factor);
    let mut canvas = RgbImage::from_pixel(
        attack.image.width() + portrait.width() + 20,
        attack.image.height().max(portrait.height()),
        Rgb([90, 88, 84]),
    );
    imageops::replace(&mut canvas, &attack.image, 0, 0);
    let x = attack.image.width() + 10;
    imageops::replace(&mut canvas, &portrait, x.into(), 40);
    canvas
}

#[test]
fn a_tiny_live_face_beside_it_does_not_help() {
    for attack in &*ATTACKS {
        for share in [0.1, 0.2] {
            let name = format!("{} with a live face of {share}", attack.name);
            let result = never_live(&name, &beside(attack, share));
            // The verdict is about the large face.
            let height = face(&result).bbox[3];
            assert!(height > 0.8 * attack.face.bbox[3], "{name}: {height}");
        }
    }
}

#[test]
fn a_live_face_large_enough_to_matter_is_refused() {
    for attack in &*ATTACKS {
        for share in [0.5, 0.8, 1.0, 2.0] {
            let name = format!("{} with a live face of {share}", attack.name);
            let error = never_live(&name, &beside(attack, share)).expect_err("two faces count");
            assert_eq!(error.code().as_str(), "051", "{name}: {error}");
            assert_eq!(error.details().reasons, [Reason::SeveralFaces], "{name}");
        }
    }
}

/// The attack with a live head held before a lower corner of its face.
fn before(attack: &Attack, share: f32, corner: f32) -> RgbImage {
    let live = face(&check(&ASTRONAUT));
    let head = around(&ASTRONAUT, &live, [0.15; 4]);
    let [x, y, width, height] = attack.face.bbox;
    let head = support::scaled(&head, share * height / live.bbox[3]);
    let left = x + corner * (width - head.width() as f32);
    let top = y + height - head.height() as f32;
    let mut canvas = attack.image.clone();
    imageops::replace(&mut canvas, &head, left as i64, top as i64);
    canvas
}

#[test]
fn a_live_face_held_before_it_does_not_help() {
    for attack in &*ATTACKS {
        for share in [0.32, 0.36, 0.4] {
            for corner in [-0.1, 1.1] {
                let name = format!("{} behind a live face of {share} at {corner}", attack.name);
                let _ = never_live(&name, &before(attack, share, corner));
            }
        }
    }
}

#[test]
fn shrinking_does_not_help() {
    for attack in &*ATTACKS {
        for height in [38.0, 30.0, 22.0, 16.0, 12.0] {
            let factor = height / attack.face.bbox[3];
            let small = support::scaled(&attack.image, factor);
            let mut face = attack.face;
            face.bbox = face.bbox.map(|value| value * factor);
            let head = around(&small, &face, [0.3; 4]);
            for image in [small, head] {
                let error = send(&image).expect_err("a face of so few pixels is not judged");
                let reasons = &error.details().reasons;
                assert_eq!(error.code().as_str(), "051", "{}: {error}", attack.name);
                assert!(
                    matches!(reasons[..], [Reason::FaceTooSmall | Reason::NoFace]),
                    "{} of {height}: {reasons:?}",
                    attack.name
                );
            }
        }
    }
}

#[test]
fn exif_that_turns_it_changes_nothing() {
    for attack in &*ATTACKS {
        let upright = answer(&check(&attack.image));
        assert_eq!(upright["result"]["liveness"], false);
        for orientation in 1..=8 {
            for file in files::oriented(&attack.image, orientation) {
                let result = ENGINE.check(Image::Encoded(&file.bytes));
                let name = format!("{} as {} with {orientation}", attack.name, file.name);
                assert_eq!(outcome(&result), "attack", "{name}: {result:?}");
                if file.exact {
                    assert_eq!(answer(&result), upright, "{name}");
                }
            }
        }
    }
}

#[test]
fn exif_that_lies_does_not_help() {
    for attack in &*ATTACKS {
        for orientation in 2..=8 {
            // Stored upright, so that a reader turns it away.
            let turned = files::stored(&attack.image, orientation);
            for file in files::oriented(&turned, orientation) {
                let result = ENGINE.check(Image::Encoded(&file.bytes));
                assert_ne!(outcome(&result), "live", "{orientation}: {result:?}");
            }
            let _ = never_live(&format!("{} turned {orientation}", attack.name), &turned);
        }
    }
}

#[test]
fn the_attacks_are_seen_without_any_trick() {
    for attack in &*ATTACKS {
        is_attack(attack.name, &attack.image);
    }
}
