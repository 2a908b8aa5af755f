//! From what a caller in C hands over to what the library works on. Every pointer is looked at
//! here, and nowhere else.

use std::ffi::CStr;
use std::path::Path;

use libc::c_char;

use super::LivenessEngine;
use super::types::{LivenessConfig, LivenessPixels, null, read};
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, ErrorCode};
use crate::pixels::{PixelFormat, Pixels};

/// # Safety
/// `engine` is null or a handle of liveness_init that has not been freed and is not during 'a.
pub(super) unsafe fn engine<'a>(engine: *const LivenessEngine) -> Result<&'a Engine, Error> {
    // SAFETY: the caller's promise.
    match unsafe { engine.as_ref() } {
        Some(LivenessEngine(engine)) => Ok(engine),
        None => Err(null("engine")),
    }
}

/// # Safety
/// `data` is null or points to `len` bytes that are readable and do not change during 'a.
pub(super) unsafe fn bytes<'a>(name: &str, data: *const u8, len: usize) -> Result<&'a [u8], Error> {
    if data.is_null() {
        return Err(null(name));
    }
    if isize::try_from(len).is_err() {
        return Err(bad_request(format!(
            "the length of {name} is {len}, more than any object can have"
        )));
    }
    // SAFETY: not null, so `len` readable bytes by the caller's promise, and not too many.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// # Safety
/// `path` is null or points to a string that ends with a NUL and does not change during 'a.
pub(super) unsafe fn path<'a>(name: &str, path: *const c_char) -> Result<&'a Path, Error> {
    if path.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, so a string by the caller's promise.
    native_path(name, unsafe { CStr::from_ptr(path) })
}

#[cfg(unix)]
fn native_path<'a>(_name: &str, path: &'a CStr) -> Result<&'a Path, Error> {
    use std::os::unix::ffi::OsStrExt;
    Ok(Path::new(std::ffi::OsStr::from_bytes(path.to_bytes())))
}

#[cfg(not(unix))]
fn native_path<'a>(name: &str, path: &'a CStr) -> Result<&'a Path, Error> {
    match path.to_str() {
        Ok(path) => Ok(Path::new(path)),
        Err(_) => Err(bad_request(format!("{name} is not UTF-8"))),
    }
}

/// # Safety
/// `pixels` is null or points to a struct as the header describes it, whose samples are readable
/// and do not change during 'a.
pub(super) unsafe fn pixels<'a>(pixels: *const LivenessPixels) -> Result<Pixels<'a>, Error> {
    // SAFETY: the caller's promise.
    let pixels = unsafe { read(pixels) }?;
    let format = PixelFormat::from_i32(pixels.format).ok_or_else(|| {
        bad_request(format!(
            "pixel format {} does not exist; give one of LIVENESS_PIXELS_RGB (1) to LIVENESS_PIXELS_I420 (8)",
            pixels.format
        ))
    })?;
    let orientation = match u8::try_from(pixels.orientation) {
        Ok(0 | 1) => 1,
        Ok(orientation @ 2..=8) => orientation,
        _ => {
            return Err(bad_request(format!(
                "orientation {} does not exist; give an EXIF orientation, 1 to 8, or 0",
                pixels.orientation
            )));
        }
    };
    if pixels.reserved != 0 {
        return Err(bad_request(
            "liveness_pixels.reserved is not 0; start from LIVENESS_PIXELS_INIT",
        ));
    }
    Ok(Pixels {
        // SAFETY: the caller's promise.
        data: unsafe { bytes("pixels.data", pixels.data, pixels.len) }?,
        format,
        width: pixels.width,
        height: pixels.height,
        stride: pixels.stride,
        orientation,
    })
}

/// # Safety
/// `config` is null or points to a struct as the header describes it.
pub(super) unsafe fn config(config: *const LivenessConfig) -> Result<Config, Error> {
    let mut choices = Config::default();
    if config.is_null() {
        return Ok(choices);
    }
    // SAFETY: the caller's promise.
    let config = unsafe { read(config) }?;
    if !config.onnxruntime.is_null() {
        // SAFETY: the caller's promise.
        choices.onnxruntime = Some(unsafe { path("onnxruntime", config.onnxruntime) }?.into());
    }
    if !config.models_dir.is_null() {
        // SAFETY: the caller's promise.
        choices.models_dir = Some(unsafe { path("models_dir", config.models_dir) }?.into());
    }
    choices.threshold = (config.threshold != 0.0).then_some(config.threshold);
    choices.mask_threshold = (config.mask_threshold != 0.0).then_some(config.mask_threshold);
    if config.max_file_bytes != 0 {
        choices.max_file_bytes = config.max_file_bytes;
    }
    if config.max_pixels != 0 {
        choices.max_pixels = config.max_pixels;
    }
    if config.max_side != 0 {
        choices.max_side = config.max_side;
    }
    if config.second_face_ratio != 0.0 {
        choices.second_face_ratio = config.second_face_ratio;
    }
    choices.strict_quality = match config.strict_quality {
        0 => false,
        1 => true,
        other => {
            return Err(bad_request(format!(
                "strict_quality is {other}; give 0 or 1"
            )));
        }
    };
    Ok(choices)
}

fn bad_request(detail: impl Into<String>) -> Error {
    Error::new(ErrorCode::BadRequest, detail)
}
