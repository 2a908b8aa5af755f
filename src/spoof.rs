//! Tells a bona fide presentation from a print or a screen.

use image::imageops;

use crate::deadline::Deadline;
use crate::decode::{Glance, Picture};
use crate::error::Error;
use crate::inference::{Network, Runtime, Signature, Tensor};
use crate::models::{CropKind, Look, Models, View};
use crate::resample::{Rect, tensor};
use crate::selftest;
use crate::verdict::{AttackType, Face};

/// Decoded pixels per pixel of a network's input. Where it is less, the networks notice that an image was
/// decoded at a reduced scale.
const SAMPLES: f64 = 2.0;

/// The liveness networks and how they are fused.
pub(crate) struct SpoofDetector {
    networks: Vec<SpoofNetwork>,
    looks: Vec<Look>,
}

/// Further looks count the less, the less doubt there is: from all to nothing over this much of the fused
/// logit. Were it nothing, a rounding error could decide whether there is a further look.
const FADING: f64 = 1.0;

struct SpoofNetwork {
    network: Network,
    size: u32,
    crop: CropKind,
    views: Vec<Option<View>>,
    weights: Vec<f64>,
}

/// What a network has said so far.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Of live, print and replay.
    logits: [f64; 3],
    views: f64,
}

/// What all networks together say after a look.
#[derive(Debug, Clone, Copy)]
struct Opinion {
    /// Fused logit of a bona fide presentation.
    live: f64,
    /// Probability of a print, and of a replay, if it is an attack.
    species: [f64; 2],
}

/// What the networks say about a face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Evidence {
    /// Calibrated probability of a bona fide presentation.
    pub live_probability: f64,
    pub attack_type: AttackType,
}

impl SpoofDetector {
    pub fn load(runtime: &dyn Runtime, models: &Models) -> Result<Self, Error> {
        let entry = &models.manifest.spoof;
        let load = |entry: &crate::models::SpoofNetworkEntry| {
            let network = Network::load(
                runtime,
                &entry.name,
                &models.model(&entry.source)?,
                signature(entry.size),
            )?;
            Ok(SpoofNetwork {
                network,
                size: entry.size,
                crop: entry.crop,
                views: entry.views.clone(),
                weights: entry.weights.clone(),
            })
        };
        Ok(SpoofDetector {
            networks: entry
                .networks
                .iter()
                .map(load)
                .collect::<Result<_, Error>>()?,
            looks: entry.looks.clone(),
        })
    }

    /// Refuses networks that do not look at their pictures, or say the same of live and attack.
    pub fn try_out(&self, pictures: &[Picture; 2], face: &Face) -> Result<(), Error> {
        let [first, second] = pictures;
        for network in &self.networks {
            let view = network.views().next();
            let view = view.ok_or_else(|| network.network.fault("it looks at nothing".into()))?;
            let look = |picture| network.logits(picture, face, view);
            let answers = [look(first)?, look(second)?];
            selftest::ensure_different(&network.network, answers)?;
            let [live, print, replay] = answers[0];
            if !selftest::differ([[live, live], [print, replay]]) {
                let cause = "it gives live, print and replay the same logit";
                return Err(network.network.fault(cause.into()));
            }
        }
        Ok(())
    }

    /// What [`evidence`](Self::evidence) looks at, in an image of this size.
    pub fn glances(&self, [width, height]: [u32; 2], face: &Face) -> Vec<Glance> {
        let glance = |network: &SpoofNetwork, view: &View| {
            let part = crop(width, height, face, network.crop, view.scale);
            Glance::new(part, network.size, network.size, SAMPLES)
        };
        self.networks
            .iter()
            .flat_map(|network| network.views().map(move |view| glance(network, view)))
            .collect()
    }

    /// Looks for signs of a print or a screen, and again where that leaves doubt: at other views, and with
    /// networks that have not looked before. Where exactly the box lies, and which cheek is lit, must not
    /// decide.
    ///
    /// # Errors
    /// 005 where a look, the last one included, ends after the deadline.
    pub fn evidence(
        &self,
        image: &Picture,
        face: &Face,
        deadline: &Deadline,
    ) -> Result<Evidence, Error> {
        let mut seen = vec![Seen::default(); self.networks.len()];
        let mut opinion: Option<Opinion> = None;
        for (at, look) in self.looks.iter().enumerate() {
            let doubt = opinion.map_or(1.0, |opinion| opinion.doubt(look));
            if doubt <= 0.0 {
                break;
            }
            for (network, seen) in self.networks.iter().zip(&mut seen) {
                if let Some(view) = &network.views[at] {
                    seen.add(network.logits(image, face, view)?);
                }
            }
            deadline.check()?;
            let after = self.opinion(at, &seen);
            opinion = Some(opinion.map_or(after, |before| before.changed(after, doubt)));
        }
        let opinion =
            opinion.ok_or_else(|| Error::internal("the liveness networks have no look"))?;
        Ok(opinion.into())
    }

    fn opinion(&self, look: usize, seen: &[Seen]) -> Opinion {
        let mut opinion = Opinion {
            live: self.looks[look].bias,
            species: [0.0; 2],
        };
        let networks = self.networks.iter().zip(seen);
        let networks = networks.filter(|(_, seen)| seen.views > 0.0);
        let count = networks.clone().count() as f64;
        for (network, seen) in networks {
            let [live, print, replay] = seen.logits.map(|logit| logit / seen.views);
            opinion.live += network.weights[look] * live;
            let species = softmax([print, replay]);
            opinion.species = [0, 1].map(|at| opinion.species[at] + species[at] / count);
        }
        opinion
    }
}

impl Seen {
    fn add(&mut self, logits: [f64; 3]) {
        self.logits = [0, 1, 2].map(|at| self.logits[at] + logits[at]);
        self.views += 1.0;
    }
}

impl Opinion {
    /// How much another look counts, 0..1.
    fn doubt(&self, look: &Look) -> f64 {
        let inside = (self.live + look.doubt.attack).min(look.doubt.live - self.live);
        (inside / FADING).clamp(0.0, 1.0)
    }

    /// This one, changed for another by a share of 0..1.
    fn changed(self, other: Opinion, share: f64) -> Opinion {
        let mix = |old: f64, new: f64| (1.0 - share) * old + share * new;
        Opinion {
            live: mix(self.live, other.live),
            species: [0, 1].map(|at| mix(self.species[at], other.species[at])),
        }
    }
}

impl From<Opinion> for Evidence {
    fn from(opinion: Opinion) -> Self {
        let live_probability = 1.0 / (1.0 + (-opinion.live).exp());
        let [print, replay] = opinion
            .species
            .map(|share| (1.0 - live_probability) * share);
        Evidence {
            live_probability,
            attack_type: AttackType { print, replay },
        }
    }
}

impl SpoofNetwork {
    /// What it sees, at whatever look.
    fn views(&self) -> impl Iterator<Item = &View> {
        self.views.iter().flatten()
    }

    /// Logits of live, print and replay.
    fn logits(&self, image: &Picture, face: &Face, view: &View) -> Result<[f64; 3], Error> {
        let [logits] = self.network.run(&self.input(image, face, view)?)?;
        self.network.expect_shape(&logits, &[1, 3])?;
        Ok(std::array::from_fn(|column| f64::from(logits.data[column])))
    }

    fn input(&self, image: &Picture, face: &Face, view: &View) -> Result<Tensor, Error> {
        let part = crop(image.width(), image.height(), face, self.crop, view.scale);
        let mut pixels = image.resize(part, self.size, self.size)?;
        if view.mirror {
            imageops::flip_horizontal_in_place(&mut pixels);
        }
        let side = self.size as usize;
        tensor(&pixels, side, side)
    }
}

/// For one view.
fn signature(size: u32) -> Signature {
    let side = Some(size as usize);
    Signature {
        input: vec![Some(1), Some(3), side, side],
        outputs: vec![("logits", 2)],
    }
}

fn softmax(logits: [f64; 2]) -> [f64; 2] {
    let first = 1.0 / (1.0 + (logits[1] - logits[0]).exp());
    [first, 1.0 - first]
}

/// The part of the image that a network sees: around the face, shifted to lie inside the image,
/// and smaller where the image ends sooner, so that nothing is ever padded.
fn crop(width: u32, height: u32, face: &Face, kind: CropKind, scale: f64) -> Rect {
    let (image_width, image_height) = (f64::from(width), f64::from(height));
    let Rect {
        x: left,
        y: top,
        width,
        height,
    } = Rect::inside(face.bbox, width, height);
    let (crop_width, crop_height) = match kind {
        CropKind::Square => {
            let side = (scale * width.max(height))
                .min(image_width)
                .min(image_height);
            (side, side)
        }
        CropKind::Box => {
            let factor = scale.min(image_width / width).min(image_height / height);
            (
                (width * factor).min(image_width),
                (height * factor).min(image_height),
            )
        }
    };
    Rect {
        x: (left + width / 2.0 - crop_width / 2.0).clamp(0.0, image_width - crop_width),
        y: (top + height / 2.0 - crop_height / 2.0).clamp(0.0, image_height - crop_height),
        width: crop_width,
        height: crop_height,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use image::RgbImage;

    use super::*;
    use crate::ErrorCode;
    use crate::inference::Dim;
    use crate::inference::testing::network;
    use crate::models::Doubt;

    fn face(bbox: [f32; 4]) -> Face {
        Face {
            bbox,
            points: [[0.0; 2]; 5],
            score: 0.9,
        }
    }

    fn part(width: u32, height: u32, bbox: [f32; 4], kind: CropKind, scale: f64) -> [f64; 4] {
        let rect = crop(width, height, &face(bbox), kind, scale);
        [rect.x, rect.y, rect.width, rect.height]
    }

    #[test]
    fn crops_stay_inside_the_image() {
        use CropKind::{Box, Square};
        let bbox = [40.0, 60.0, 20.0, 30.0];
        assert_eq!(part(200, 200, bbox, Square, 1.5), [27.5, 52.5, 45.0, 45.0]);
        assert_eq!(part(200, 200, bbox, Box, 2.0), [30.0, 45.0, 40.0, 60.0]);
        // Shifted at a border.
        assert_eq!(
            part(200, 200, [0.0, 180.0, 10.0, 20.0], Square, 2.0),
            [0.0, 160.0, 40.0, 40.0]
        );
        // Smaller where the image ends sooner; the box keeps its aspect.
        assert_eq!(part(50, 200, bbox, Square, 3.0), [0.0, 50.0, 50.0, 50.0]);
        assert_eq!(
            part(60, 60, [10.0, 10.0, 20.0, 30.0], Box, 3.2),
            [0.0, 0.0, 40.0, 60.0]
        );
        // Clipped to the image first.
        assert_eq!(
            part(100, 100, [-20.0, -20.0, 60.0, 60.0], Square, 1.0),
            [0.0, 0.0, 40.0, 40.0]
        );
        assert_eq!(
            part(100, 100, [-500.0, 700.0, 60.0, 60.0], Square, 1.0),
            [0.0, 99.0, 1.0, 1.0]
        );
        assert_eq!(
            part(1, 1, [-5.0, -5.0, 60.0, 60.0], Box, 3.2),
            [0.0, 0.0, 1.0, 1.0]
        );
    }

    #[test]
    fn odd_fractions_never_leave_the_image() {
        for step in 0..500 {
            let step = step as f32;
            let bbox = [
                step * 0.713 - 60.0,
                step * 0.377 - 40.0,
                3.3 + step * 0.191,
                4.7 + step * 0.233,
            ];
            for kind in [CropKind::Square, CropKind::Box] {
                let image = Picture::from(RgbImage::new(101, 67));
                let rect = crop(101, 67, &face(bbox), kind, 3.2);
                assert!(image.resize(rect, 16, 16).is_ok(), "{bbox:?} {rect:?}");
            }
        }
    }

    const PLAIN: View = View {
        scale: 1.5,
        mirror: false,
    };

    fn look(doubt: f64, bias: f64) -> Look {
        let doubt = Doubt {
            attack: doubt,
            live: doubt,
        };
        Look { doubt, bias }
    }

    fn detector(answers: &[[f32; 3]], weights: &[f64], bias: f64) -> SpoofDetector {
        let networks = answers.iter().zip(weights);
        SpoofDetector {
            networks: networks
                .map(|(logits, weight)| constant(*logits, [true], [*weight]))
                .collect(),
            looks: vec![look(f64::INFINITY, bias)],
        }
    }

    /// A network whose logits are always these, seeing something at these looks, with these weights.
    fn constant<const LOOKS: usize>(
        logits: [f32; 3],
        sees: [bool; LOOKS],
        weights: [f64; LOOKS],
    ) -> SpoofNetwork {
        let answer = Tensor {
            shape: vec![1, 3],
            data: logits.to_vec(),
        };
        SpoofNetwork {
            network: network(signature(16), move |_| Ok(vec![answer.clone()])),
            size: 16,
            crop: CropKind::Square,
            views: sees.map(|sees| sees.then_some(PLAIN)).into(),
            weights: weights.into(),
        }
    }

    fn evidence(detector: &SpoofDetector) -> Result<Evidence, Error> {
        evidence_until(detector, &Deadline::after(Duration::MAX))
    }

    fn evidence_until(detector: &SpoofDetector, deadline: &Deadline) -> Result<Evidence, Error> {
        let face = face([10.0, 10.0, 30.0, 30.0]);
        detector.evidence(&RgbImage::new(64, 64).into(), &face, deadline)
    }

    #[test]
    fn logits_are_fused_and_calibrated() {
        let found = evidence(&detector(
            &[[2.0, 1.0, 0.0], [-1.0, 0.0, 3.0]],
            &[1.0, 0.5],
            -0.5,
        ))
        .unwrap();
        let live = 1.0 / (1.0 + (-1.0_f64).exp());
        assert!((found.live_probability - live).abs() < 1e-12);
        let print = (1.0 / (1.0 + (-1.0_f64).exp()) + 1.0 / (1.0 + 3.0_f64.exp())) / 2.0;
        assert!((found.attack_type.print - (1.0 - live) * print).abs() < 1e-12);
        assert!(
            (found.attack_type.print + found.attack_type.replay + found.live_probability - 1.0)
                .abs()
                < 1e-12
        );
    }

    /// A network that answers with the red of the left edge of what it sees, looking once as it is and
    /// once mirrored, at a face whose left and right half are red or not.
    fn red(halves: [bool; 2], doubt: f64) -> Evidence {
        let edge = |input: &Tensor| {
            Ok(vec![Tensor {
                shape: vec![1, 3],
                data: vec![input.data[0], 0.0, 0.0],
            }])
        };
        let detector = SpoofDetector {
            networks: vec![SpoofNetwork {
                network: network(signature(16), edge),
                size: 16,
                crop: CropKind::Square,
                views: [false, true]
                    .map(|mirror| Some(View { mirror, ..PLAIN }))
                    .into(),
                weights: vec![1.0; 2],
            }],
            looks: vec![look(doubt, 0.0); 2],
        };
        let image = RgbImage::from_fn(60, 60, |x, _| {
            image::Rgb([255 * u8::from(halves[usize::from(x >= 30)]), 0, 0])
        });
        let face = face([15.0, 15.0, 30.0, 30.0]);
        let deadline = Deadline::after(Duration::MAX);
        detector.evidence(&image.into(), &face, &deadline).unwrap()
    }

    fn sigmoid(logit: f64) -> f64 {
        1.0 / (1.0 + (-logit).exp())
    }

    #[test]
    fn logits_are_means_over_the_views() {
        let live = |halves| red(halves, f64::INFINITY).live_probability;
        assert_eq!(live([true, true]), sigmoid(1.0));
        assert_eq!(live([true, false]), 0.5);
        assert_eq!(live([false, true]), 0.5);
        assert_eq!(live([false, false]), sigmoid(-1.0));
    }

    #[test]
    fn further_looks_are_for_doubtful_faces() {
        // The first view alone says 1; that is sure where less than 1 is doubtful.
        assert_eq!(red([true, false], 1.0).live_probability, sigmoid(1.0));
        assert_eq!(red([true, false], 2.0).live_probability, 0.5);
        assert_eq!(red([false, true], 1.0).live_probability, sigmoid(-1.0));
        // Between the two, the second view counts by how much doubt there is.
        assert_eq!(red([true, false], 1.25).live_probability, sigmoid(0.75));
        assert_eq!(red([false, true], 1.25).live_probability, sigmoid(-0.75));
    }

    #[test]
    fn a_network_that_looks_later_counts_from_then_on() {
        let detector = |first| SpoofDetector {
            networks: vec![
                constant([first, 0.0, 0.0], [true, false], [1.0, 0.5]),
                constant([4.0, 0.0, 0.0], [false, true], [0.0, 0.75]),
            ],
            looks: vec![look(f64::INFINITY, 0.25), look(2.0, -1.0)],
        };
        let live = |first| evidence(&detector(first)).unwrap().live_probability;
        // No doubt is left.
        assert_eq!(live(1.75), sigmoid(2.0));
        assert_eq!(live(-2.25), sigmoid(-2.0));
        assert_eq!(live(0.5), sigmoid(-1.0 + 0.25 + 3.0));
        // Halfway between the two.
        assert_eq!(live(1.25), sigmoid((1.5 + (-1.0 + 0.625 + 3.0)) / 2.0));
    }

    #[test]
    fn an_attack_may_be_doubted_more_than_a_bona_fide_presentation() {
        let detector = |first| SpoofDetector {
            networks: vec![
                constant([first, 0.0, 0.0], [true, false], [1.0, 1.0]),
                constant([0.0, 0.0, 0.0], [false, true], [0.0, 1.0]),
            ],
            looks: vec![
                look(f64::INFINITY, 0.0),
                Look {
                    doubt: Doubt {
                        attack: 3.5,
                        live: 2.5,
                    },
                    bias: 5.0,
                },
            ],
        };
        let live = |first| evidence(&detector(first)).unwrap().live_probability;
        assert_eq!(live(2.5), sigmoid(2.5));
        assert_eq!(live(1.5), sigmoid(6.5));
        assert_eq!(live(-2.5), sigmoid(2.5));
        assert_eq!(live(-3.5), sigmoid(-3.5));
        // Halfway between the two.
        assert_eq!(live(2.0), sigmoid(4.5));
        assert_eq!(live(-3.0), sigmoid(-0.5));
    }

    #[test]
    fn a_third_look_is_for_what_the_second_leaves_in_doubt() {
        let detector = |second| SpoofDetector {
            networks: vec![
                constant([0.0, 0.0, 0.0], [true, false, false], [1.0; 3]),
                constant([second, 0.0, 0.0], [false, true, false], [0.0, 1.0, 1.0]),
                constant([-9.0, 0.0, 0.0], [false, false, true], [0.0, 0.0, 1.0]),
            ],
            looks: vec![look(0.0, 0.0), look(2.5, 0.0), look(1.5, 0.0)],
        };
        let live = |second| evidence(&detector(second)).unwrap().live_probability;
        assert_eq!(live(2.0), sigmoid(2.0));
        assert_eq!(live(0.5), sigmoid(-8.5));
    }

    /// A network that answers when the deadline is over, not before.
    fn slow<const LOOKS: usize>(
        deadline: Deadline,
        sees: [bool; LOOKS],
        weights: [f64; LOOKS],
    ) -> SpoofNetwork {
        let answer = move |_: &Tensor| {
            while deadline.check().is_ok() {
                std::thread::yield_now();
            }
            Ok(vec![Tensor {
                shape: vec![1, 3],
                data: vec![0.0; 3],
            }])
        };
        SpoofNetwork {
            network: network(signature(16), answer),
            ..constant([0.0; 3], sees, weights)
        }
    }

    #[test]
    fn a_look_that_takes_too_long_is_the_last_and_gives_no_evidence() {
        let deadline = Deadline::after(Duration::from_millis(20));
        let late = |detector: &SpoofDetector| {
            let error = evidence_until(detector, &deadline).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Internal);
            assert!(error.detail().contains("limit of 20 ms"), "{error}");
        };
        late(&SpoofDetector {
            networks: vec![slow(deadline, [true], [1.0])],
            looks: vec![look(f64::INFINITY, 0.0)],
        });
        let never = network(signature(16), |_| unreachable!("the time was over"));
        late(&SpoofDetector {
            networks: vec![
                slow(deadline, [true, false], [1.0; 2]),
                SpoofNetwork {
                    network: never,
                    ..constant([0.0; 3], [false, true], [0.0, 1.0])
                },
            ],
            looks: vec![look(f64::INFINITY, 0.0); 2],
        });
    }

    #[test]
    fn a_network_that_says_the_same_of_live_and_attack_is_refused_as_that() {
        // It looks at its pictures, so that only what it says of them is wrong.
        let same = |input: &Tensor| {
            Ok(vec![Tensor {
                shape: vec![1, 3],
                data: vec![input.data[0]; 3],
            }])
        };
        let detector = SpoofDetector {
            networks: vec![SpoofNetwork {
                network: network(signature(16), same),
                ..constant([0.0; 3], [true], [1.0])
            }],
            looks: vec![look(f64::INFINITY, 0.0)],
        };
        let refused = detector.try_out(&selftest::pictures(), &selftest::face());
        let error = refused.unwrap_err();
        assert!(
            error
                .detail()
                .contains("live, print and replay the same logit"),
            "{error}"
        );
    }

    #[test]
    fn extreme_logits_stay_probabilities() {
        for logit in [-3e38, 3e38] {
            let found = evidence(&detector(&[[logit, 3e38, -3e38]], &[1.0], 0.0)).unwrap();
            assert!((0.0..=1.0).contains(&found.live_probability));
            assert!(
                (0.0..=1.0).contains(&found.attack_type.print)
                    && (0.0..=1.0).contains(&found.attack_type.replay)
            );
        }
    }

    #[test]
    fn one_unsound_network_spoils_the_answer() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in 0..3 {
                let mut logits = [5.0; 3];
                logits[place] = bad;
                let error = evidence(&detector(&[[5.0; 3], logits], &[1.0, 1.0], 0.0)).unwrap_err();
                assert_eq!(error.code(), ErrorCode::Internal);
            }
        }
    }

    #[test]
    fn another_shape_is_an_internal_error() {
        for shape in [vec![1, 2], vec![3, 1], vec![1, 4], vec![2, 3]] {
            let answer = Tensor {
                data: vec![9.0; shape.iter().product()],
                shape,
            };
            let input: Vec<Dim> = vec![None, Some(3), Some(128), Some(128)];
            let network = network(
                Signature {
                    input,
                    ..signature(128)
                },
                move |_| Ok(vec![answer.clone()]),
            );
            let detector = SpoofDetector {
                networks: vec![SpoofNetwork {
                    network,
                    size: 128,
                    crop: CropKind::Box,
                    views: vec![Some(PLAIN)],
                    weights: vec![1.0],
                }],
                looks: vec![look(f64::INFINITY, 0.0)],
            };
            assert_eq!(evidence(&detector).unwrap_err().code(), ErrorCode::Internal);
        }
    }
}
