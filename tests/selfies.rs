//! What the library says of selfies and of attack presentations.

mod support;

use image::{RgbImage, imageops};
use liveness::{Config, Engine, Image, Reason};
use support::{
    ASTRONAUT, ENGINE, check, distance, empty_room, face, jpeg, masked, outcome, passer_by,
    recapture, relit, scaled, two_people,
};

#[test]
fn a_portrait_is_live() {
    let verdict = check(&ASTRONAUT).expect("the portrait has one bare face");
    assert!(verdict.liveness, "{verdict:?}");
    assert_eq!(verdict.score, verdict.details.live_probability);
    assert_eq!(verdict.details.faces, 1);
    let [x, y, width, height] = verdict.details.face.bbox;
    assert!(
        (x - 180.0).abs() < 20.0
            && (y - 62.0).abs() < 25.0
            && (width - 90.0).abs() < 25.0
            && (height - 110.0).abs() < 30.0,
        "{:?}",
        verdict.details.face
    );
    let [right_eye, left_eye, nose, right_mouth, left_mouth] = verdict.details.face.points;
    assert!(
        right_eye[0] < nose[0] && nose[0] < left_eye[0] && right_mouth[0] < left_mouth[0],
        "right is the subject's right"
    );
    assert!(
        right_eye[1] < nose[1] && nose[1] < right_mouth[1],
        "eyes, nose and mouth from top to bottom"
    );
    assert_eq!(verdict.details.reasons, []);
}

#[test]
fn two_people_are_refused() {
    let error = check(&two_people()).unwrap_err();
    assert_eq!(error.code().as_str(), "051");
    assert_eq!(
        (error.details().faces, &error.details().reasons[..]),
        (Some(2), &[Reason::SeveralFaces][..])
    );
}

#[test]
fn an_empty_room_is_refused() {
    for image in [
        empty_room(),
        RgbImage::new(300, 400),
        imageops::crop_imm(&*ASTRONAUT, 300, 300, 200, 200).to_image(),
        RgbImage::new(1, 1),
    ] {
        let error = check(&image).unwrap_err();
        assert_eq!(error.code().as_str(), "051", "{error}");
        assert_eq!(
            (error.details().faces, &error.details().reasons[..]),
            (Some(0), &[Reason::NoFace][..])
        );
    }
}

#[test]
fn a_portrait_that_lies_is_refused_and_says_how_to_turn_it() {
    let lying = [
        (imageops::rotate270(&*ASTRONAUT), 90),
        (imageops::rotate180(&*ASTRONAUT), 180),
        (imageops::rotate90(&*ASTRONAUT), 270),
    ];
    for (image, angle) in lying {
        let error = check(&image).unwrap_err();
        assert_eq!(error.code().as_str(), "051", "{error}");
        let findings = error.details();
        assert_eq!(findings.reasons, [Reason::NoFace, Reason::NotUpright]);
        assert_eq!((findings.faces, findings.face), (Some(0), None));
        let cure = format!("turned by {angle} degrees clockwise");
        assert!(error.detail().contains(&cure), "{error}");
    }
}

#[test]
fn a_passer_by_does_not_count() {
    let result = check(&passer_by());
    assert_eq!(outcome(&result), outcome(&check(&ASTRONAUT)));
    assert!(distance(&face(&check(&ASTRONAUT)), &face(&result)) < 0.1);
}

#[test]
fn a_surgical_mask_is_refused() {
    let error = check(&masked()).expect_err("a mask is drawn on");
    assert_eq!(error.code().as_str(), "052", "{error}");
    assert_eq!(error.details().reasons, [Reason::FaceMask]);
}

/// Head and shoulders, as somebody would print or show them.
fn photo() -> RgbImage {
    imageops::crop_imm(&*ASTRONAUT, 90, 10, 270, 330).to_image()
}

#[test]
fn a_recapture_from_paper_is_an_attack() {
    let image = recapture::on_paper(&photo());
    assert_eq!(
        outcome(&ENGINE.check(Image::Encoded(&jpeg(&image, 88)))),
        "attack"
    );
}

#[test]
fn a_recapture_from_a_screen_is_an_attack() {
    let image = recapture::on_screen(&photo());
    assert_eq!(
        outcome(&ENGINE.check(Image::Encoded(&jpeg(&image, 88)))),
        "attack"
    );
}

#[test]
fn the_verdict_is_stable() {
    let mut copies: Vec<(String, RgbImage)> = Vec::new();
    for factor in [0.75, 1.5, 2.0] {
        copies.push((format!("scaled by {factor}"), scaled(&ASTRONAUT, factor)));
    }
    for gain in [0.6, 0.8, 1.25] {
        copies.push((format!("light times {gain}"), relit(&ASTRONAUT, gain)));
    }
    for margin in [3, 9, 20] {
        copies.push((
            format!("without {margin} pixels at each side"),
            imageops::crop_imm(
                &*ASTRONAUT,
                margin,
                margin,
                512 - 2 * margin,
                512 - 2 * margin,
            )
            .to_image(),
        ));
    }
    copies.push(("mirrored".into(), imageops::flip_horizontal(&*ASTRONAUT)));
    for (name, image) in &copies {
        assert_eq!(outcome(&check(image)), "live", "{name}");
    }
    for quality in [70, 85, 95] {
        assert_eq!(
            outcome(&ENGINE.check(Image::Encoded(&jpeg(&ASTRONAUT, quality)))),
            "live",
            "JPEG at {quality}"
        );
    }
}

#[test]
fn the_same_image_gives_the_same_answer() {
    let first = support::answer(&check(&ASTRONAUT));
    let other = Engine::new(Config::default()).unwrap();
    for _ in 0..3 {
        assert_eq!(support::answer(&check(&ASTRONAUT)), first);
        assert_eq!(
            support::answer(&other.check(Image::Pixels(support::pixels(&ASTRONAUT)))),
            first
        );
    }
}

#[test]
fn strict_quality_refuses_what_is_only_reported_otherwise() {
    let tiny = scaled(&ASTRONAUT, 0.5);
    let mut config = Config::default();
    config.strict_quality = true;
    let strict = Engine::new(config).unwrap();
    let error = strict
        .check(Image::Pixels(support::pixels(&tiny)))
        .unwrap_err();
    assert_eq!(error.code().as_str(), "051", "{error}");
    assert!(error.details().reasons.contains(&Reason::FaceTooSmall));
    let verdict = check(&tiny).expect("quality is only reported by default");
    assert_eq!(verdict.details.reasons, error.details().reasons);
}
