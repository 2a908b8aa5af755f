//! Tells a bona fide presentation from a print or a screen.

use image::imageops;

use crate::decode::{Glance, Picture};
use crate::error::Error;
use crate::inference::{Network, Runtime, Signature, Tensor};
use crate::models::{CropKind, Models, View};
use crate::resample::{Rect, fill};
use crate::selftest;
use crate::verdict::{AttackType, Face};

/// Decoded pixels per pixel of a network's input. Where it is less, the networks notice that an image was
/// decoded at a reduced scale.
const SAMPLES: f64 = 2.0;

/// The liveness networks and how they are fused.
pub(crate) struct SpoofDetector {
    networks: Vec<SpoofNetwork>,
    /// Of each network.
    views: usize,
    bias: f64,
    /// Fused logits less than this leave doubt.
    doubt: f64,
}

/// Further views count the less, the less doubt there is: from all to nothing over this much of the fused
/// logit. Were it nothing, a rounding error could decide whether there is a further view.
const FADING: f64 = 1.0;

struct SpoofNetwork {
    network: Network,
    size: u32,
    crop: CropKind,
    views: Vec<View>,
    weight: f64,
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
                weight: entry.weight,
            })
        };
        Ok(SpoofDetector {
            networks: entry
                .networks
                .iter()
                .map(load)
                .collect::<Result<_, Error>>()?,
            views: entry.views(),
            bias: entry.bias,
            doubt: entry.doubt,
        })
    }

    /// Refuses networks that do not look at their pictures, or say the same of live and attack.
    pub fn try_out(&self, pictures: &[Picture; 2], face: &Face) -> Result<(), Error> {
        let [first, second] = pictures;
        for network in &self.networks {
            let look = |picture| network.logits(picture, face, &network.views[0]);
            let answers = [look(first)?, look(second)?];
            selftest::ensure_different(&network.network, answers)?;
            let [live, print, replay] = answers[0];
            selftest::ensure_different(&network.network, [[live, live], [print, replay]])?;
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
            .flat_map(|network| network.views.iter().map(move |view| glance(network, view)))
            .collect()
    }

    /// Looks for signs of a print or a screen: at one view for each network, and at the next ones where
    /// those leave doubt. The logits are means over the views: where exactly the box lies, and which
    /// cheek is lit, must not decide.
    pub fn evidence(&self, image: &Picture, face: &Face) -> Result<Evidence, Error> {
        let mut sums = vec![[0.0; 3]; self.networks.len()];
        let mut found = sums.clone();
        let mut certainty = 0.0;
        let mut views = 0..self.views;
        while certainty < 1.0
            && let Some(view) = views.next()
        {
            let looks = self.networks.iter().zip(&mut sums).zip(&mut found);
            for ((network, sum), found) in looks {
                let logits = network.logits(image, face, &network.views[view])?;
                *sum = std::array::from_fn(|column| sum[column] + logits[column]);
                let mean = sum.map(|sum| sum / (view + 1) as f64);
                *found = std::array::from_fn(|column| {
                    certainty * found[column] + (1.0 - certainty) * mean[column]
                });
            }
            certainty = ((self.fused(&found).abs() - self.doubt) / FADING + 1.0).clamp(0.0, 1.0);
        }
        Ok(Evidence::new(self.fused(&found), &found))
    }

    fn fused(&self, logits: &[[f64; 3]]) -> f64 {
        let networks = self.networks.iter().zip(logits);
        let weighted = networks.map(|(network, [live, ..])| network.weight * live);
        self.bias + weighted.sum::<f64>()
    }
}

impl Evidence {
    /// From the fused logit, and the logits of each network.
    fn new(logit: f64, logits: &[[f64; 3]]) -> Self {
        let live_probability = 1.0 / (1.0 + (-logit).exp());
        let attack = (1.0 - live_probability) / logits.len() as f64;
        let species = logits
            .iter()
            .map(|[_, print, replay]| softmax([*print, *replay]));
        let [print, replay] = species.fold([0.0; 2], |[a, b], [print, replay]| {
            [a + attack * print, b + attack * replay]
        });
        Evidence {
            live_probability,
            attack_type: AttackType { print, replay },
        }
    }
}

impl SpoofNetwork {
    /// Logits of live, print and replay.
    fn logits(&self, image: &Picture, face: &Face, view: &View) -> Result<[f64; 3], Error> {
        let outputs = self.network.run(&self.input(image, face, view)?)?;
        let [logits] = outputs.as_slice() else {
            return Err(self
                .network
                .fault("it gave the wrong number of outputs".into()));
        };
        self.network.expect_shape(logits, &[1, 3])?;
        Ok(std::array::from_fn(|column| f64::from(logits.data[column])))
    }

    fn input(&self, image: &Picture, face: &Face, view: &View) -> Result<Tensor, Error> {
        let side = self.size as usize;
        let mut input = Tensor::zeros(&[1, 3, side, side]);
        let part = crop(image.width(), image.height(), face, self.crop, view.scale);
        let mut pixels = image.resize(part, self.size, self.size)?;
        if view.mirror {
            imageops::flip_horizontal_in_place(&mut pixels);
        }
        fill(&mut input.data, side, &pixels);
        Ok(input)
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
    let [x, y, width, height] = face.bbox.map(f64::from);
    let (left, width) = clip(x, width, image_width);
    let (top, height) = clip(y, height, image_height);
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

/// Start and length of the part of a span that lies inside 0..side, at least one pixel of it.
fn clip(start: f64, length: f64, side: f64) -> (f64, f64) {
    let first = start.clamp(0.0, side - 1.0);
    let end = (start + length).clamp(first + 1.0, side);
    (first, end - first)
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::ErrorCode;
    use crate::inference::Dim;
    use crate::inference::testing::network;

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

    fn detector(answers: &[[f32; 3]], weights: &[f64], bias: f64) -> SpoofDetector {
        let make = |(logits, weight): (&[f32; 3], &f64)| {
            let logits = Tensor {
                shape: vec![1, 3],
                data: logits.to_vec(),
            };
            let network = network(signature(128), move |_| Ok(vec![logits.clone()]));
            SpoofNetwork {
                network,
                size: 128,
                crop: CropKind::Square,
                views: vec![PLAIN],
                weight: *weight,
            }
        };
        SpoofDetector {
            networks: answers.iter().zip(weights).map(make).collect(),
            views: 1,
            bias,
            doubt: f64::INFINITY,
        }
    }

    fn evidence(detector: &SpoofDetector) -> Result<Evidence, Error> {
        detector.evidence(
            &RgbImage::new(64, 64).into(),
            &face([10.0, 10.0, 30.0, 30.0]),
        )
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
                views: [false, true].map(|mirror| View { mirror, ..PLAIN }).into(),
                weight: 1.0,
            }],
            views: 2,
            bias: 0.0,
            doubt,
        };
        let image = RgbImage::from_fn(60, 60, |x, _| {
            image::Rgb([255 * u8::from(halves[usize::from(x >= 30)]), 0, 0])
        });
        let face = face([15.0, 15.0, 30.0, 30.0]);
        detector.evidence(&image.into(), &face).unwrap()
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
    fn further_views_are_for_doubtful_faces() {
        // The first view alone says 1; that is sure where less than 1 is doubtful.
        assert_eq!(red([true, false], 1.0).live_probability, sigmoid(1.0));
        assert_eq!(red([true, false], 2.0).live_probability, 0.5);
        assert_eq!(red([false, true], 1.0).live_probability, sigmoid(-1.0));
        // Between the two, the second view counts by how much doubt there is.
        assert_eq!(red([true, false], 1.25).live_probability, sigmoid(0.75));
        assert_eq!(red([false, true], 1.25).live_probability, sigmoid(-0.75));
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
                    views: vec![PLAIN],
                    weight: 1.0,
                }],
                views: 1,
                bias: 0.0,
                doubt: f64::INFINITY,
            };
            assert_eq!(evidence(&detector).unwrap_err().code(), ErrorCode::Internal);
        }
    }
}
