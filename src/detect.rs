//! Finds faces, and the one that the image is about.

use crate::decode::Picture;
use crate::error::{Error, ErrorCode, Findings};
use crate::inference::{Network, Runtime, Signature, Tensor};
use crate::models::{DetectorEntry, JudgedFace, Models};
use crate::resample::{Rect, tensor};
use crate::selftest;
use crate::verdict::{Face, Reason};

/// Pixels of the network's input per cell of its outputs.
const STRIDE: usize = 8;
/// Decoded pixels per pixel of the network's input.
const SAMPLES: f64 = 1.5;
/// The sides of the network's input are multiples of this.
const ALIGN: usize = 32;
/// Pixels of the height of the smallest face that is judged. Below, more and more attacks look live, as what gives
/// them away is gone (models/MODEL_CARD.md, "Quality gates"); the networks have been shown none under 32.
const SMALLEST: f32 = 40.0;
/// No box and no landmark is this many pixels away, unless the network is broken.
const MAX_COORDINATE: f32 = 1e6;
/// A dense crowd has fewer faces; this bounds the work that an image can cause.
const MAX_CANDIDATES: usize = 1000;

/// The face detector.
pub(crate) struct Detector {
    network: Network,
    long_side: u32,
    score_threshold: f32,
    nms_iou: f32,
    judged: JudgedFace,
}

impl Detector {
    pub fn load(runtime: &dyn Runtime, models: &Models) -> Result<Self, Error> {
        let entry = &models.manifest.detector;
        let network = Network::load(
            runtime,
            "detector",
            &models.model(&entry.source)?,
            signature(),
        )?;
        Ok(Self::new(network, entry))
    }

    fn new(network: Network, entry: &DetectorEntry) -> Self {
        Detector {
            network,
            long_side: entry.long_side,
            score_threshold: entry.score_threshold,
            nms_iou: entry.nms_iou,
            judged: entry.judged,
        }
    }

    /// Pixels of the long side of an image that are enough to find faces.
    pub fn long_side(&self) -> f64 {
        SAMPLES * f64::from(self.long_side)
    }

    /// Refuses a network that does not look at its pictures.
    pub fn try_out(&self, pictures: &[Picture; 2]) -> Result<(), Error> {
        let answers = |picture: &Picture| {
            let (input, _) = self.input(picture)?;
            let outputs = self.network.run(&input)?;
            Cells::new(&self.network, &input, &outputs)?
                .faces(&self.network, self.score_threshold)?;
            Ok::<_, Error>(outputs)
        };
        let (first, second) = (answers(&pictures[0])?, answers(&pictures[1])?);
        for pair in first.iter().zip(&second) {
            let [a, b] =
                [pair.0, pair.1].map(|output| output.data.iter().map(|value| f64::from(*value)));
            selftest::ensure_different(&self.network, [a, b])?;
        }
        Ok(())
    }

    /// All faces, the most certain first.
    pub fn faces(&self, image: &Picture) -> Result<Vec<Face>, Error> {
        let (input, ratio) = self.input(image)?;
        let outputs = self.network.run(&input)?;
        let cells = Cells::new(&self.network, &input, &outputs)?;
        let mut faces = cells.faces(&self.network, self.score_threshold)?;
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        faces.truncate(MAX_CANDIDATES);
        let mut faces = suppress(faces, self.nms_iou);
        for face in &mut faces {
            scale(face, ratio);
        }
        Ok(faces)
    }

    /// The one face of a selfie of this size: the largest, unless another is large enough to matter, or it
    /// is not certain that it is one, or it is too small.
    ///
    /// # Errors
    /// 051 for any other number of faces, and for one that is too small to be judged.
    pub fn only(
        &self,
        faces: &[Face],
        [width, height]: [u32; 2],
        second_face_ratio: f32,
    ) -> Result<Face, Error> {
        let main = largest_alone(faces, second_face_ratio)?;
        let share = main.bbox[3] / width.max(height) as f32;
        // Written so that anything but a certain and large enough face is refused.
        let certain = main.score >= self.judged.score - self.judged.slope * share;
        let large = main.bbox[3] >= SMALLEST;
        match (certain, large) {
            (true, true) => Ok(main),
            (true, false) => Err(too_small(main)),
            (false, _) => Err(no_face(
                "no face is certain enough to be judged: come closer to the camera, upright and well lit",
            )),
        }
    }

    /// The network's input, and the size of its pixels in pixels of the image.
    fn input(&self, image: &Picture) -> Result<(Tensor, [f32; 2]), Error> {
        let (width, height) = (image.width(), image.height());
        let factor = f64::from(self.long_side) / f64::from(width.max(height));
        let side = |side: u32| ((f64::from(side) * factor).round() as u32).max(1);
        let (small_width, small_height) = (side(width), side(height));
        let whole = Rect::whole(width, height);
        let small = image.resize(whole, small_width, small_height)?;
        let padded = |side: u32| (side as usize).next_multiple_of(ALIGN);
        let input = tensor(&small, padded(small_width), padded(small_height))?;
        Ok((
            input,
            [
                width as f32 / small_width as f32,
                height as f32 / small_height as f32,
            ],
        ))
    }
}

fn signature() -> Signature {
    Signature {
        input: vec![Some(1), Some(3), None, None],
        outputs: vec![("score", 4), ("box", 4), ("points", 4)],
    }
}

/// The outputs of the network, of checked shape.
struct Cells<'a> {
    columns: usize,
    scores: &'a [f32],
    boxes: &'a [f32],
    points: &'a [f32],
}

impl<'a> Cells<'a> {
    fn new(network: &Network, input: &Tensor, outputs: &'a [Tensor]) -> Result<Self, Error> {
        let &[_, _, height, width] = input.shape.as_slice() else {
            return Err(network.fault("its input has the wrong shape".into()));
        };
        let [scores, boxes, points] = outputs else {
            return Err(network.fault("it gave the wrong number of outputs".into()));
        };
        let (rows, columns) = (height / STRIDE, width / STRIDE);
        for (output, channels) in [(scores, 1), (boxes, 4), (points, 10)] {
            network.expect_shape(output, &[1, channels, rows, columns])?;
        }
        Ok(Cells {
            columns,
            scores: &scores.data,
            boxes: &boxes.data,
            points: &points.data,
        })
    }

    /// A face per cell that is certain enough, in pixels of the network's input.
    fn faces(&self, network: &Network, threshold: f32) -> Result<Vec<Face>, Error> {
        if !self.scores.iter().all(|score| (0.0..=1.0).contains(score)) {
            return Err(network.fault("a score is no probability".into()));
        }
        let certain = self
            .scores
            .iter()
            .enumerate()
            .filter(|(_, score)| **score >= threshold);
        certain
            .map(|(cell, score)| {
                self.face(cell, *score)
                    .ok_or_else(|| network.fault("a face box or landmark makes no sense".into()))
            })
            .collect()
    }

    fn face(&self, cell: usize, score: f32) -> Option<Face> {
        let cells = self.scores.len();
        let centre = |index: usize| (index as f32 + 0.5) * STRIDE as f32;
        let (x, y) = (centre(cell % self.columns), centre(cell / self.columns));
        let [left, top, right, bottom] =
            std::array::from_fn(|side| self.boxes[side * cells + cell]);
        let bbox = [x - left, y - top, left + right, top + bottom];
        let [x, y, width, height] = bbox;
        if !(width > 0.0 && height > 0.0) {
            return None;
        }
        let points: [[f32; 2]; 5] = std::array::from_fn(|point| {
            let [px, py] =
                std::array::from_fn(|axis| self.points[(2 * point + axis) * cells + cell]);
            [x + px * width, y + py * height]
        });
        let sane = |value: &f32| value.abs() < MAX_COORDINATE;
        (bbox.iter().all(sane) && points.iter().flatten().all(sane)).then_some(Face {
            bbox,
            points,
            score,
        })
    }
}

/// Keeps of overlapping boxes the first, which is the most certain. A much smaller one inside another is a face of its
/// own: were it the only one, whoever holds a small face before an attack would have that judged.
fn suppress(faces: Vec<Face>, iou: f32) -> Vec<Face> {
    let mut kept: Vec<Face> = Vec::new();
    for face in faces {
        if !kept.iter().any(|better| same(better, &face, iou)) {
            kept.push(face);
        }
    }
    kept
}

fn same(a: &Face, b: &Face, iou: f32) -> bool {
    let shared = |axis: usize| {
        let start = a.bbox[axis].max(b.bbox[axis]);
        let end = (a.bbox[axis] + a.bbox[axis + 2]).min(b.bbox[axis] + b.bbox[axis + 2]);
        (end - start).max(0.0)
    };
    let area = |face: &Face| face.bbox[2] * face.bbox[3];
    let intersection = shared(0) * shared(1);
    intersection > iou * (area(a) + area(b) - intersection)
}

fn scale(face: &mut Face, [x, y]: [f32; 2]) {
    let [left, top, width, height] = face.bbox;
    face.bbox = [left * x, top * y, width * x, height * y];
    face.points = face.points.map(|[px, py]| [px * x, py * y]);
}

/// The largest face, unless another is large enough to matter.
fn largest_alone(faces: &[Face], second_face_ratio: f32) -> Result<Face, Error> {
    let mut main: Option<Face> = None;
    for face in faces {
        if main.is_none_or(|main| face.bbox[3] > main.bbox[3]) {
            main = Some(*face);
        }
    }
    let main = main.ok_or_else(|| {
        no_face("no face was found: the selfie must show one face, upright and well lit")
    })?;
    let counted = faces
        .iter()
        .filter(|face| face.bbox[3] >= second_face_ratio * main.bbox[3])
        .count() as u32;
    if counted > 1 {
        let detail = format!("{counted} faces were found: the selfie must show one person only");
        return Err(refused(Reason::SeveralFaces, counted, Some(main), detail));
    }
    Ok(main)
}

fn too_small(face: Face) -> Error {
    let detail = format!(
        "the face has a height of {:.0} pixels, and {SMALLEST} are needed to judge it: come closer to the camera, or send the picture as large as it was taken",
        face.bbox[3].floor()
    );
    refused(Reason::FaceTooSmall, 1, Some(face), detail)
}

fn no_face(detail: &str) -> Error {
    refused(Reason::NoFace, 0, None, detail.into())
}

fn refused(reason: Reason, faces: u32, face: Option<Face>, detail: String) -> Error {
    let findings = Findings {
        reasons: vec![reason],
        faces: Some(faces),
        face,
        ..Findings::default()
    };
    Error::new(ErrorCode::FaceCount, detail).with(findings)
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::inference::testing::{filled, network};
    use crate::models::Source;

    fn entry() -> DetectorEntry {
        let source = Source {
            file: String::new(),
            sha256: String::new(),
        };
        DetectorEntry {
            source,
            long_side: 64,
            score_threshold: 0.5,
            nms_iou: 0.3,
            judged: JudgedFace::default(),
        }
    }

    /// A detector that finds faces of 16 x 24 px in these cells of a 64 x 64 input.
    fn detector(cells: &'static [(usize, f32)]) -> Detector {
        let answer = move |input: &Tensor| {
            assert_eq!(input.shape, [1, 3, 64, 64]);
            let mut score = filled(&[1, 1, 8, 8], 0.1);
            let mut sides = filled(&[1, 4, 8, 8], 8.0);
            sides.data[64..128].fill(12.0);
            sides.data[192..].fill(12.0);
            for (cell, value) in cells {
                score.data[*cell] = *value;
            }
            Ok(vec![score, sides, filled(&[1, 10, 8, 8], 0.25)])
        };
        Detector::new(network(signature(), answer), &entry())
    }

    #[test]
    fn a_cell_becomes_a_face_in_pixels_of_the_image() {
        // 128 x 96 pixels are seen as 64 x 48, padded to 64 x 64.
        let faces = detector(&[(2 * 8 + 3, 0.9)])
            .faces(&RgbImage::new(128, 96).into())
            .unwrap();
        let [face] = faces.as_slice() else {
            panic!("{faces:?}")
        };
        assert_eq!(
            face.bbox,
            [(28.0 - 8.0) * 2.0, (20.0 - 12.0) * 2.0, 32.0, 48.0]
        );
        assert_eq!(face.points, [[40.0 + 8.0, 16.0 + 12.0]; 5]);
        assert_eq!(face.score, 0.9);
    }

    #[test]
    fn neighbours_are_one_face_and_the_most_certain_wins() {
        let faces = detector(&[(18, 0.6), (19, 0.9), (20, 0.7), (62, 0.8)])
            .faces(&RgbImage::new(64, 64).into())
            .unwrap();
        assert_eq!(
            faces.iter().map(|face| face.score).collect::<Vec<_>>(),
            [0.9, 0.8]
        );
    }

    #[test]
    fn a_smaller_face_inside_the_box_of_another_is_a_second_one() {
        let face = |x, side| Face {
            bbox: [x, 0.0, side, side],
            points: [[0.0; 2]; 5],
            score: 0.9,
        };
        let (again, small, tiny, large) = (
            face(10.0, 80.0),
            face(10.0, 40.0),
            face(10.0, 20.0),
            face(0.0, 100.0),
        );
        // The more certain come first.
        let kept = |faces| suppress(faces, 0.4);
        assert_eq!(kept(vec![large, again]), [large]);
        let error = largest_alone(&kept(vec![small, large]), 0.3).unwrap_err();
        assert_eq!(error.code(), ErrorCode::FaceCount);
        assert_eq!(largest_alone(&kept(vec![tiny, large]), 0.3).unwrap(), large);
    }

    #[test]
    fn impossible_outputs_are_internal_errors() {
        let sound = |score, side| {
            vec![
                filled(&[1, 1, 8, 8], score),
                filled(&[1, 4, 8, 8], side),
                filled(&[1, 10, 8, 8], 0.5),
            ]
        };
        let mut transposed = sound(0.9, 4.0);
        transposed[1] = filled(&[1, 8, 8, 4], 4.0);
        let broken = [
            sound(1.5, 4.0),
            sound(-0.1, 4.0),
            sound(f32::NAN, 4.0),
            sound(0.9, -4.0),
            sound(0.9, 0.0),
            sound(0.9, f32::INFINITY),
            sound(0.9, 3e38),
            transposed,
        ];
        for outputs in broken {
            let answer = outputs.clone();
            let detector =
                Detector::new(network(signature(), move |_| Ok(answer.clone())), &entry());
            let error = detector.faces(&RgbImage::new(64, 64).into()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Internal, "{outputs:?}");
        }
    }

    fn tall(height: f32, score: f32) -> Face {
        Face {
            bbox: [0.0, 0.0, 10.0, height],
            points: [[0.0; 2]; 5],
            score,
        }
    }

    #[test]
    fn the_second_face_counts_from_the_given_ratio_on() {
        let face = |height| tall(height, 0.9);
        let only = largest_alone;
        assert_eq!(only(&[face(24.0), face(100.0)], 0.25).unwrap(), face(100.0));
        let error = only(&[face(25.0), face(100.0), face(5.0)], 0.25).unwrap_err();
        assert_eq!(
            (error.code(), error.details().faces),
            (ErrorCode::FaceCount, Some(2))
        );
        let error = only(&[], 0.3).unwrap_err();
        assert_eq!(
            (error.code(), error.details().faces),
            (ErrorCode::FaceCount, Some(0))
        );
    }

    fn judging(score: f32, slope: f32) -> Detector {
        Detector {
            judged: JudgedFace { score, slope },
            ..detector(&[])
        }
    }

    #[test]
    fn a_small_face_must_be_more_certain() {
        let detector = judging(0.8, 0.5);
        let only = |height, score| detector.only(&[tall(height, score)], [1000, 800], 0.3);
        assert!(only(400.0, 0.61).is_ok());
        assert!(only(100.0, 0.76).is_ok());
        for (height, score) in [(400.0, 0.59), (100.0, 0.74), (100.0, f32::NAN)] {
            let error = only(height, score).unwrap_err();
            assert_eq!(
                (error.code(), error.details().faces),
                (ErrorCode::FaceCount, Some(0))
            );
            assert_eq!(error.details().reasons, [Reason::NoFace]);
        }
    }

    #[test]
    fn a_face_of_too_few_pixels_is_not_judged() {
        let detector = judging(0.0, 0.0);
        let only = |height| detector.only(&[tall(height, 0.9)], [100, 80], 0.3);
        assert!(only(40.0).is_ok());
        let error = only(39.9).unwrap_err();
        assert_eq!(error.code(), ErrorCode::FaceCount);
        assert_eq!(error.details().reasons, [Reason::FaceTooSmall]);
        assert_eq!(error.details().faces, Some(1));
        assert!(error.detail().contains("39 pixels"), "{error}");
    }
}
