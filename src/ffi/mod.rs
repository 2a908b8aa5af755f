//! The C interface: a thin layer over the safe one. `include/liveness.h` is made from this folder
//! by cbindgen; the comments here are its documentation and so speak to readers of C.

mod boundary;
mod input;
mod log;
mod text;
mod types;

use std::ffi::CString;

use libc::{c_char, c_void, size_t};

use crate::engine::Engine;
use crate::error::{Error, ErrorCode};
use crate::pixels::Image;
use crate::response;
use crate::verdict::Verdict;

use boundary::{last_error, status, value};
use types::{
    LIVENESS_ERROR_INTERNAL, LIVENESS_JSON_DETAILS, LivenessConfig, LivenessPixels, LivenessResult,
    ResultSlot, null,
};

/// Version of the binary interface that a header describes. It changes only when a program that
/// was built with an older header would break; functions, constants and struct fields are added
/// without changing it.
pub const LIVENESS_ABI_VERSION: u32 = 1;

/// A handle: the loaded networks and the choices made for them. From liveness_init, ended by
/// liveness_free.
pub struct LivenessEngine(Engine);

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
        // SAFETY: not null, so writable by the promise of the header.
        unsafe { engine.write(std::ptr::null_mut()) };
        // SAFETY: the header's promise for config.
        let config = unsafe { input::config(config) }?;
        let handle = Engine::new(config)?;
        log::ready(&handle.info());
        // SAFETY: as above.
        unsafe { engine.write(Box::into_raw(Box::new(LivenessEngine(handle)))) };
        Ok(())
    })
}

/// Ends a handle. Null is allowed and does nothing. The handle must not be used afterwards, and no
/// other thread may be inside a call with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn liveness_free(engine: *mut LivenessEngine) {
    value("liveness_free", (), || {
        if !engine.is_null() {
            // SAFETY: a handle of liveness_init that nobody uses any more, by the header's promise.
            drop(unsafe { Box::from_raw(engine) });
        }
    })
}

/// Checks an image file in memory: JPEG, PNG, WebP, BMP, GIF (first frame) or TIFF. EXIF
/// orientation is honoured; nothing has to be scaled, cropped or converted beforehand.
///
/// `data` and `len` are borrowed for the call. `result` is zeroed, but for its struct_size, unless
/// LIVENESS_OK is returned. An attack is a result (liveness 0), not an error.
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
    // SAFETY: the header's promises for engine and result, and for data.
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
    // SAFETY: the header's promises for engine and result, and for text.
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
    // SAFETY: the header's promises for engine and result, and for path.
    unsafe {
        check("liveness_check_file", engine, result, || {
            Ok(Image::File(input::path("path", path)?))
        })
    }
}

/// Checks decoded pixels, as a camera or a video decoder gives them.
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
    // SAFETY: the header's promises for engine and result, and for pixels.
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
/// `flags` is 0 or LIVENESS_JSON_DETAILS, which adds a last member `details` with all there is to
/// know, on errors too.
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
    // SAFETY: the header's promises for engine and json, and for data.
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
    // SAFETY: the header's promises for engine and json, and for text.
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
    // SAFETY: the header's promises for engine and json, and for path.
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
    // SAFETY: the header's promises for engine and json, and for pixels.
    unsafe {
        check_json("liveness_check_pixels_json", engine, flags, json, || {
            Ok(Image::Pixels(input::pixels(pixels)?))
        })
    }
}

/// Names what a handle computes with, as JSON: `{"version":"0.1.0","engine":"rten 0.27",
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
        // SAFETY: not null, so writable by the promise of the header.
        unsafe { json.write(std::ptr::null_mut()) };
        // SAFETY: the header's promise for engine.
        let engine = unsafe { input::engine(engine) }?;
        let text = owned(info_json(engine))?;
        // SAFETY: as above.
        unsafe { json.write(text) };
        Ok(())
    })
}

/// Ends a string that the library handed over to the caller. Null is allowed and does nothing.
/// Never for a `const char *` of the library, and never with free().
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

/// Sets the function that gets the library's log lines up to `level` (LIVENESS_LOG_ERROR to
/// LIVENESS_LOG_DEBUG), for all handles of the process. A null `callback` or LIVENESS_LOG_OFF
/// makes the library silent again, which it is at first. It never writes to standard output or
/// standard error.
///
/// `user` is handed to the callback unchanged. When this function returns, no call of the former
/// callback is under way, so that what its `user` points to may go.
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
/// The promises of the header for `engine` and `result`; the image that `image` makes is readable
/// during the call.
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
        // SAFETY: the header's promise for engine.
        let verdict = unsafe { verdict(function, engine, image) }?;
        slot.fill(&verdict);
        Ok(())
    })
}

/// A check that answers with JSON whatever happens.
///
/// # Safety
/// The promises of the header for `engine` and `json`; the image that `image` makes is readable
/// during the call.
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
        let result = known_flags(flags)
            // SAFETY: the header's promise for engine.
            .and_then(|()| unsafe { verdict(function, engine, image) });
        answer = owned(response::to_json(&result, details))?;
        result.map(drop)
    });
    if json.is_null() {
        return code;
    }
    if answer.is_null() {
        code = LIVENESS_ERROR_INTERNAL;
        answer = value("the answer to a panic", answer, || {
            let panicked = Err(Error::new(ErrorCode::Internal, "a panic was caught"));
            owned(response::to_json(&panicked, false)).unwrap_or(std::ptr::null_mut())
        });
    }
    // SAFETY: not null, so writable by the promise of the header.
    unsafe { json.write(answer) };
    code
}

/// # Safety
/// The promise of the header for `engine`; the image that `image` makes is readable during the
/// call.
unsafe fn verdict<'a>(
    function: &'static str,
    engine: *const LivenessEngine,
    image: impl FnOnce() -> Result<Image<'a>, Error>,
) -> Result<Verdict, Error> {
    // SAFETY: the caller's promise.
    let engine = unsafe { input::engine(engine) }?;
    let verdict = engine.check(image()?)?;
    log::verdict(function, &verdict);
    Ok(verdict)
}

fn known_flags(flags: u32) -> Result<(), Error> {
    match flags & !LIVENESS_JSON_DETAILS {
        0 => Ok(()),
        unknown => Err(Error::new(
            ErrorCode::BadRequest,
            format!("the flags have unknown bits, {unknown:#x}; give 0 or LIVENESS_JSON_DETAILS"),
        )),
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
        .map_err(|_| Error::new(ErrorCode::Internal, "the answer has a NUL inside"))
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

    /// The child of the test below, which names the function in the environment.
    #[test]
    fn forced_panic_child() {
        if let Ok(function) = std::env::var(FORCED) {
            assert!(gives_its_panic_value(&function), "{function}");
        }
    }

    /// A process for each function, because the environment of one is shared by its tests.
    #[test]
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
