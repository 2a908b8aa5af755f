//! From evidence to an answer.

use crate::error::Error;
use crate::spoof::Evidence;

/// Whether the face is live, and how confident that answer is. Evidence that is no probability
/// gives no answer at all.
pub(crate) fn decide(evidence: &Evidence, threshold: f64) -> Result<(bool, f64), Error> {
    let probability = evidence.live_probability;
    for value in [
        probability,
        evidence.attack_type.print,
        evidence.attack_type.replay,
        threshold,
    ] {
        if !(0.0..=1.0).contains(&value) {
            return Err(Error::internal(format!(
                "{value} is no probability; check the models"
            )));
        }
    }
    let liveness = probability >= threshold;
    Ok((
        liveness,
        if liveness {
            probability
        } else {
            1.0 - probability
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use crate::verdict::AttackType;

    fn evidence(live_probability: f64) -> Evidence {
        Evidence {
            live_probability,
            attack_type: AttackType {
                print: 0.0,
                replay: 0.0,
            },
        }
    }

    #[test]
    fn the_threshold_itself_is_live() {
        assert_eq!(decide(&evidence(0.5), 0.5).unwrap(), (true, 0.5));
        assert_eq!(decide(&evidence(0.25), 0.5).unwrap(), (false, 0.75));
        assert_eq!(decide(&evidence(0.75), 0.875).unwrap(), (false, 0.25));
        assert_eq!(decide(&evidence(1.0), 0.5).unwrap(), (true, 1.0));
    }

    #[test]
    fn what_is_no_probability_gives_no_answer() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.01, 1.01] {
            assert_eq!(
                decide(&evidence(value), 0.5).unwrap_err().code(),
                ErrorCode::Internal
            );
            assert_eq!(
                decide(&evidence(0.9), value).unwrap_err().code(),
                ErrorCode::Internal
            );
            let broken = Evidence {
                attack_type: AttackType {
                    print: value,
                    replay: 0.0,
                },
                ..evidence(0.9)
            };
            assert_eq!(
                decide(&broken, 0.5).unwrap_err().code(),
                ErrorCode::Internal
            );
        }
    }
}
