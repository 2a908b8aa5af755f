//! Finds faces, and the one that the image is about.

use image::{RgbImage, imageops};

use crate::deadline::Deadline;
use crate::decode::Picture;
use crate::error::{Error, ErrorCode, Findings};
use crate::inference::{Network, Runtime, Signature, Tensor};
use crate::models::{DetectorEntry, JudgedFace, Models, UprightFace};
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
/// A face is taken to lie where it is more certain in the picture turned, its odds this many times as high. With a score
/// below 0.98, none of 229 upright faces was 2.1 times as certain in the picture turned, and 98 % of 2,329 lying ones
/// were 4.5 times and more.
const LYING: f32 = 2.5;
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
    upright: UprightFace,
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
            upright: entry.upright,
        }
    }

    /// Pixels of the long side of an image that are enough to find faces.
    pub fn long_side(&self) -> f64 {
        SAMPLES * f64::from(self.long_side)
    }

    /// Refuses a network that does not look at its pictures.
    pub fn try_out(&self, pictures: &[Picture; 2]) -> Result<(), Error> {
        let answers = |picture: &Picture| {
            let input = padded(&self.reduced(picture)?)?;
            let outputs = self.network.run(&input)?;
            Cells::new(&self.network, &input, &outputs)?
                .faces(&self.network, self.score_threshold)?;
            Ok::<[Tensor; 3], Error>(outputs)
        };
        let (first, second) = (answers(&pictures[0])?, answers(&pictures[1])?);
        for pair in first.iter().zip(&second) {
            let [a, b] =
                [pair.0, pair.1].map(|output| output.data.iter().map(|value| f64::from(*value)));
            selftest::ensure_different(&self.network, [a, b])?;
        }
        Ok(())
    }

    /// The one face of a selfie: see [`only`](Self::only).
    ///
    /// # Errors
    /// As there, and 051 for a face that is upright only in the picture turned. Most of those that stand on their head
    /// are found, and some that lie on their side, but nothing that comes after is made for them. They are not judged
    /// in the picture turned: whoever else looks at it sees it as it is, and each further look is one more chance to
    /// take for a face what is none.
    pub fn face(
        &self,
        image: &Picture,
        second_face_ratio: f32,
        deadline: &Deadline,
    ) -> Result<Face, Error> {
        let size = [image.width(), image.height()];
        let reduced = self.reduced(image)?;
        let faces = self.faces(&reduced, size)?;
        let answer = self.only(&faces, size, second_face_ratio);
        let upright = match &answer {
            Ok(face) if !self.is_surely_upright(face, size) => face.score,
            Err(error) if error.details().reasons == [Reason::NoFace] => 0.0,
            _ => return answer,
        };
        match self.turn(reduced, size, deadline)? {
            Some((score, angle)) if odds(score) > LYING * odds(upright) => Err(not_upright(angle)),
            _ => answer,
        }
    }

    /// The score of the most certain face that could be judged in the picture turned, and by how many degrees
    /// clockwise that is.
    fn turn(
        &self,
        mut reduced: RgbImage,
        mut size: [u32; 2],
        deadline: &Deadline,
    ) -> Result<Option<(f32, u32)>, Error> {
        let mut best: Option<(f32, u32)> = None;
        for angle in [90, 180, 270] {
            deadline.check()?;
            reduced = imageops::rotate90(&reduced);
            size.swap(0, 1);
            let faces = self.faces(&reduced, size)?;
            let judged = |face: &&Face| self.is_certain(face, size) && is_large(face);
            let face = faces.iter().find(judged);
            let score = face.map_or(0.0, |face| face.score);
            if score > best.map_or(0.0, |(score, _)| score) {
                best = Some((score, angle));
            }
        }
        Ok(best)
    }

    /// All faces of an image of this size that was made smaller, the most certain first.
    fn faces(&self, reduced: &RgbImage, [width, height]: [u32; 2]) -> Result<Vec<Face>, Error> {
        let input = padded(reduced)?;
        let outputs = self.network.run(&input)?;
        let cells = Cells::new(&self.network, &input, &outputs)?;
        let mut faces = cells.faces(&self.network, self.score_threshold)?;
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        faces.truncate(MAX_CANDIDATES);
        let mut faces = suppress(faces, self.nms_iou);
        let ratio = [
            width as f32 / reduced.width() as f32,
            height as f32 / reduced.height() as f32,
        ];
        for face in &mut faces {
            scale(face, ratio);
        }
        Ok(faces)
    }

    /// The largest of the faces of a selfie of this size, unless another is large enough to matter, or it
    /// is not certain that it is one, or it is too small.
    ///
    /// # Errors
    /// 051 for any other number of faces, and for one that is too small to be judged.
    fn only(&self, faces: &[Face], size: [u32; 2], second_face_ratio: f32) -> Result<Face, Error> {
        let main = largest_alone(faces, second_face_ratio)?;
        match (self.is_certain(&main, size), is_large(&main)) {
            (true, true) => Ok(main),
            (true, false) => Err(too_small(main)),
            (false, _) => Err(no_face(
                "no face is certain enough to be judged: come closer to the camera, upright and well lit",
            )),
        }
    }

    /// Whether this surely is a face, in an image of this size. Written so that anything but a score says no.
    fn is_certain(&self, face: &Face, size: [u32; 2]) -> bool {
        let small = self.judged.score - self.judged.slope * share(face, size);
        face.score >= small.max(self.judged.least)
    }

    /// Whether the picture need not be turned to know that this is how the face stands.
    fn is_surely_upright(&self, face: &Face, size: [u32; 2]) -> bool {
        let share = share(face, size).min(1.0);
        face.score >= self.upright.score + self.upright.slope * share
    }

    /// The image as small as the network sees it.
    fn reduced(&self, image: &Picture) -> Result<RgbImage, Error> {
        let (width, height) = (image.width(), image.height());
        let factor = f64::from(self.long_side) / f64::from(width.max(height));
        let side = |side: u32| ((f64::from(side) * factor).round() as u32).max(1);
        image.resize(Rect::whole(width, height), side(width), side(height))
    }
}

/// The network's input.
fn padded(reduced: &RgbImage) -> Result<Tensor, Error> {
    let side = |side: u32| (side as usize).next_multiple_of(ALIGN);
    tensor(reduced, side(reduced.width()), side(reduced.height()))
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
    fn new(network: &Network, input: &Tensor, outputs: &'a [Tensor; 3]) -> Result<Self, Error> {
        let &[_, _, height, width] = input.shape.as_slice() else {
            return Err(network.fault("its input has the wrong shape".into()));
        };
        let [scores, boxes, points] = outputs;
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

/// Of the height of a face in the long side of an image of this size.
fn share(face: &Face, [width, height]: [u32; 2]) -> f32 {
    face.bbox[3] / width.max(height) as f32
}

fn odds(probability: f32) -> f32 {
    probability / (1.0 - probability)
}

/// Written so that anything but a height says no.
fn is_large(face: &Face) -> bool {
    face.bbox[3] >= SMALLEST
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

fn not_upright(angle: u32) -> Error {
    let detail = format!(
        "the face is upright only if the picture is turned by {angle} degrees clockwise: turn it, or send it with the orientation that the camera wrote (EXIF)"
    );
    let findings = Findings {
        reasons: vec![Reason::NoFace, Reason::NotUpright],
        faces: Some(0),
        ..Findings::default()
    };
    Error::new(ErrorCode::FaceCount, detail).with(findings)
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
            upright: UprightFace::default(),
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

    /// What it finds in a black image of this size.
    fn faces(detector: &Detector, width: u32, height: u32) -> Result<Vec<Face>, Error> {
        let image = RgbImage::new(width, height).into();
        detector.faces(&detector.reduced(&image)?, [width, height])
    }

    #[test]
    fn a_cell_becomes_a_face_in_pixels_of_the_image() {
        // 128 x 96 pixels are seen as 64 x 48, padded to 64 x 64.
        let faces = faces(&detector(&[(2 * 8 + 3, 0.9)]), 128, 96).unwrap();
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
        let detector = detector(&[(18, 0.6), (19, 0.9), (20, 0.7), (62, 0.8)]);
        let faces = faces(&detector, 64, 64).unwrap();
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
            let error = faces(&detector, 64, 64).unwrap_err();
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
            judged: JudgedFace {
                score,
                slope,
                least: 0.6,
            },
            ..detector(&[])
        }
    }

    #[test]
    fn a_small_face_must_be_more_certain() {
        let detector = judging(0.8, 0.5);
        let only = |height, score| detector.only(&[tall(height, score)], [1000, 800], 0.3);
        assert!(only(400.0, 0.61).is_ok());
        assert!(only(100.0, 0.76).is_ok());
        for (height, score) in [
            (400.0, 0.59),
            (900.0, 0.59),
            (100.0, 0.74),
            (100.0, f32::NAN),
        ] {
            let error = only(height, score).unwrap_err();
            assert_eq!(
                (error.code(), error.details().faces),
                (ErrorCode::FaceCount, Some(0))
            );
            assert_eq!(error.details().reasons, [Reason::NoFace]);
        }
    }

    /// A detector that is as certain of a face as its input is light in the upper left corner.
    fn detector_of_marks() -> Detector {
        let answer = |input: &Tensor| {
            let mut scores = filled(&[1, 1, 8, 8], 0.1);
            scores.data[0] = (1.0 + input.data[0]) / 2.0;
            let sides = filled(&[1, 4, 8, 8], 20.0);
            Ok(vec![scores, sides, filled(&[1, 10, 8, 8], 0.25)])
        };
        // Its boxes have 0.625 of the image's height, so 0.9625 is enough.
        let upright = UprightFace {
            score: 0.9,
            slope: 0.1,
        };
        Detector {
            upright,
            ..Detector::new(network(signature(), answer), &entry())
        }
    }

    /// Of a picture with these lights in the corners, upper left, lower left, lower right and upper right, which turning
    /// it clockwise brings to the upper left one by one.
    fn face_among(lights: [u8; 4]) -> Result<Face, Error> {
        let mut image = RgbImage::new(64, 64);
        for ((x, y), light) in [(0, 0), (0, 63), (63, 63), (63, 0)].into_iter().zip(lights) {
            image.put_pixel(x, y, image::Rgb([light; 3]));
        }
        let deadline = Deadline::after(std::time::Duration::from_secs(60));
        detector_of_marks().face(&image.into(), 0.3, &deadline)
    }

    #[test]
    fn a_face_that_lies_is_told_and_not_judged() {
        let lying = [
            ([0, 200, 0, 0], 90),
            ([0, 0, 200, 0], 180),
            ([0, 0, 0, 200], 270),
            // Less certain, it is found as it lies too.
            ([150, 0, 220, 0], 180),
            ([150, 200, 220, 240], 270),
            ([244, 255, 0, 0], 90),
        ];
        for (lights, angle) in lying {
            let error = face_among(lights).unwrap_err();
            assert_eq!(error.code(), ErrorCode::FaceCount);
            let findings = error.details();
            assert_eq!(findings.reasons, [Reason::NoFace, Reason::NotUpright]);
            assert_eq!((findings.faces, findings.face), (Some(0), None));
            let text = format!("{angle} degrees clockwise");
            assert!(error.detail().contains(&text), "{error}");
        }
        let error = face_among([0; 4]).unwrap_err();
        assert_eq!(error.details().reasons, [Reason::NoFace]);
    }

    #[test]
    fn a_face_that_is_nearly_as_certain_turned_is_judged() {
        for (lights, score) in [([200, 210, 210, 210], 200.0), ([250, 255, 0, 0], 250.0)] {
            let face = face_among(lights).unwrap();
            assert!((face.score - score / 255.0).abs() < 1e-3, "{face:?}");
        }
    }

    #[test]
    fn the_time_limit_holds_while_a_lying_face_is_looked_for() {
        let deadline = Deadline::after(std::time::Duration::ZERO);
        let image = RgbImage::new(64, 64).into();
        let error = detector(&[]).face(&image, 0.3, &deadline).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
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
