//! From what a caller in C hands over to what the library works on. Every pointer is looked at
//! here, and nowhere else.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libc::c_char;

use super::types::{LivenessConfig, LivenessPixels, null, read};
use crate::config::Config;
use crate::error::Error;
use crate::pixels::{PixelFormat, Pixels};

/// # Safety
/// `data` is null or points to `len` bytes that are readable and do not change during 'a.
pub(super) unsafe fn bytes<'a>(name: &str, data: *const u8, len: usize) -> Result<&'a [u8], Error> {
    if data.is_null() {
        return Err(null(name));
    }
    if isize::try_from(len).is_err() {
        return Err(Error::bad_request(format!(
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

/// A path that may be left out. An empty one is no path: as one, it would be the current directory.
///
/// # Safety
/// As for [`path`].
unsafe fn optional_path(name: &str, text: *const c_char) -> Result<Option<PathBuf>, Error> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let path = unsafe { path(name, text) }?;
    Ok((!path.as_os_str().is_empty()).then(|| path.into()))
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
        Err(_) => Err(Error::bad_request(format!("{name} is not UTF-8"))),
    }
}

/// # Safety
/// `pixels` is null or points to a struct as the header describes it, whose samples are readable
/// and do not change during 'a.
pub(super) unsafe fn pixels<'a>(pixels: *const LivenessPixels) -> Result<Pixels<'a>, Error> {
    // SAFETY: the caller's promise.
    let pixels = unsafe { read(pixels) }?;
    let format = PixelFormat::from_i32(pixels.format).ok_or_else(|| {
        Error::bad_request(format!(
            "pixel format {} does not exist; give one of LIVENESS_PIXELS_RGB (1) to LIVENESS_PIXELS_I420 (8)",
            pixels.format
        ))
    })?;
    let orientation = match u8::try_from(pixels.orientation) {
        Ok(0 | 1) => 1,
        Ok(orientation @ 2..=8) => orientation,
        _ => {
            return Err(Error::bad_request(format!(
                "orientation {} does not exist; give an EXIF orientation, 1 to 8, or 0",
                pixels.orientation
            )));
        }
    };
    if pixels.reserved != 0 {
        return Err(Error::bad_request(
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
    // SAFETY: the caller's promise, for both paths.
    unsafe {
        choices.onnxruntime = optional_path("onnxruntime", config.onnxruntime)?;
        choices.models_dir = optional_path("models_dir", config.models_dir)?;
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
    if config.time_limit_ms != 0 {
        choices.time_limit = Duration::from_millis(config.time_limit_ms.into());
    }
    if config.reserved != 0 {
        return Err(Error::bad_request(
            "liveness_config.reserved is not 0; start from LIVENESS_CONFIG_INIT",
        ));
    }
    choices.strict_quality = match config.strict_quality {
        0 => false,
        1 => true,
        other => {
            return Err(Error::bad_request(format!(
                "strict_quality is {other}; give 0 or 1"
            )));
        }
    };
    Ok(choices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::null;

    #[test]
    fn bytes_are_borrowed_as_they_are() {
        let data = [1_u8, 2, 3];
        // SAFETY: three readable bytes, or none that are looked at.
        unsafe {
            assert_eq!(bytes("data", data.as_ptr(), 3).unwrap(), data);
            assert!(bytes("data", data.as_ptr(), 0).unwrap().is_empty());
            assert!(bytes("data", null(), 0).is_err());
            assert!(bytes("data", data.as_ptr(), usize::MAX).is_err());
            assert!(bytes("data", data.as_ptr(), isize::MAX as usize + 1).is_err());
        }
    }

    #[test]
    fn a_path_ends_at_its_nul() {
        // SAFETY: a string that ends with a NUL, and null.
        unsafe {
            assert_eq!(path("path", c"a/b".as_ptr()).unwrap(), Path::new("a/b"));
            assert!(path("path", null()).is_err());
        }
    }

    fn grey(data: &[u8]) -> LivenessPixels {
        LivenessPixels {
            struct_size: size_of::<LivenessPixels>() as u32,
            format: super::super::types::LIVENESS_PIXELS_GRAY,
            data: data.as_ptr(),
            len: data.len(),
            stride: 0,
            width: 2,
            height: 2,
            orientation: 0,
            reserved: 0,
        }
    }

    #[test]
    fn pixels_are_checked_before_they_are_borrowed() {
        let data = [7_u8; 4];
        let good = grey(&data);
        // SAFETY: structs of the stated size, whose data are there or refused.
        unsafe {
            let read = pixels(&good).unwrap();
            assert_eq!((read.data, read.orientation), (&data[..], 1));
            let bad: [fn(&mut LivenessPixels); 7] = [
                |bad| bad.struct_size = 0,
                |bad| bad.format = 0,
                |bad| bad.format = 9,
                |bad| bad.orientation = 9,
                |bad| bad.reserved = 1,
                |bad| bad.data = null(),
                |bad| bad.len = usize::MAX,
            ];
            for spoil in bad {
                let mut bad = good;
                spoil(&mut bad);
                assert!(pixels(&bad).is_err());
            }
            assert!(pixels(null()).is_err());
        }
    }

    #[test]
    fn zero_means_the_default() {
        // SAFETY: null, and any bit pattern, is a configuration.
        unsafe {
            assert!(config(null()).is_ok());
            let mut zero: LivenessConfig = std::mem::zeroed();
            assert!(config(&zero).is_err());
            zero.struct_size = size_of::<LivenessConfig>() as u32;
            let plain = config(&zero).unwrap();
            assert_eq!(plain.max_pixels, Config::default().max_pixels);
            assert_eq!(plain.threshold, None);
            zero.models_dir = c"models".as_ptr();
            zero.onnxruntime = c"runtime".as_ptr();
            zero.strict_quality = 1;
            let set = config(&zero).unwrap();
            assert_eq!(set.models_dir.as_deref(), Some(Path::new("models")));
            assert_eq!(set.onnxruntime.as_deref(), Some(Path::new("runtime")));
            assert!(set.strict_quality);
            zero.strict_quality = 2;
            assert!(config(&zero).is_err());
        }
    }

    #[test]
    fn an_empty_path_is_none() {
        // SAFETY: a configuration of the stated size, whose paths end with a NUL.
        unsafe {
            let mut empty: LivenessConfig = std::mem::zeroed();
            empty.struct_size = size_of::<LivenessConfig>() as u32;
            empty.models_dir = c"".as_ptr();
            empty.onnxruntime = c"".as_ptr();
            assert_eq!(config(&empty).unwrap(), Config::default());
        }
    }
}
