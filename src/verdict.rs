//! What a check answers.

/// The answer to a check of an image with exactly one bare face.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether a live person is before the camera, rather than a print or a screen.
    pub liveness: bool,
    /// How confident that answer is, 0..1: near 1 for a sure live person and for a sure attack.
    pub score: f64,
    /// What the answer rests on.
    pub details: Details,
}

/// What a verdict rests on. Coordinates are pixels of the upright full-resolution image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Details {
    /// Calibrated probability of a bona fide presentation, 0..1.
    pub live_probability: f64,
    /// `live_probability` from which on the face counts as live.
    pub threshold: f64,
    /// The main face.
    pub face: Face,
    /// Number of faces that count; 1 in a verdict.
    pub faces: u32,
    /// Probabilities of the attack presentations.
    pub attack_type: AttackType,
    /// Probability that a mask covers mouth or nose, 0..1.
    pub mask_probability: f32,
    /// Measured quality of the image of the face.
    pub quality: Quality,
    /// What is wrong with the quality; empty for a good selfie.
    pub reasons: Vec<Reason>,
    /// Version and digest of the models.
    pub models: String,
    /// Name and version of the inference engine.
    pub engine: String,
    /// Where the time went.
    pub timings: Timings,
}

/// A face that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Left, top, width and height in pixels. It may reach beyond the image.
    pub bbox: [f32; 4],
    /// Right eye, left eye, nose, right and left corner of the mouth as x, y in pixels; right is
    /// the subject's right, which is the left side of the image. The centre of the top left pixel
    /// is (0, 0).
    pub points: [[f32; 2]; 5],
    /// Confidence of the detector, 0..1.
    pub score: f32,
}

/// Probabilities of the attack presentations; together with `live_probability` they sum to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttackType {
    /// A printed photo, 0..1.
    pub print: f64,
    /// A photo or video on a screen, 0..1.
    pub replay: f64,
}

/// Measured quality of the image of the face.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Quality {
    /// Height of the face box in pixels.
    pub face_size: f32,
    /// Height of the face box as a share of the image's long side.
    pub face_share: f32,
    /// Share of the face box that lies outside the image, 0..1.
    pub outside: f32,
    /// Estimated turn of the head in degrees, positive towards the subject's left; about 10 degrees uncertain.
    pub yaw: f32,
    /// Estimated nod of the head in degrees, positive upwards; a hint only: large nods come out as a few degrees.
    pub pitch: f32,
    /// Tilt of the head in the image plane in degrees, positive clockwise.
    pub roll: f32,
    /// Mean luma of the face, 0..1.
    pub brightness: f32,
    /// Standard deviation of the luma of the face, 0..0.5.
    pub contrast: f32,
    /// Share of the face's pixels that are clipped to black or white, 0..1.
    pub clipped: f32,
    /// Variance of the Laplacian of the face scaled to a fixed size; small is blurred.
    pub sharpness: f32,
}

/// Why an image was refused, or what is wrong with its quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No face was found.
    NoFace,
    /// More than one face counts.
    SeveralFaces,
    /// A mask covers mouth or nose.
    FaceMask,
    /// The face has too few pixels.
    FaceTooSmall,
    /// The face reaches beyond the image.
    FaceCutOff,
    /// The head is turned to a side.
    HeadTurned,
    /// The head looks up or down.
    HeadNodded,
    /// The head is tilted.
    HeadTilted,
    /// The face is too dark.
    TooDark,
    /// The face is too bright.
    TooBright,
    /// The face has too little contrast.
    LowContrast,
    /// Too much of the face is clipped to black or white.
    Clipped,
    /// The face is out of focus or smeared by motion.
    Blurred,
    /// No face was found, but there is one in the picture turned by a quarter, or upside down.
    NotUpright,
}

impl Reason {
    /// The machine-readable name, such as `"face_too_small"`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::NoFace => "no_face",
            Reason::SeveralFaces => "several_faces",
            Reason::FaceMask => "face_mask",
            Reason::FaceTooSmall => "face_too_small",
            Reason::FaceCutOff => "face_cut_off",
            Reason::HeadTurned => "head_turned",
            Reason::HeadNodded => "head_nodded",
            Reason::HeadTilted => "head_tilted",
            Reason::TooDark => "too_dark",
            Reason::TooBright => "too_bright",
            Reason::LowContrast => "low_contrast",
            Reason::Clipped => "clipped",
            Reason::Blurred => "blurred",
            Reason::NotUpright => "not_upright",
        }
    }
}

/// Milliseconds spent per stage.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Timings {
    /// Reading, decoding and turning upright.
    pub decode: f64,
    /// Finding faces.
    pub detect: f64,
    /// Looking for a mask, and measuring the quality.
    pub mask: f64,
    /// Telling live from attack.
    pub spoof: f64,
    /// All of it.
    pub total: f64,
}
