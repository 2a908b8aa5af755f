//! The C interface, called in the shared library as a program in another language does it.
#![allow(unsafe_code)] // Foreign functions have no other way.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::null_mut;

use libloading::Library;
use serde_json::Value;

use crate::cases::{Case, Send};

/// `liveness_config`; the layout is held by tests/c/interface.c.
#[repr(C)]
#[derive(Default)]
struct Config {
    struct_size: u32,
    threshold: f32,
    onnxruntime: usize,
    models_dir: usize,
    max_file_bytes: u64,
    max_pixels: u64,
    max_side: u32,
    mask_threshold: f32,
    second_face_ratio: f32,
    strict_quality: u32,
    time_limit_ms: u32,
    reserved: u32,
}

/// `liveness_pixels`.
#[repr(C)]
struct Pixels {
    struct_size: u32,
    format: i32,
    data: *const u8,
    len: usize,
    stride: usize,
    width: u32,
    height: u32,
    orientation: u32,
    reserved: u32,
}

type Handle = *mut c_void;
type Init = unsafe extern "C" fn(*const Config, *mut Handle) -> i32;
type Free = unsafe extern "C" fn(Handle);
type CheckJson = unsafe extern "C" fn(Handle, *const u8, usize, u32, *mut *mut c_char) -> i32;
type CheckFileJson = unsafe extern "C" fn(Handle, *const c_char, u32, *mut *mut c_char) -> i32;
type CheckPixelsJson = unsafe extern "C" fn(Handle, *const Pixels, u32, *mut *mut c_char) -> i32;
type StringFree = unsafe extern "C" fn(*mut c_char);

pub struct CAbi {
    library: Library,
    handles: HashMap<String, Handle>,
}

impl CAbi {
    pub fn load(path: &Path) -> Self {
        // SAFETY: the library has no initialisers of its own.
        let library = unsafe { Library::new(path) }.expect("cargo built the shared library");
        CAbi {
            library,
            handles: HashMap::new(),
        }
    }

    /// # Safety
    /// `T` is the type that include/liveness.h gives the function.
    unsafe fn function<T: Copy>(&self, name: &str) -> T {
        // SAFETY: the caller's promise.
        *unsafe { self.library.get::<T>(name) }.expect("the function is exported")
    }

    /// Status and JSON of a case.
    pub fn answer(&mut self, case: &Case, path: &Path, input: &[u8]) -> (i32, String) {
        let handle = self.handle(case);
        let flags = u32::from(case.details);
        let mut json: *mut c_char = null_mut();
        // SAFETY: the functions have the types of the header, and what is passed lives until
        // they return.
        let status = unsafe {
            match case.send {
                Send::Encoded => self.function::<CheckJson>("liveness_check_json")(
                    handle,
                    input.as_ptr(),
                    input.len(),
                    flags,
                    &mut json,
                ),
                Send::Base64 => self.function::<CheckJson>("liveness_check_base64_json")(
                    handle,
                    input.as_ptr(),
                    input.len(),
                    flags,
                    &mut json,
                ),
                Send::Path => {
                    let path = CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
                    let check: CheckFileJson = self.function("liveness_check_file_json");
                    check(handle, path.as_ptr(), flags, &mut json)
                }
                Send::Pixels => {
                    let pixels = pixels(case, input);
                    let check: CheckPixelsJson = self.function("liveness_check_pixels_json");
                    check(handle, &pixels, flags, &mut json)
                }
                Send::Http => panic!("{} is for HTTP only", case.name),
            }
        };
        assert!(!json.is_null(), "{}: no JSON", case.name);
        // SAFETY: not null, so a string that is ours; it is copied before it is given back.
        let text = unsafe {
            let text = CStr::from_ptr(json).to_str().expect("UTF-8").to_owned();
            self.function::<StringFree>("liveness_string_free")(json);
            text
        };
        (status, text)
    }

    /// One handle for all cases with the same configuration.
    fn handle(&mut self, case: &Case) -> Handle {
        let key = Value::Object(case.config.clone()).to_string();
        if let Some(handle) = self.handles.get(&key) {
            return *handle;
        }
        let mut handle = null_mut();
        // SAFETY: the type is that of the header; both pointers are good for the call.
        let status = unsafe { self.function::<Init>("liveness_init")(&config(case), &mut handle) };
        assert_eq!(status, 0, "{}: the handle", case.name);
        self.handles.insert(key, handle);
        handle
    }
}

impl Drop for CAbi {
    fn drop(&mut self) {
        for handle in self.handles.values() {
            // SAFETY: a handle of liveness_init, ended once, and nothing uses it any more.
            unsafe { self.function::<Free>("liveness_free")(*handle) };
        }
    }
}

/// What a case names; the rest is zero, which means the default.
fn config(case: &Case) -> Config {
    let number = |name: &str| {
        let value = case.config.get(name).and_then(Value::as_f64);
        value.unwrap_or_default()
    };
    let flag = case.config.get("strict_quality").and_then(Value::as_bool);
    Config {
        struct_size: size_of::<Config>() as u32,
        threshold: number("threshold") as f32,
        mask_threshold: number("mask_threshold") as f32,
        second_face_ratio: number("second_face_ratio") as f32,
        max_file_bytes: number("max_file_bytes") as u64,
        max_pixels: number("max_pixels") as u64,
        max_side: number("max_side") as u32,
        time_limit_ms: number("time_limit_ms") as u32,
        strict_quality: flag.unwrap_or_default().into(),
        ..Config::default()
    }
}

fn pixels(case: &Case, input: &[u8]) -> Pixels {
    let layout = case.pixels.as_ref().expect("a layout");
    Pixels {
        struct_size: size_of::<Pixels>() as u32,
        format: layout.pixel_format() as i32,
        data: input.as_ptr(),
        len: input.len(),
        stride: layout.stride,
        width: layout.width,
        height: layout.height,
        orientation: layout.orientation.into(),
        reserved: 0,
    }
}
