//! The C interface: a thin layer over the safe one. `include/liveness.h` is made from this folder
//! by cbindgen; the comments here are its documentation and so speak to readers of C.

mod boundary;
mod input;
mod log;
mod registry;
mod text;
mod types;

use std::ffi::CString;
use std::sync::Arc;

use libc::{c_char, c_void, size_t};

use crate::engine::Engine;
use crate::error::Error;
use crate::pixels::Image;
use crate::response;
use crate::verdict::Verdict;

use boundary::{cleared, last_error, last_faces, last_reasons, status, value};
use registry::{Ended, Registry};
use types::{
    LIVENESS_ERROR_INTERNAL, LIVENESS_JSON_DETAILS, LivenessConfig, LivenessPixels, LivenessResult,
    ResultSlot, null,
};

/// Version of the binary interface that a header describes. It changes only when a program that
/// was built with an older header would break; functions, constants and struct fields are added
/// without changing it.
pub const LIVENESS_ABI_VERSION: u32 = 1;

/// A handle: the loaded networks and the choices made for them. From liveness_init, ended by
/// liveness_free. It is no address: nothing can be read through it.
pub struct LivenessEngine {
    _opaque: (),
}

static HANDLES: Registry<Engine> = Registry::new();

/// Called with one line about what the library does. It must not unwind (no C++ exception, no
/// longjmp) and may be called from every thread that calls the library, from several at once.
/// `message` is UTF-8 and is good until the callback returns.
pub type LivenessLogCallback =
    Option<unsafe extern "C" fn(user: *mut c_void, level: i32, message: *const c_char)>;

/// Makes a handle: loads the networks, and ONNX Runtime where one is named. Costs some
/// milliseconds and megabytes; make one and share it between threads.
///
/// `config` may be null for all defaults. Its strings are UTF-8 (on Unix, any bytes of the file
/// system), end with a NUL, and are only borrowed for the call.
///
/// Ownership: `*engine` belongs to the caller, who ends it with liveness_free. Null on failure.
/// Errors: 4 for an invalid option, 5 for models or an ONNX Runtime that cannot be loaded;
/// liveness_last_error says which and why. There is no fallback to another engine.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn liveness_init(
    config: *const LivenessConfig,
    engine: *mut *mut LivenessEngine,
) -> i32 {
    status("liveness_init", || {
        if engine.is_null() {
            return Err(null("engine"));
        }
        // SAFETY: not null, so writable by the promise of the header; a host may have packed it.
        unsafe { engine.write_unaligned(std::ptr::null_mut()) };
        cleared("liveness_init");
        // SAFETY: the header's promise for config.
        let config = unsafe { input::config(config) }?;
        let handle = Engine::new(config)?;
        log::ready(&handle.info());
        let handle = std::ptr::without_provenance_mut(HANDLES.open(handle)?);
        // SAFETY: as above.
        unsafe { engine.write_unaligned(handle) };
        Ok(())
    })
}

/// Ends a handle. Null is allowed and does nothing.
///
/// It must be the last use of the handle: no other thread may be inside a call with it, and it must
/// not be freed again. A debug build of the library says what was done wrong on standard error and
/// aborts. A release build logs it (level LIVENESS_LOG_ERROR) and goes on: the calls under way end
/// as if nothing had happened, and the last of them frees the memory; what is not open is left
/// alone. A later call with a freed handle is status 4 in every build.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn liveness_free(engine: *mut LivenessEngine) {
    value("liveness_free", (), || {
        if engine.is_null() {
            return;
        }
        match HANDLES.end(engine.addr()) {
            Ended::Unused => {}
            Ended::InUse => misuse(
                "liveness_free",
                "another thread is inside a call with this handle; free it when all have returned",
            ),
            Ended::Unknown => misuse(
                "liveness_free",
                "this handle is not open: it was freed before, or liveness_init never gave it",
            ),
        }
    })
}

/// Checks an image file in memory: JPEG, PNG, WebP, BMP, GIF (first frame) or TIFF. EXIF
/// orientation is honoured; nothing has to be scaled, cropped or converted beforehand.
///
/// `data` and `len` are borrowed for the call. `result` is zeroed, but for its struct_size, unless
/// LIVENESS_OK is returned; where its struct_size is refused (4), it is left as it was. An attack is
/// a result (liveness 0), not an error.
///
/// Errors: 2, 3, 4, 5, 51, 52.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn liveness_check(
    engine: *const LivenessEngine,
    data: *const u8,
    len: size_t,
    result: *mut LivenessResult,
) -> i32 {
    // SAFETY: the header's promises for result and data.
    unsafe {
        check("liveness_check", engine, result, || {
            Ok(Image::Encoded(input::bytes("data", data, len)?))
        })
    }
}

/// Checks an image file that is encoded as base64: standard or URL-safe alphabet, with or without
/// padding, white space and a `data:image/...;base64,` prefix.
///
/// `text` needs no NUL at its end; `len` is its length without one. Otherwise as liveness_check.
///
/// Errors: 2, 3, 4, 5, 51, 52.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn liveness_check_base64(
    engine: *const LivenessEngine,
    text: *const c_char,
    len: size_t,
    result: *mut LivenessResult,
) -> i32 {
    // SAFETY: the header's promises for result and text.
    unsafe {
        check("liveness_check_base64", engine, result, || {
            Ok(Image::Base64(input::bytes("text", text.cast(), len)?))
        })
    }
}

/// Checks an image file on disk.
///
/// `path` is UTF-8 (on Unix, any bytes of the file system) and ends with a NUL. Otherwise as
/// liveness_check.
///
/// Errors: 2 (also for a file that cannot be read), 3, 4, 5, 51, 52.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn liveness_check_file(
    engine: *const LivenessEngine,
    path: *const c_char,
    result: *mut LivenessResult,
) -> i32 {
    // SAFETY: the header's promises for result and path.
    unsafe {
        check("liveness_check_file", engine, result, || {
            Ok(Image::File(input::path("path", path)?))
        })
    }
}

/// Checks decoded pixels, as a camera or a video decoder gives them; they are read during the call only.
/// Otherwise as liveness_check.
///
/// Errors: 4 (also for a layout that does not fit into its bytes), 5, 51, 52, and 2 for an image
/// larger than max_pixels or max_side.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn liveness_check_pixels(
    engine: *const LivenessEngine,
    pixels: *const LivenessPixels,
    result: *mut LivenessResult,
) -> i32 {
    // SAFETY: the header's promises for result and pixels.
    unsafe {
        check("liveness_check_pixels", engine, result, || {
            Ok(Image::Pixels(input::pixels(pixels)?))
        })
    }
}

/// liveness_check with the contract's JSON as its answer, byte for byte:
/// `{"success":true,"result":{"liveness":true,"score":0.97}}` or
/// `{"success":false,"error_code":"051","error_message":"..."}`.
///
/// `flags` is 0 or LIVENESS_JSON_DETAILS, which adds a last member `details` with what was found, on
/// errors too. Why a status is 5 it does not say, as that may name files of the machine:
/// liveness_last_error does.
///
/// Ownership: `*json` belongs to the caller, who ends it with liveness_string_free. It is set
/// whatever the status, 4 and 5 included; it is null only where there was no memory for it, or
/// where `json` itself is null.
///
/// Errors: the status is that of liveness_check, and the JSON says the same.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn liveness_check_json(
    engine: *const LivenessEngine,
    data: *const u8,
    len: size_t,
    flags: u32,
    json: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises for json and data.
    unsafe {
        check_json("liveness_check_json", engine, flags, json, || {
            Ok(Image::Encoded(input::bytes("data", data, len)?))
        })
    }
}

/// liveness_check_base64 with the contract's JSON as its answer; see liveness_check_json.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn liveness_check_base64_json(
    engine: *const LivenessEngine,
    text: *const c_char,
    len: size_t,
    flags: u32,
    json: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises for json and text.
    unsafe {
        check_json("liveness_check_base64_json", engine, flags, json, || {
            Ok(Image::Base64(input::bytes("text", text.cast(), len)?))
        })
    }
}

/// liveness_check_file with the contract's JSON as its answer; see liveness_check_json.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn liveness_check_file_json(
    engine: *const LivenessEngine,
    path: *const c_char,
    flags: u32,
    json: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises for json and path.
    unsafe {
        check_json("liveness_check_file_json", engine, flags, json, || {
            Ok(Image::File(input::path("path", path)?))
        })
    }
}

/// liveness_check_pixels with the contract's JSON as its answer; see liveness_check_json.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn liveness_check_pixels_json(
    engine: *const LivenessEngine,
    pixels: *const LivenessPixels,
    flags: u32,
    json: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises for json and pixels.
    unsafe {
        check_json("liveness_check_pixels_json", engine, flags, json, || {
            Ok(Image::Pixels(input::pixels(pixels)?))
        })
    }
}

/// Names what a handle computes with, as JSON: `{"version":"0.1.0","engine":"embedded 2",
/// "models":"2026.11.0+1a2b3c4d","files":[{"name":"detector","file":"detector.onnx",
/// "sha256":"..."}]}`.
///
/// Ownership: `*json` belongs to the caller, who ends it with liveness_string_free. Null on
/// failure.
///
/// Errors: 4, 5.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn liveness_info_json(
    engine: *const LivenessEngine,
    json: *mut *mut c_char,
) -> i32 {
    status("liveness_info_json", || {
        if json.is_null() {
            return Err(null("json"));
        }
        // SAFETY: not null, so writable by the promise of the header; a host may have packed it.
        unsafe { json.write_unaligned(std::ptr::null_mut()) };
        cleared("liveness_info_json");
        let text = owned(info_json(open_engine(engine)?.as_ref()))?;
        // SAFETY: as above.
        unsafe { json.write_unaligned(text) };
        Ok(())
    })
}

/// Ends a string that the library handed over to the caller. Null is allowed and does nothing.
/// Never for a `const char *` of the library, and never with free(). The string must have the length
/// that it came with: whoever cuts it works on a copy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn liveness_string_free(string: *mut c_char) {
    value("liveness_string_free", (), || {
        if !string.is_null() {
            // SAFETY: a string from `owned` that nobody uses any more, by the header's promise.
            drop(unsafe { CString::from_raw(string) });
        }
    })
}

/// Version of the binary interface that this library has. A program that was built with a header
/// of the same LIVENESS_ABI_VERSION works with it; compare the two after dlopen. 0 after a panic.
#[unsafe(no_mangle)]
pub extern "C" fn liveness_abi_version() -> u32 {
    value("liveness_abi_version", 0, || LIVENESS_ABI_VERSION)
}

/// Version of the library, such as "0.1.0". Static, not to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn liveness_version() -> *const c_char {
    value("liveness_version", text::NONE, || {
        text::c_text!(crate::VERSION)
    })
}

/// The contract's message for a status, such as "Image file size is too large." for 3. An empty
/// string for 0 and for a number that is no code. Static, not to be freed, never null.
#[unsafe(no_mangle)]
pub extern "C" fn liveness_error_message(code: i32) -> *const c_char {
    value("liveness_error_message", text::NONE, || text::message(code))
}

/// The contract's three digits for a status, such as "051" for 51. An empty string for 0 and for
/// a number that is no code. Static, not to be freed, never null.
#[unsafe(no_mangle)]
pub extern "C" fn liveness_error_code_string(code: i32) -> *const c_char {
    value("liveness_error_code_string", text::NONE, || {
        text::code(code)
    })
}

/// The machine-readable name of one LIVENESS_REASON_ bit, such as "too_dark". An empty string for
/// anything else. Static, not to be freed, never null.
#[unsafe(no_mangle)]
pub extern "C" fn liveness_reason_name(reason: u64) -> *const c_char {
    value("liveness_reason_name", text::NONE, || text::reason(reason))
}

/// Why the last call of this thread that answers with a status failed: cause and cure in English,
/// for a person and not to be parsed. An empty string where it succeeded.
///
/// Ownership: the library's. It is good until the same thread's next call that answers with a
/// status, and until the thread ends. Never null.
#[unsafe(no_mangle)]
pub extern "C" fn liveness_last_error() -> *const c_char {
    value("liveness_last_error", text::NONE, last_error)
}

/// Why the last call of this thread that answers with a status refused its image: LIVENESS_REASON_
/// bits, for a program. They come with 51 and 52. 0 where it succeeded (a verdict has its reasons in
/// liveness_result), and where it failed for anything but what is to be seen in the image.
#[unsafe(no_mangle)]
pub extern "C" fn liveness_last_reasons() -> u64 {
    value("liveness_last_reasons", 0, last_reasons)
}

/// The number of faces that count in the image that the last call of this thread that answers with a
/// status refused, with 51 or 52. 0 also where it succeeded, and where it failed before faces were
/// looked for: LIVENESS_REASON_NO_FACE of liveness_last_reasons tells which.
#[unsafe(no_mangle)]
pub extern "C" fn liveness_last_faces() -> u32 {
    value("liveness_last_faces", 0, last_faces)
}

/// Sets the function that gets the library's log lines up to `level` (LIVENESS_LOG_ERROR to
/// LIVENESS_LOG_DEBUG), for all handles of the process. A null `callback` or LIVENESS_LOG_OFF
/// makes the library silent again, which it is at first. It never writes to standard output or
/// standard error.
///
/// `user` is handed to the callback unchanged. When this function returns, no call of the former
/// callback is under way, so that what its `user` points to may go.
///
/// It waits for calls of the former callback: do not hold what they may wait for.
///
/// Errors: 4 for an unknown level, and when called from inside the callback (which may call
/// everything else; such calls are not logged).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn liveness_set_log_callback(
    callback: LivenessLogCallback,
    user: *mut c_void,
    level: i32,
) -> i32 {
    status("liveness_set_log_callback", || {
        log::set(callback, user, level)
    })
}

/// A check that fills a result.
///
/// # Safety
/// The promise of the header for `result`.
unsafe fn check<'a>(
    function: &'static str,
    engine: *const LivenessEngine,
    result: *mut LivenessResult,
    image: impl FnOnce() -> Result<Image<'a>, Error>,
) -> i32 {
    status(function, || {
        // First, so that whatever fails afterwards leaves zeros behind.
        // SAFETY: the header's promise for result.
        let slot = unsafe { ResultSlot::zeroed(result) }?;
        cleared(function);
        let verdict = verdict(function, engine, image)?;
        slot.fill(&verdict);
        Ok(())
    })
}

/// A check that answers with JSON whatever happens.
///
/// # Safety
/// The promise of the header for `json`.
unsafe fn check_json<'a>(
    function: &'static str,
    engine: *const LivenessEngine,
    flags: u32,
    json: *mut *mut c_char,
    image: impl FnOnce() -> Result<Image<'a>, Error>,
) -> i32 {
    let mut answer = std::ptr::null_mut();
    let mut code = status(function, || {
        if json.is_null() {
            return Err(null("json"));
        }
        let details = flags & LIVENESS_JSON_DETAILS != 0;
        let result = known_flags(flags).and_then(|()| verdict(function, engine, image));
        answer = owned(response::to_json(&result, details))?;
        result.map(drop)
    });
    if json.is_null() {
        return code;
    }
    if answer.is_null() {
        code = LIVENESS_ERROR_INTERNAL;
        answer = value("the answer to a panic", answer, || {
            let panicked = Err(Error::internal("a panic was caught"));
            owned(response::to_json(&panicked, false)).unwrap_or(std::ptr::null_mut())
        });
    }
    // SAFETY: not null, so writable by the promise of the header; a host may have packed it.
    unsafe { json.write_unaligned(answer) };
    code
}

/// A verdict on the image that `image` makes.
fn verdict<'a>(
    function: &'static str,
    engine: *const LivenessEngine,
    image: impl FnOnce() -> Result<Image<'a>, Error>,
) -> Result<Verdict, Error> {
    let engine = open_engine(engine)?;
    let verdict = engine.check(image()?)?;
    log::verdict(function, &verdict);
    Ok(verdict)
}

fn open_engine(engine: *const LivenessEngine) -> Result<Arc<Engine>, Error> {
    if engine.is_null() {
        return Err(null("engine"));
    }
    HANDLES.get(engine.addr()).ok_or_else(|| {
        Error::bad_request(
            "the handle is not open: it was freed, or liveness_init never gave it; make one and keep it until the last call",
        )
    })
}

/// A defect of the host that no status can report. It does no harm here, so only a debug build ends
/// the process over it, where it is sure to be seen.
fn misuse(function: &'static str, what: &str) {
    log::misuse(function, what);
    if cfg!(debug_assertions) {
        eprintln!("{function}: {what}");
        std::process::abort();
    }
}

fn known_flags(flags: u32) -> Result<(), Error> {
    match flags & !LIVENESS_JSON_DETAILS {
        0 => Ok(()),
        unknown => Err(Error::bad_request(format!(
            "the flags have unknown bits, {unknown:#x}; give 0 or LIVENESS_JSON_DETAILS"
        ))),
    }
}

fn info_json(engine: &Engine) -> String {
    let info = engine.info();
    let files: Vec<_> = info
        .files
        .iter()
        .map(
            |file| serde_json::json!({"name": file.name, "file": file.file, "sha256": file.sha256}),
        )
        .collect();
    serde_json::json!({
        "version": crate::VERSION,
        "engine": info.engine,
        "models": info.models,
        "files": files,
    })
    .to_string()
}

/// A string that the caller frees.
fn owned(text: String) -> Result<*mut c_char, Error> {
    CString::new(text)
        .map(CString::into_raw)
        .map_err(|_| Error::internal("the answer has a NUL inside"))
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::process::Command;
    use std::ptr::null_mut;

    use super::*;

    const FORCED: &str = "LIVENESS_PANIC_TEST";

    /// Calls a function with null pointers only, and says whether it gave what stands for a panic.
    fn gives_its_panic_value(function: &str) -> bool {
        let mut json = null_mut();
        let empty = |text: *const c_char| {
            // SAFETY: every text of the interface is a string that ends with a NUL.
            unsafe { CStr::from_ptr(text) }.is_empty()
        };
        // SAFETY: null is allowed everywhere (it is an error, or does nothing), and `json` is a
        // place to write to.
        let status = unsafe {
            match function {
                "liveness_init" => liveness_init(null_mut(), null_mut()),
                "liveness_check" => liveness_check(null_mut(), null_mut(), 0, null_mut()),
                "liveness_check_base64" => {
                    liveness_check_base64(null_mut(), null_mut(), 0, null_mut())
                }
                "liveness_check_file" => liveness_check_file(null_mut(), null_mut(), null_mut()),
                "liveness_check_pixels" => {
                    liveness_check_pixels(null_mut(), null_mut(), null_mut())
                }
                "liveness_check_json" => {
                    liveness_check_json(null_mut(), null_mut(), 0, 0, &mut json)
                }
                "liveness_check_base64_json" => {
                    liveness_check_base64_json(null_mut(), null_mut(), 0, 0, &mut json)
                }
                "liveness_check_file_json" => {
                    liveness_check_file_json(null_mut(), null_mut(), 0, &mut json)
                }
                "liveness_check_pixels_json" => {
                    liveness_check_pixels_json(null_mut(), null_mut(), 0, &mut json)
                }
                "liveness_info_json" => liveness_info_json(null_mut(), null_mut()),
                "liveness_set_log_callback" => liveness_set_log_callback(None, null_mut(), 0),
                "liveness_free" => {
                    liveness_free(null_mut());
                    LIVENESS_ERROR_INTERNAL
                }
                "liveness_string_free" => {
                    liveness_string_free(null_mut());
                    LIVENESS_ERROR_INTERNAL
                }
                "liveness_abi_version" => return liveness_abi_version() == 0,
                "liveness_version" => return empty(liveness_version()),
                "liveness_error_message" => return empty(liveness_error_message(51)),
                "liveness_error_code_string" => return empty(liveness_error_code_string(51)),
                "liveness_reason_name" => return empty(liveness_reason_name(1)),
                "liveness_last_error" => return empty(liveness_last_error()),
                "liveness_last_reasons" => return liveness_last_reasons() == 0,
                "liveness_last_faces" => return liveness_last_faces() == 0,
                other => panic!("{other} is exported and has no test"),
            }
        };
        // SAFETY: the text of the interface ends with a NUL and outlives this comparison.
        let reason = unsafe { CStr::from_ptr(liveness_last_error()) };
        let mut as_promised = status == LIVENESS_ERROR_INTERNAL
            && reason
                .to_string_lossy()
                .contains(&format!("forced in {function}"));
        if function.ends_with("_json") && function != "liveness_info_json" {
            // SAFETY: the JSON is set whatever the status, by the promise under test.
            let text = unsafe { CStr::from_ptr(json) }.to_string_lossy();
            as_promised &= text.contains("\"error_code\":\"005\"");
        }
        as_promised
    }

    fn last_reason() -> String {
        // SAFETY: the reason ends with a NUL and is copied before the next call.
        unsafe { CStr::from_ptr(liveness_last_error()) }
            .to_string_lossy()
            .into_owned()
    }

    /// Handles that were never given: null, an object's address, one that is not open yet.
    fn strangers() -> [*mut LivenessEngine; 3] {
        static OBJECT: u64 = 0;
        [
            null_mut(),
            (&raw const OBJECT).cast_mut().cast(),
            std::ptr::without_provenance_mut(usize::MAX),
        ]
    }

    #[test]
    fn a_handle_that_is_not_open_is_004_in_every_call() {
        for engine in strangers() {
            let mut result = std::mem::MaybeUninit::<LivenessResult>::zeroed();
            let (data, path) = (b"x".as_ptr(), c"x".as_ptr());
            let pixels = LivenessPixels {
                struct_size: size_of::<LivenessPixels>() as u32,
                format: types::LIVENESS_PIXELS_GRAY,
                data,
                len: 1,
                stride: 0,
                width: 1,
                height: 1,
                orientation: 0,
                reserved: 0,
            };
            // SAFETY: the result is large enough for the size that is written first, every other
            // pointer is good, and a handle is never followed.
            let statuses = unsafe {
                let out = result.as_mut_ptr();
                (&raw mut (*out).struct_size).write(size_of::<LivenessResult>() as u32);
                [
                    liveness_check(engine, data, 1, out),
                    liveness_check_base64(engine, path, 1, out),
                    liveness_check_file(engine, path, out),
                    liveness_check_pixels(engine, &pixels, out),
                ]
            };
            assert_eq!(statuses, [4; 4]);
            assert!(last_reason().contains("null") || last_reason().contains("not open"));
            for call in 0..4 {
                let mut json = null_mut();
                // SAFETY: as above, and the JSON is freed once.
                unsafe {
                    let status = match call {
                        0 => liveness_check_json(engine, data, 1, 1, &mut json),
                        1 => liveness_check_base64_json(engine, path, 1, 0, &mut json),
                        2 => liveness_check_file_json(engine, path, 0, &mut json),
                        _ => liveness_check_pixels_json(engine, &pixels, 0, &mut json),
                    };
                    let text = CStr::from_ptr(json).to_str().unwrap();
                    assert_eq!(status, 4);
                    assert!(text.contains("\"error_code\":\"004\""));
                    liveness_string_free(json);
                }
            }
            let mut json = strangers()[1].cast();
            // SAFETY: `json` is a place to write to.
            assert_eq!(unsafe { liveness_info_json(engine, &mut json) }, 4);
            assert!(json.is_null());
        }
    }

    #[test]
    fn a_bad_configuration_gives_no_handle() {
        // SAFETY: a struct of the stated size, and places to write to.
        unsafe {
            let mut config: LivenessConfig = std::mem::zeroed();
            config.struct_size = size_of::<LivenessConfig>() as u32;
            config.threshold = 2.0;
            let mut engine = strangers()[1];
            assert_eq!(liveness_init(&config, &mut engine), 4);
            assert!(engine.is_null() && last_reason().contains("threshold"));
            assert_eq!(liveness_init(&config, null_mut()), 4);
        }
    }

    /// The child of the test below, which names the function in the environment.
    #[test]
    fn forced_panic_child() {
        if let Ok(function) = std::env::var(FORCED) {
            assert!(gives_its_panic_value(&function), "{function}");
        }
    }

    /// A process for each function, because the environment of one is shared by its tests.
    #[test]
    #[cfg_attr(miri, ignore = "starts processes")]
    fn a_panic_in_any_function_stays_inside() {
        let symbols = include_str!("../../tests/c/symbols.txt");
        assert!(symbols.lines().count() > 0);
        for function in symbols.lines() {
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "ffi::tests::forced_panic_child"])
                .env(FORCED, function)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stdout).into_owned();
            assert!(
                child.status.success() && said.contains("1 passed"),
                "{function}: {said}"
            );
        }
    }
}
