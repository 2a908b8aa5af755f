//! The numbers and structs that cross the boundary. Whatever stands here is in the header, and
//! nothing of it ever changes its value, its place or its size: new things are appended.

use std::mem::{MaybeUninit, size_of};

use libc::c_char;

use crate::error::{Error, ErrorCode};
use crate::pixels::PixelFormat;
use crate::verdict::{Reason, Verdict};

/// Status: the call did what was asked.
pub const LIVENESS_OK: i32 = 0;
/// Status 001: only HTTP servers answer with it, this library never does.
pub const LIVENESS_ERROR_UNAUTHORIZED: i32 = 1;
/// Status 002: not decodable as an image: damaged, truncated, not an image, an unsupported format,
/// empty, absurd dimensions, invalid base64.
pub const LIVENESS_ERROR_UNREADABLE_IMAGE: i32 = 2;
/// Status 003: the encoded file is larger than max_file_bytes (10 MiB by default).
pub const LIVENESS_ERROR_IMAGE_TOO_LARGE: i32 = 3;
/// Status 004: a null pointer, a bad struct_size, an invalid pixel layout, an invalid option.
pub const LIVENESS_ERROR_BAD_REQUEST: i32 = 4;
/// Status 005: anything unforeseen, a caught panic included.
pub const LIVENESS_ERROR_INTERNAL: i32 = 5;
/// Status 051: no face, or more than one, or one under 40 pixels high; with `strict_quality` also one of
/// poor quality.
pub const LIVENESS_ERROR_FACE_COUNT: i32 = 51;
/// Status 052: a face mask covers mouth or nose.
pub const LIVENESS_ERROR_MASK_DETECTED: i32 = 52;

/// Pixel format: three bytes per pixel, red, green, blue.
pub const LIVENESS_PIXELS_RGB: i32 = 1;
/// Pixel format: three bytes per pixel, blue, green, red.
pub const LIVENESS_PIXELS_BGR: i32 = 2;
/// Pixel format: four bytes per pixel, red, green, blue, alpha. What is transparent shows white, so
/// the fourth byte must be 255 where it is no alpha (RGBX): a frame of zeros there is all white.
pub const LIVENESS_PIXELS_RGBA: i32 = 3;
/// Pixel format: four bytes per pixel, blue, green, red, alpha. What is transparent shows white, so
/// the fourth byte must be 255 where it is no alpha (BGRX): a frame of zeros there is all white.
pub const LIVENESS_PIXELS_BGRA: i32 = 4;
/// Pixel format: one byte per pixel. The networks judge by colours too: of grey pictures most live people are refused
/// (models/MODEL_CARD.md, "Mistakes of those who send pictures"), so give frames with their colours where there are any.
pub const LIVENESS_PIXELS_GRAY: i32 = 5;
/// Pixel format: a plane of luma, then a plane of interleaved U and V.
pub const LIVENESS_PIXELS_NV12: i32 = 6;
/// Pixel format: a plane of luma, then a plane of interleaved V and U (Android's camera preview).
pub const LIVENESS_PIXELS_NV21: i32 = 7;
/// Pixel format: a plane of luma, a plane of U, a plane of V.
pub const LIVENESS_PIXELS_I420: i32 = 8;

/// Flag of the JSON calls: add the member "details".
pub const LIVENESS_JSON_DETAILS: u32 = 1;

/// Log level: nothing.
pub const LIVENESS_LOG_OFF: i32 = 0;
/// Log level: status 005, and a handle that liveness_free should not have been given.
pub const LIVENESS_LOG_ERROR: i32 = 1;
/// Log level: also status 004.
pub const LIVENESS_LOG_WARN: i32 = 2;
/// Log level: also which engine and models a handle uses.
pub const LIVENESS_LOG_INFO: i32 = 3;
/// Log level: also every verdict and every refused image. Never a pixel, never a file name.
pub const LIVENESS_LOG_DEBUG: i32 = 4;

/// Reason bit "no_face". It comes with status 051, so from liveness_last_reasons.
pub const LIVENESS_REASON_NO_FACE: u64 = 1;
/// Reason bit "several_faces". It comes with status 051, so from liveness_last_reasons.
pub const LIVENESS_REASON_SEVERAL_FACES: u64 = 2;
/// Reason bit "face_mask". It comes with status 052, so from liveness_last_reasons.
pub const LIVENESS_REASON_FACE_MASK: u64 = 4;
/// Reason bit "face_too_small": the face is under 80 pixels high. One under 40 is status 051.
pub const LIVENESS_REASON_FACE_TOO_SMALL: u64 = 8;
/// Reason bit "face_cut_off": the face reaches beyond the image.
pub const LIVENESS_REASON_FACE_CUT_OFF: u64 = 16;
/// Reason bit "head_turned": the head is turned to a side.
pub const LIVENESS_REASON_HEAD_TURNED: u64 = 32;
/// Reason bit "head_nodded": the head looks up or down.
pub const LIVENESS_REASON_HEAD_NODDED: u64 = 64;
/// Reason bit "head_tilted": the head is tilted in the image plane.
pub const LIVENESS_REASON_HEAD_TILTED: u64 = 128;
/// Reason bit "too_dark".
pub const LIVENESS_REASON_TOO_DARK: u64 = 256;
/// Reason bit "too_bright".
pub const LIVENESS_REASON_TOO_BRIGHT: u64 = 512;
/// Reason bit "low_contrast".
pub const LIVENESS_REASON_LOW_CONTRAST: u64 = 1024;
/// Reason bit "clipped": too much of the face is black or white.
pub const LIVENESS_REASON_CLIPPED: u64 = 2048;
/// Reason bit "blurred": out of focus, or smeared by motion.
pub const LIVENESS_REASON_BLURRED: u64 = 4096;
/// Reason bit "not_upright", beside "no_face": there is a face in the picture turned by a quarter, or upside down.
/// liveness_last_error says which way to turn it.
pub const LIVENESS_REASON_NOT_UPRIGHT: u64 = 8192;

/// Choices for a handle. Start from LIVENESS_CONFIG_INIT; zero in any field means its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LivenessConfig {
    /// sizeof(liveness_config), set by LIVENESS_CONFIG_INIT.
    pub struct_size: u32,
    /// live_probability from which on a face counts as live: more than 0 and less than 1.
    /// Default: the calibrated threshold of the models, which is 0.5 for the embedded ones. It does
    /// not change live_probability: how often the networks look at a face depends on fixed ranges
    /// around 0.5. With the embedded models the first look, by one network, is the only one where
    /// it gives 0.92 or more: a higher threshold can refuse a face on that network's word alone.
    /// Error rates were measured for thresholds of 0.1 to 0.9 (models/MODEL_CARD.md).
    pub threshold: f32,
    /// Path of an ONNX Runtime shared library (1.17 or newer). Default (null or empty): what the
    /// environment variable LIVENESS_ONNXRUNTIME names, else the embedded engine. A library that
    /// is named but cannot be loaded is status 005. A process can load one ONNX Runtime only. One with
    /// more rights than its caller has (set-user-ID, file capabilities) does not ask the variable.
    pub onnxruntime: *const c_char,
    /// Folder with a manifest.json and the networks it names. Default (null or empty): the embedded
    /// ones.
    pub models_dir: *const c_char,
    /// Largest encoded file in bytes, counted after base64 decoding; above it is status 003.
    /// Default: 10485760 (10 MiB).
    pub max_file_bytes: u64,
    /// Largest number of pixels an image may have; above it is status 002. Default: 100000000.
    pub max_pixels: u64,
    /// Largest width and height of an image in pixels; above it is status 002. Default: 16384.
    pub max_side: u32,
    /// Probability of a face mask from which on an image is refused with status 052: more than 0
    /// and less than 1. Default: the threshold of the models.
    pub mask_threshold: f32,
    /// A second face counts, and the image is refused with status 051, when its box has at least
    /// this share of the main face's height, be it beside it or before it: more than 0, at most 1.
    /// Default: 0.3.
    pub second_face_ratio: f32,
    /// 1: refuse an image with one of the quality reasons with status 051, after the look for a mask; which one
    /// it was says liveness_last_reasons. Default: report the reasons only.
    pub strict_quality: u32,
    /// Longest time for a check in milliseconds; a longer one is status 005. The clock is looked at
    /// between the steps of a check and while a file is decoded, so an answer can be late by the time
    /// of one step. 4294967295 is as good as none. Default: 10000.
    pub time_limit_ms: u32,
    /// Must be 0.
    pub reserved: u32,
    // append-only: new fields go above this line
}

/// Decoded pixels, 8 bits per sample, rows from top to bottom. Start from LIVENESS_PIXELS_INIT.
/// YUV is BT.601 in full range (JFIF); a chroma sample covers two by two pixels.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LivenessPixels {
    /// sizeof(liveness_pixels), set by LIVENESS_PIXELS_INIT.
    pub struct_size: u32,
    /// One of LIVENESS_PIXELS_RGB to LIVENESS_PIXELS_I420.
    pub format: i32,
    /// The samples, borrowed for the duration of the call.
    pub data: *const u8,
    /// Bytes at data. They may be more than the layout needs, never fewer.
    pub len: usize,
    /// Bytes from the start of one row to the start of the next, of the first plane; 0: rows
    /// without gaps. The further planes of a YUV image follow the height * stride bytes of the
    /// first: the interleaved chroma plane of NV12 and NV21 has a stride of stride (one more where
    /// that is odd), the two chroma planes of I420 have half of it, rounded up.
    pub stride: usize,
    /// Width in pixels, as stored (before orientation is applied).
    pub width: u32,
    /// Height in pixels, as stored (before orientation is applied).
    pub height: u32,
    /// EXIF orientation, 1 to 8. 0 and 1: upright.
    pub orientation: u32,
    /// Must be 0.
    pub reserved: u32,
    // append-only: new fields go above this line
}

/// A point in pixels of the upright image; the centre of its top left pixel is (0, 0).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LivenessPoint {
    pub x: f32,
    pub y: f32,
}

/// A verdict on an image with exactly one bare face. Start from LIVENESS_RESULT_INIT. All zero,
/// as after a failed call, it reads as "not live"; only where struct_size itself is refused is it
/// left as it was. Coordinates are pixels of the upright full-resolution image.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LivenessResult {
    /// sizeof(liveness_result), set by LIVENESS_RESULT_INIT; the library never changes it.
    pub struct_size: u32,
    /// 1: a live person is before the camera. 0: a print, a screen, or no verdict at all.
    pub liveness: i32,
    /// How confident that answer is, 0..1: near 1 for a sure live person and for a sure attack.
    pub score: f64,
    /// Calibrated probability of a bona fide presentation, 0..1.
    pub live_probability: f64,
    /// live_probability from which on this handle says live.
    pub threshold: f64,
    /// Probability of a printed photo, 0..1. With replay_probability and live_probability: 1.
    pub print_probability: f64,
    /// Probability of a photo or video on a screen, 0..1.
    pub replay_probability: f64,
    /// LIVENESS_REASON_ bits: what is wrong with the quality; 0 for a good selfie.
    pub reasons: u64,
    /// Number of faces that count: 1.
    pub faces: u32,
    /// Confidence of the face detector, 0..1.
    pub face_score: f32,
    /// Left edge of the face box. The box may reach beyond the image.
    pub face_x: f32,
    /// Top edge of the face box.
    pub face_y: f32,
    /// Width of the face box.
    pub face_width: f32,
    /// Height of the face box.
    pub face_height: f32,
    /// Right eye, left eye, nose, right and left corner of the mouth; right is the subject's
    /// right, which is the left side of the image.
    pub landmarks: [LivenessPoint; 5],
    /// Probability that a mask covers mouth or nose, 0..1.
    pub mask_probability: f32,
    /// Height of the face box in pixels.
    pub quality_face_size: f32,
    /// Height of the face box as a share of the image's long side.
    pub quality_face_share: f32,
    /// Share of the face box that lies outside the image, 0..1.
    pub quality_outside: f32,
    /// Estimated turn of the head in degrees, positive towards the subject's left; about 10 degrees
    /// uncertain.
    pub quality_yaw: f32,
    /// Estimated nod of the head in degrees, positive upwards; a hint only: large nods come out as a few degrees.
    pub quality_pitch: f32,
    /// Tilt of the head in the image plane in degrees, positive clockwise.
    pub quality_roll: f32,
    /// Mean luma of the face, 0..1.
    pub quality_brightness: f32,
    /// Standard deviation of the luma of the face, 0..0.5.
    pub quality_contrast: f32,
    /// Share of the face's pixels that are clipped to black or white, 0..1.
    pub quality_clipped: f32,
    /// Variance of the Laplacian of the face scaled to a fixed size; small is blurred.
    pub quality_sharpness: f32,
    /// Milliseconds for reading, decoding and turning upright.
    pub decode_ms: f32,
    /// Milliseconds for finding faces.
    pub detect_ms: f32,
    /// Milliseconds for looking for a mask and measuring the quality.
    pub mask_ms: f32,
    /// Milliseconds for telling live from attack.
    pub spoof_ms: f32,
    /// Milliseconds for all of it.
    pub total_ms: f32,
    // append-only: new fields go above this line
}

/// Larger than any struct here will ever be, so a larger struct_size was never initialised.
const MAX_STRUCT_SIZE: usize = 4096;

/// A struct that crosses the boundary.
///
/// # Safety
/// It is `repr(C)`, starts with a `u32` that holds its size, has no padding, and is valid for any
/// bit pattern, all zero included.
pub(super) unsafe trait Struct: Copy {
    const NAME: &'static str;
    /// The smallest `struct_size` that makes sense: that of the first published version, or less
    /// where the first fields are of use alone.
    const MIN_SIZE: usize;
}

// SAFETY: repr(C), struct_size first, integers, floats and raw pointers only, no padding (below).
unsafe impl Struct for LivenessConfig {
    const NAME: &'static str = "liveness_config";
    const MIN_SIZE: usize = if cfg!(target_pointer_width = "64") {
        56
    } else {
        48
    };
}

// SAFETY: as above.
unsafe impl Struct for LivenessPixels {
    const NAME: &'static str = "liveness_pixels";
    const MIN_SIZE: usize = if cfg!(target_pointer_width = "64") {
        48
    } else {
        36
    };
}

// SAFETY: as above.
unsafe impl Struct for LivenessResult {
    const NAME: &'static str = "liveness_result";
    /// struct_size, liveness and score: what the contract promises.
    const MIN_SIZE: usize = 16;
}

/// The sizes of ABI version 1: what is published neither moves nor grows padding, and what is
/// appended must keep these sums.
const _: () = {
    // time_limit_ms and reserved were appended.
    assert!(size_of::<LivenessConfig>() == LivenessConfig::MIN_SIZE + 2 * 4);
    assert!(size_of::<LivenessPixels>() == LivenessPixels::MIN_SIZE);
    assert!(size_of::<LivenessResult>() == 2 * 4 + 5 * 8 + 8 + 6 * 4 + 5 * 8 + 16 * 4);
    assert!(size_of::<LivenessPoint>() == 8);
};

const _: () = {
    assert!(LIVENESS_OK == super::boundary::OK);
    assert!(LIVENESS_ERROR_UNAUTHORIZED == ErrorCode::Unauthorized as i32);
    assert!(LIVENESS_ERROR_UNREADABLE_IMAGE == ErrorCode::UnreadableImage as i32);
    assert!(LIVENESS_ERROR_IMAGE_TOO_LARGE == ErrorCode::ImageTooLarge as i32);
    assert!(LIVENESS_ERROR_BAD_REQUEST == ErrorCode::BadRequest as i32);
    assert!(LIVENESS_ERROR_INTERNAL == ErrorCode::Internal as i32);
    assert!(LIVENESS_ERROR_FACE_COUNT == ErrorCode::FaceCount as i32);
    assert!(LIVENESS_ERROR_MASK_DETECTED == ErrorCode::MaskDetected as i32);
    assert!(LIVENESS_PIXELS_RGB == PixelFormat::Rgb as i32);
    assert!(LIVENESS_PIXELS_BGR == PixelFormat::Bgr as i32);
    assert!(LIVENESS_PIXELS_RGBA == PixelFormat::Rgba as i32);
    assert!(LIVENESS_PIXELS_BGRA == PixelFormat::Bgra as i32);
    assert!(LIVENESS_PIXELS_GRAY == PixelFormat::Gray as i32);
    assert!(LIVENESS_PIXELS_NV12 == PixelFormat::Nv12 as i32);
    assert!(LIVENESS_PIXELS_NV21 == PixelFormat::Nv21 as i32);
    assert!(LIVENESS_PIXELS_I420 == PixelFormat::I420 as i32);
};

/// Reads as much of a caller's struct as both sides know; what it does not have is zero.
///
/// # Safety
/// `pointer` is null or points to as many readable bytes as its first field says.
pub(super) unsafe fn read<T: Struct>(pointer: *const T) -> Result<T, Error> {
    // SAFETY: the caller's promise.
    let size = unsafe { known_size(pointer) }?;
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `size` bytes are readable by the caller's promise and fit into `value`; a new local
    // does not overlap them; any bit pattern is a valid T.
    unsafe {
        std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), value.as_mut_ptr().cast(), size);
        Ok(value.assume_init())
    }
}

/// Where a verdict goes: as much of the caller's struct as both sides know, zeroed until the
/// verdict is there.
pub(super) struct ResultSlot {
    start: *mut u8,
    size: usize,
}

impl ResultSlot {
    const HEAD: usize = size_of::<u32>();

    /// Zeroes the caller's struct, but for its size. One whose size is refused is left alone, since
    /// nobody knows where it ends.
    ///
    /// # Safety
    /// `pointer` is null or points to as many writable bytes as its first field says, and they
    /// stay so, untouched by others, while the slot exists.
    pub(super) unsafe fn zeroed(pointer: *mut LivenessResult) -> Result<ResultSlot, Error> {
        // SAFETY: the caller's promise.
        let size = unsafe { known_size(pointer.cast_const()) }?;
        let slot = ResultSlot {
            start: pointer.cast(),
            size,
        };
        // SAFETY: the bytes from HEAD to `size` are writable by the caller's promise.
        unsafe { slot.start.add(Self::HEAD).write_bytes(0, size - Self::HEAD) };
        Ok(slot)
    }

    pub(super) fn fill(self, verdict: &Verdict) {
        let result = LivenessResult::from(verdict);
        let source = (&raw const result).cast::<u8>();
        // SAFETY: `size` is at most that of `result`, which has no padding; the target bytes are
        // writable by the promise made to `zeroed`.
        unsafe {
            std::ptr::copy_nonoverlapping(
                source.add(Self::HEAD),
                self.start.add(Self::HEAD),
                self.size - Self::HEAD,
            );
        }
    }
}

/// How many bytes of the struct both sides know.
///
/// # Safety
/// `pointer` is null or points to a readable u32.
unsafe fn known_size<T: Struct>(pointer: *const T) -> Result<usize, Error> {
    if pointer.is_null() {
        return Err(null(T::NAME));
    }
    // SAFETY: not null, so readable by the caller's promise. Unaligned, because a host may pack
    // its structs and nothing here needs alignment.
    let size = unsafe { pointer.cast::<u32>().read_unaligned() } as usize;
    if size < T::MIN_SIZE || size > MAX_STRUCT_SIZE {
        return Err(Error::bad_request(format!(
            "{name}.struct_size is {size}; start from the initialiser macro, which sets sizeof({name})",
            name = T::NAME
        )));
    }
    Ok(size.min(size_of::<T>()))
}

/// The error for an argument that must not be null.
pub(super) fn null(name: &str) -> Error {
    Error::bad_request(format!("the argument {name} is a null pointer"))
}

impl From<&Verdict> for LivenessResult {
    fn from(verdict: &Verdict) -> Self {
        let details = &verdict.details;
        let (face, quality, timings) = (&details.face, &details.quality, &details.timings);
        let [face_x, face_y, face_width, face_height] = face.bbox;
        LivenessResult {
            struct_size: size_of::<LivenessResult>() as u32,
            liveness: verdict.liveness.into(),
            score: verdict.score,
            live_probability: details.live_probability,
            threshold: details.threshold,
            print_probability: details.attack_type.print,
            replay_probability: details.attack_type.replay,
            reasons: reason_bits(&details.reasons),
            faces: details.faces,
            face_score: face.score,
            face_x,
            face_y,
            face_width,
            face_height,
            landmarks: face.points.map(|[x, y]| LivenessPoint { x, y }),
            mask_probability: details.mask_probability,
            quality_face_size: quality.face_size,
            quality_face_share: quality.face_share,
            quality_outside: quality.outside,
            quality_yaw: quality.yaw,
            quality_pitch: quality.pitch,
            quality_roll: quality.roll,
            quality_brightness: quality.brightness,
            quality_contrast: quality.contrast,
            quality_clipped: quality.clipped,
            quality_sharpness: quality.sharpness,
            decode_ms: timings.decode as f32,
            detect_ms: timings.detect as f32,
            mask_ms: timings.mask as f32,
            spoof_ms: timings.spoof as f32,
            total_ms: timings.total as f32,
        }
    }
}

/// The LIVENESS_REASON_ bits of some reasons.
pub(super) fn reason_bits(reasons: &[Reason]) -> u64 {
    reasons
        .iter()
        .fold(0, |bits, reason| bits | reason_bit(*reason))
}

fn reason_bit(reason: Reason) -> u64 {
    match reason {
        Reason::NoFace => LIVENESS_REASON_NO_FACE,
        Reason::SeveralFaces => LIVENESS_REASON_SEVERAL_FACES,
        Reason::FaceMask => LIVENESS_REASON_FACE_MASK,
        Reason::FaceTooSmall => LIVENESS_REASON_FACE_TOO_SMALL,
        Reason::FaceCutOff => LIVENESS_REASON_FACE_CUT_OFF,
        Reason::HeadTurned => LIVENESS_REASON_HEAD_TURNED,
        Reason::HeadNodded => LIVENESS_REASON_HEAD_NODDED,
        Reason::HeadTilted => LIVENESS_REASON_HEAD_TILTED,
        Reason::TooDark => LIVENESS_REASON_TOO_DARK,
        Reason::TooBright => LIVENESS_REASON_TOO_BRIGHT,
        Reason::LowContrast => LIVENESS_REASON_LOW_CONTRAST,
        Reason::Clipped => LIVENESS_REASON_CLIPPED,
        Reason::Blurred => LIVENESS_REASON_BLURRED,
        Reason::NotUpright => LIVENESS_REASON_NOT_UPRIGHT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{AttackType, Details, Face, Quality, Timings};

    /// Room for the longest struct that is taken, at an odd address.
    struct Room {
        bytes: Vec<u8>,
    }

    impl Room {
        fn new(struct_size: u32) -> Self {
            let mut bytes = vec![0xff; 1 + MAX_STRUCT_SIZE];
            bytes[1..5].copy_from_slice(&struct_size.to_ne_bytes());
            Room { bytes }
        }

        /// A struct with no byte more than it states, so that Miri sees every byte too far.
        fn exact(struct_size: u32) -> Self {
            let mut room = Room::new(struct_size);
            room.bytes.truncate(1 + struct_size as usize);
            room.bytes.shrink_to_fit();
            room
        }

        fn pointer<T>(&mut self) -> *mut T {
            self.bytes[1..].as_mut_ptr().cast()
        }
    }

    fn verdict() -> Verdict {
        Verdict {
            liveness: true,
            score: 0.75,
            details: Details {
                live_probability: 0.75,
                threshold: 0.5,
                face: Face {
                    bbox: [1.0, 2.0, 3.0, 4.0],
                    points: [[5.0, 6.0]; 5],
                    score: 0.9,
                },
                faces: 1,
                attack_type: AttackType {
                    print: 0.125,
                    replay: 0.125,
                },
                mask_probability: 0.01,
                quality: Quality {
                    face_size: 4.0,
                    face_share: 0.1,
                    outside: 0.0,
                    yaw: 1.0,
                    pitch: 2.0,
                    roll: 3.0,
                    brightness: 0.4,
                    contrast: 0.2,
                    clipped: 0.0,
                    sharpness: 90.0,
                },
                reasons: vec![Reason::FaceTooSmall, Reason::Blurred],
                models: String::new(),
                engine: String::new(),
                timings: Timings::default(),
            },
        }
    }

    #[test]
    fn a_struct_is_read_as_far_as_its_caller_has_it() {
        for size in [56, 57, 64, 4096] {
            let mut room = Room::exact(size);
            // SAFETY: the room has as many bytes as it states.
            let config = unsafe { read::<LivenessConfig>(room.pointer()) }.unwrap();
            assert_eq!(config.struct_size, size);
            assert_eq!(config.strict_quality, u32::MAX);
        }
        for size in [0, 1, 4, LivenessConfig::MIN_SIZE as u32 - 1, 4097, u32::MAX] {
            let mut room = Room::new(size);
            // SAFETY: only the size is read where it is refused.
            assert!(unsafe { read::<LivenessConfig>(room.pointer()) }.is_err());
        }
        // SAFETY: null is allowed.
        assert!(unsafe { read::<LivenessPixels>(std::ptr::null()) }.is_err());
    }

    #[test]
    fn a_result_is_written_as_far_as_its_caller_has_it() {
        let whole = LivenessResult::from(&verdict());
        assert_eq!(whole.liveness, 1);
        assert_eq!(
            whole.reasons,
            LIVENESS_REASON_FACE_TOO_SMALL | LIVENESS_REASON_BLURRED
        );
        for size in [16, 17, 63, 64, 183, 184, 185, 4096] {
            let mut room = Room::exact(size);
            // SAFETY: the room has as many bytes as it states.
            let slot = unsafe { ResultSlot::zeroed(room.pointer()) }.unwrap();
            let known = (size as usize).min(size_of::<LivenessResult>());
            slot.fill(&verdict());
            assert_eq!(room.bytes[1..5], size.to_ne_bytes());
            assert_eq!(room.bytes[5..9], 1_i32.to_ne_bytes());
            assert_eq!(room.bytes[9..17], 0.75_f64.to_ne_bytes());
            assert!(room.bytes[1 + known..].iter().all(|byte| *byte == 0xff));
        }
    }

    #[test]
    fn a_result_without_a_verdict_is_zero() {
        let mut room = Room::exact(184);
        // SAFETY: the room has as many bytes as it states.
        unsafe { ResultSlot::zeroed(room.pointer()) }
            .map(|_| ())
            .unwrap();
        assert_eq!(room.bytes[1..5], 184_u32.to_ne_bytes());
        assert!(room.bytes[5..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_result_of_a_wrong_size_is_left_alone() {
        for size in [0, 15, 4097, u32::MAX] {
            let mut room = Room::new(size);
            let before = room.bytes.clone();
            // SAFETY: only the size is read where it is refused.
            assert!(unsafe { ResultSlot::zeroed(room.pointer()) }.is_err());
            assert_eq!(room.bytes, before);
        }
    }
}
