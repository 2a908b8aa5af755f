//! The C interface as include/liveness.h declares it.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};

// Links the library, whose C functions are declared below.
use liveness as _;

/// `liveness_config`; the layout is held by tests/c/interface.c.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Config {
    pub struct_size: u32,
    pub threshold: f32,
    pub onnxruntime: *const c_char,
    pub models_dir: *const c_char,
    pub max_file_bytes: u64,
    pub max_pixels: u64,
    pub max_side: u32,
    pub mask_threshold: f32,
    pub second_face_ratio: f32,
    pub strict_quality: u32,
    pub time_limit_ms: u32,
    pub reserved: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            struct_size: size_of::<Config>() as u32,
            threshold: 0.0,
            onnxruntime: null(),
            models_dir: null(),
            max_file_bytes: 0,
            max_pixels: 0,
            max_side: 0,
            mask_threshold: 0.0,
            second_face_ratio: 0.0,
            strict_quality: 0,
            time_limit_ms: 0,
            reserved: 0,
        }
    }
}

/// `liveness_pixels`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Pixels {
    pub struct_size: u32,
    pub format: i32,
    pub data: *const u8,
    pub len: usize,
    pub stride: usize,
    pub width: u32,
    pub height: u32,
    pub orientation: u32,
    pub reserved: u32,
}

/// `liveness_result`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    pub struct_size: u32,
    pub liveness: i32,
    pub score: f64,
    pub live_probability: f64,
    pub threshold: f64,
    pub print_probability: f64,
    pub replay_probability: f64,
    pub reasons: u64,
    pub faces: u32,
    pub face_score: f32,
    /// Left, top, width and height.
    pub face: [f32; 4],
    pub landmarks: [[f32; 2]; 5],
    pub mask_probability: f32,
    pub quality: [f32; 10],
    pub timings: [f32; 5],
}

impl Outcome {
    const SIZE: u32 = size_of::<Outcome>() as u32;

    /// What a failed call must leave behind.
    pub const ZERO: Outcome = Outcome {
        struct_size: Self::SIZE,
        liveness: 0,
        score: 0.0,
        live_probability: 0.0,
        threshold: 0.0,
        print_probability: 0.0,
        replay_probability: 0.0,
        reasons: 0,
        faces: 0,
        face_score: 0.0,
        face: [0.0; 4],
        landmarks: [[0.0; 2]; 5],
        mask_probability: 0.0,
        quality: [0.0; 10],
        timings: [0.0; 5],
    };

    /// What no call may leave behind: a live person in every field.
    const STALE: Outcome = Outcome {
        liveness: 1,
        score: 1.0,
        live_probability: 1.0,
        ..Outcome::ZERO
    };
}

unsafe extern "C" {
    fn liveness_init(config: *const Config, engine: *mut *mut c_void) -> i32;
    fn liveness_free(engine: *mut c_void);
    fn liveness_check(e: *const c_void, data: *const u8, len: usize, result: *mut Outcome) -> i32;
    fn liveness_check_base64(
        e: *const c_void,
        text: *const c_char,
        len: usize,
        result: *mut Outcome,
    ) -> i32;
    fn liveness_check_pixels(e: *const c_void, pixels: *const Pixels, result: *mut Outcome) -> i32;
    fn liveness_check_json(
        e: *const c_void,
        data: *const u8,
        len: usize,
        flags: u32,
        json: *mut *mut c_char,
    ) -> i32;
    fn liveness_check_base64_json(
        e: *const c_void,
        text: *const c_char,
        len: usize,
        flags: u32,
        json: *mut *mut c_char,
    ) -> i32;
    fn liveness_check_pixels_json(
        e: *const c_void,
        pixels: *const Pixels,
        flags: u32,
        json: *mut *mut c_char,
    ) -> i32;
    fn liveness_info_json(e: *const c_void, json: *mut *mut c_char) -> i32;
    fn liveness_string_free(string: *mut c_char);
    fn liveness_last_error() -> *const c_char;
    fn liveness_error_message(code: i32) -> *const c_char;
    fn liveness_error_code_string(code: i32) -> *const c_char;
}

/// What to check.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    Encoded(&'a [u8]),
    Base64(&'a [u8]),
    Pixels(&'a Pixels),
}

/// A handle, ended when dropped.
pub struct Engine(*mut c_void);

// SAFETY: the header allows every function but liveness_free from any thread at once, and that
// only when nobody uses the handle any more, which a borrow proves.
unsafe impl Send for Engine {}
// SAFETY: as above.
unsafe impl Sync for Engine {}

impl Engine {
    /// The handle, or the status. `models_dir` overrides that of `config`.
    pub fn new(mut config: Config, models_dir: Option<&Path>) -> Result<Engine, i32> {
        let folder = models_dir
            .map(|path| CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL"));
        if let Some(folder) = &folder {
            config.models_dir = folder.as_ptr();
        }
        let mut handle = std::ptr::dangling_mut();
        // SAFETY: both pointers are good for the call, and the strings outlive it.
        let status = unsafe { liveness_init(&config, &mut handle) };
        assert_eq!(status == 0, !handle.is_null(), "handle and status disagree");
        if status == 0 {
            Ok(Engine(handle))
        } else {
            Err(status)
        }
    }

    /// Status and result of a check.
    pub fn check(&self, input: Input<'_>) -> (i32, Outcome) {
        let mut outcome = Outcome::STALE;
        // SAFETY: the slices and structs are borrowed for longer than the calls last.
        let status = unsafe {
            match input {
                Input::Encoded(data) => {
                    liveness_check(self.0, data.as_ptr(), data.len(), &mut outcome)
                }
                Input::Base64(text) => {
                    liveness_check_base64(self.0, text.as_ptr().cast(), text.len(), &mut outcome)
                }
                Input::Pixels(pixels) => liveness_check_pixels(self.0, pixels, &mut outcome),
            }
        };
        (status, outcome)
    }

    /// Status and JSON of a check.
    pub fn check_json(&self, input: Input<'_>, flags: u32) -> (i32, String) {
        let mut json = null_mut();
        // SAFETY: as in `check`.
        let status = unsafe {
            match input {
                Input::Encoded(data) => {
                    liveness_check_json(self.0, data.as_ptr(), data.len(), flags, &mut json)
                }
                Input::Base64(text) => {
                    let start = text.as_ptr().cast();
                    liveness_check_base64_json(self.0, start, text.len(), flags, &mut json)
                }
                Input::Pixels(pixels) => {
                    liveness_check_pixels_json(self.0, pixels, flags, &mut json)
                }
            }
        };
        (status, owned(json))
    }

    pub fn info(&self) -> String {
        let mut json = null_mut();
        // SAFETY: the place to write to is good for the call.
        assert_eq!(unsafe { liveness_info_json(self.0, &mut json) }, 0);
        owned(json)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: a handle of liveness_init, ended once, and nobody borrows it any more.
        unsafe { liveness_free(self.0) };
    }
}

/// Takes over a string that the library handed out.
fn owned(json: *mut c_char) -> String {
    assert!(!json.is_null(), "no JSON");
    // SAFETY: not null, so a string that is ours; it is copied before it is given back.
    unsafe {
        let text = CStr::from_ptr(json)
            .to_str()
            .expect("the JSON is UTF-8")
            .to_owned();
        liveness_string_free(json);
        text
    }
}

/// A string that stays the library's.
fn borrowed(text: *const c_char) -> String {
    // SAFETY: the header promises a string that ends with a NUL and outlives this copy.
    unsafe { CStr::from_ptr(text) }
        .to_str()
        .expect("the text is UTF-8")
        .to_owned()
}

/// Why this thread's last call failed.
pub fn last_error() -> String {
    // SAFETY: the function takes nothing.
    borrowed(unsafe { liveness_last_error() })
}

/// The contract's digits and message for a status.
pub fn contract(status: i32) -> (String, String) {
    // SAFETY: any number is allowed.
    let (code, message) = unsafe {
        (
            liveness_error_code_string(status),
            liveness_error_message(status),
        )
    };
    (borrowed(code), borrowed(message))
}
