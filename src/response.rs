//! The JSON of the contract, the same on every surface.
//!
//! ```json
//! {"success":true,"result":{"liveness":true,"score":0.97}}
//! {"success":false,"error_code":"051","error_message":"No face, or more than one face is detected in the selfie."}
//! ```

use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorCode};
use crate::verdict::{Details, Face, Quality, Reason, Verdict};

/// Decimals of probabilities, of pixels and degrees, and of milliseconds.
const PROBABILITY: i32 = 4;
const MEASURE: i32 = 2;
const TIME: i32 = 3;

/// The answer as compact JSON, its members in the order of the contract. Where `details` is true
/// there is one more member at the end, `details`.
pub fn to_json(result: &Result<Verdict, Error>, details: bool) -> String {
    to_value(result, details).to_string()
}

/// The same as a JSON value; its members keep the order of the contract.
pub fn to_value(result: &Result<Verdict, Error>, details: bool) -> Value {
    let mut value = match result {
        Ok(verdict) => json!({
            "success": true,
            "result": {"liveness": verdict.liveness, "score": score(verdict)},
        }),
        Err(error) => json!({
            "success": false,
            "error_code": error.code().as_str(),
            "error_message": error.code().message(),
        }),
    };
    if details {
        value["details"] = match result {
            Ok(verdict) => verdict_details(&verdict.details),
            Err(error) => error_details(error),
        };
    }
    value
}

/// The score to four decimals. Read as a probability of being live, it stays on its side of the
/// threshold: where rounding would cross it, the score is rounded up.
fn score(verdict: &Verdict) -> f64 {
    let rounded = round(verdict.score, PROBABILITY);
    let threshold = verdict.details.threshold;
    let contradicts = if verdict.liveness {
        rounded < threshold
    } else {
        1.0 - rounded >= threshold
    };
    if contradicts {
        ceil(verdict.score, PROBABILITY)
    } else {
        rounded
    }
}

/// Probabilities of the details.
fn precise(value: f64) -> f64 {
    round(value, PROBABILITY + 2)
}

/// The probability of being live, below the threshold as it is printed where it is below the real one.
fn live_probability(details: &Details) -> f64 {
    let [live, threshold] = [details.live_probability, details.threshold].map(precise);
    if details.live_probability < details.threshold && live >= threshold {
        let unit = 10_f64.powi(-(PROBABILITY + 2));
        return precise((threshold - unit).max(0.0));
    }
    live
}

fn verdict_details(details: &Details) -> Value {
    json!({
        "live_probability": live_probability(details),
        "threshold": precise(details.threshold),
        "attack_type": {
            "print": precise(details.attack_type.print),
            "replay": precise(details.attack_type.replay),
        },
        "mask_probability": number(details.mask_probability, PROBABILITY),
        "faces": details.faces,
        "face": face(&details.face),
        "quality": quality(&details.quality),
        "reasons": reasons(&details.reasons),
        "models": details.models,
        "engine": details.engine,
        "timings_ms": {
            "decode": round(details.timings.decode, TIME),
            "detect": round(details.timings.detect, TIME),
            "mask": round(details.timings.mask, TIME),
            "spoof": round(details.timings.spoof, TIME),
            "total": round(details.timings.total, TIME),
        },
    })
}

fn error_details(error: &Error) -> Value {
    let found = error.details();
    let mut details = Map::new();
    // What went wrong inside may name files of the machine; that is for its owner only.
    if error.code() != ErrorCode::Internal {
        details.insert("reason".into(), error.detail().into());
    }
    if !found.reasons.is_empty() {
        details.insert("reasons".into(), reasons(&found.reasons));
    }
    let known = [
        ("faces", found.faces.map(Value::from)),
        ("face", found.face.as_ref().map(face)),
        (
            "mask_probability",
            found
                .mask_probability
                .map(|value| number(value, PROBABILITY)),
        ),
        ("quality", found.quality.as_ref().map(quality)),
    ];
    details.extend(
        known
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name.into(), value))),
    );
    details.into()
}

fn face(face: &Face) -> Value {
    json!({
        "box": face.bbox.map(|value| number(value, MEASURE)),
        "landmarks": face.points.map(|point| point.map(|value| number(value, MEASURE))),
        "score": number(face.score, PROBABILITY),
    })
}

fn quality(quality: &Quality) -> Value {
    json!({
        "face_size": number(quality.face_size, MEASURE),
        "face_share": number(quality.face_share, PROBABILITY),
        "outside": number(quality.outside, PROBABILITY),
        "yaw": number(quality.yaw, MEASURE),
        "pitch": number(quality.pitch, MEASURE),
        "roll": number(quality.roll, MEASURE),
        "brightness": number(quality.brightness, PROBABILITY),
        "contrast": number(quality.contrast, PROBABILITY),
        "clipped": number(quality.clipped, PROBABILITY),
        "sharpness": number(quality.sharpness, MEASURE),
    })
}

fn reasons(reasons: &[Reason]) -> Value {
    reasons.iter().map(|reason| reason.as_str()).collect()
}

fn number(value: f32, decimals: i32) -> Value {
    round(value.into(), decimals).into()
}

fn round(value: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    // Adding zero leaves no -0.0.
    (value * unit).round() / unit + 0.0
}

fn ceil(value: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    (value * unit).ceil() / unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Findings;
    use crate::verdict::{AttackType, Timings};

    fn verdict(probability: f64, threshold: f64) -> Verdict {
        let liveness = probability >= threshold;
        Verdict {
            liveness,
            score: if liveness {
                probability
            } else {
                1.0 - probability
            },
            details: Details {
                live_probability: probability,
                threshold,
                face: Face {
                    bbox: [1.0, 2.5, 30.0, 40.126],
                    points: [[5.0, 6.1]; 5],
                    score: 0.98764,
                },
                faces: 1,
                attack_type: AttackType {
                    print: 0.01,
                    replay: 0.02,
                },
                mask_probability: 0.1,
                quality: Quality {
                    face_size: 40.126,
                    face_share: 0.4,
                    outside: 0.0,
                    yaw: 1.234,
                    pitch: -2.0,
                    roll: 0.5,
                    brightness: 0.5,
                    contrast: 0.25,
                    clipped: 0.0,
                    sharpness: 123.456,
                },
                reasons: vec![Reason::FaceTooSmall],
                models: "2026.11.0+1a2b3c4d".into(),
                engine: "embedded 2".into(),
                timings: Timings {
                    decode: 1.0,
                    detect: 2.0,
                    mask: 0.5,
                    spoof: 1.5,
                    total: 5.1234,
                },
            },
        }
    }

    #[test]
    fn the_contract_byte_for_byte() {
        assert_eq!(
            to_json(&Ok(verdict(0.97, 0.5)), false),
            r#"{"success":true,"result":{"liveness":true,"score":0.97}}"#
        );
        assert_eq!(
            to_json(&Ok(verdict(0.03, 0.5)), false),
            r#"{"success":true,"result":{"liveness":false,"score":0.97}}"#
        );
        assert_eq!(
            to_json(&Ok(verdict(1.0, 0.5)), false),
            r#"{"success":true,"result":{"liveness":true,"score":1.0}}"#
        );
        let messages = [
            (1, "001", "API key is either missing or incorrect."),
            (
                2,
                "002",
                "Error reading image, please check the request format.",
            ),
            (3, "003", "Image file size is too large."),
            (4, "004", "Request is not in the correct format."),
            (5, "005", "Server internal error, please try again."),
            (
                51,
                "051",
                "No face, or more than one face is detected in the selfie.",
            ),
            (
                52,
                "052",
                "Face mask is detected, please remove the face mask and try again.",
            ),
        ];
        for (status, code, message) in messages {
            let error = Error::new(ErrorCode::from_status(status).unwrap(), "");
            assert_eq!(
                to_json(&Err(error), false),
                format!(r#"{{"success":false,"error_code":"{code}","error_message":"{message}"}}"#)
            );
        }
    }

    #[test]
    fn details_come_last() {
        let json = to_json(&Ok(verdict(0.97, 0.5)), true);
        assert_eq!(
            json,
            concat!(
                r#"{"success":true,"result":{"liveness":true,"score":0.97},"details":{"live_probability":0.97,"threshold":0.5,"#,
                r#""attack_type":{"print":0.01,"replay":0.02},"mask_probability":0.1,"faces":1,"#,
                r#""face":{"box":[1.0,2.5,30.0,40.13],"landmarks":[[5.0,6.1],[5.0,6.1],[5.0,6.1],[5.0,6.1],[5.0,6.1]],"score":0.9876},"#,
                r#""quality":{"face_size":40.13,"face_share":0.4,"outside":0.0,"yaw":1.23,"pitch":-2.0,"roll":0.5,"brightness":0.5,"contrast":0.25,"clipped":0.0,"sharpness":123.46},"#,
                r#""reasons":["face_too_small"],"models":"2026.11.0+1a2b3c4d","engine":"embedded 2","#,
                r#""timings_ms":{"decode":1.0,"detect":2.0,"mask":0.5,"spoof":1.5,"total":5.123}}}"#
            )
        );
    }

    #[test]
    fn errors_have_details_too() {
        let findings = Findings {
            reasons: vec![Reason::SeveralFaces],
            faces: Some(2),
            ..Findings::default()
        };
        let error = Error::new(ErrorCode::FaceCount, "2 faces were found").with(findings);
        let value = to_value(&Err(error), true);
        assert_eq!(
            value["details"].to_string(),
            r#"{"reason":"2 faces were found","reasons":["several_faces"],"faces":2}"#
        );
        let inside = to_value(&Err(Error::internal("/secret/path")), true);
        assert_eq!(inside["details"].to_string(), "{}");
    }

    #[test]
    fn there_is_no_negative_zero() {
        assert_eq!(number(-1e-9, MEASURE).to_string(), "0.0");
        assert_eq!(number(-0.14, 1).to_string(), "-0.1");
    }

    #[test]
    fn rounding_never_contradicts_the_answer() {
        for threshold in [
            0.5,
            0.3,
            f64::from(0.7_f32),
            0.70003,
            0.99999,
            0.00001,
            0.123_45,
        ] {
            for step in -2000..=2000 {
                let probability = (threshold + f64::from(step) * 2e-7).clamp(0.0, 1.0);
                let verdict = verdict(probability, threshold);
                let score = score(&verdict);
                let read_back = if verdict.liveness { score } else { 1.0 - score };
                assert_eq!(
                    read_back >= threshold,
                    verdict.liveness,
                    "{probability} {threshold} {score}"
                );
                let details = verdict_details(&verdict.details);
                let [live, printed] =
                    ["live_probability", "threshold"].map(|name| details[name].as_f64().unwrap());
                assert_eq!(
                    live >= printed,
                    verdict.liveness,
                    "{probability} {threshold}"
                );
                assert!((live - probability).abs() <= 1.6e-6, "{probability} {live}");
                assert!(
                    (score - verdict.score).abs() <= 1.000_001e-4 && (0.0..=1.0).contains(&score)
                );
            }
        }
    }
}
