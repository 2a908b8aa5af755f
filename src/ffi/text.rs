//! Static strings of the library, ending with a NUL for C.

use libc::c_char;

use super::types::*;
use crate::error::ErrorCode;
use crate::verdict::Reason;

/// Copies a text into an array that is one byte longer, so that it ends with a NUL.
pub(super) const fn terminated<const LEN: usize>(text: &str) -> [u8; LEN] {
    let bytes = text.as_bytes();
    assert!(bytes.len() + 1 == LEN);
    let mut copy = [0; LEN];
    let mut i = 0;
    while i < bytes.len() {
        assert!(bytes[i] != 0);
        copy[i] = bytes[i];
        i += 1;
    }
    copy
}

/// A constant `&'static str` as a static C string.
macro_rules! c_text {
    ($text:expr) => {{
        const TEXT: &str = $text;
        static BYTES: [u8; TEXT.len() + 1] = $crate::ffi::text::terminated(TEXT);
        BYTES.as_ptr().cast::<c_char>()
    }};
}
pub(super) use c_text;

/// What is said where there is nothing to say: not null, so that printf can take it.
pub(super) const NONE: *const c_char = c"".as_ptr();

macro_rules! of_code {
    ($code:expr, $text:ident: $($variant:ident)*) => {
        match $code {
            $(Some(ErrorCode::$variant) => c_text!(ErrorCode::$variant.$text()),)*
            None => NONE,
        }
    };
}

/// The message of the contract, or an empty string for what is no code.
pub(super) fn message(status: i32) -> *const c_char {
    of_code!(ErrorCode::from_status(status), message:
        Unauthorized UnreadableImage ImageTooLarge BadRequest Internal FaceCount MaskDetected)
}

/// The three digits of the contract, or an empty string for what is no code.
pub(super) fn code(status: i32) -> *const c_char {
    of_code!(ErrorCode::from_status(status), as_str:
        Unauthorized UnreadableImage ImageTooLarge BadRequest Internal FaceCount MaskDetected)
}

/// The machine-readable name of one reason bit, or an empty string for what is none.
pub(super) fn reason(bit: u64) -> *const c_char {
    match bit {
        LIVENESS_REASON_NO_FACE => c_text!(Reason::NoFace.as_str()),
        LIVENESS_REASON_SEVERAL_FACES => c_text!(Reason::SeveralFaces.as_str()),
        LIVENESS_REASON_FACE_MASK => c_text!(Reason::FaceMask.as_str()),
        LIVENESS_REASON_FACE_TOO_SMALL => c_text!(Reason::FaceTooSmall.as_str()),
        LIVENESS_REASON_FACE_CUT_OFF => c_text!(Reason::FaceCutOff.as_str()),
        LIVENESS_REASON_HEAD_TURNED => c_text!(Reason::HeadTurned.as_str()),
        LIVENESS_REASON_HEAD_NODDED => c_text!(Reason::HeadNodded.as_str()),
        LIVENESS_REASON_HEAD_TILTED => c_text!(Reason::HeadTilted.as_str()),
        LIVENESS_REASON_TOO_DARK => c_text!(Reason::TooDark.as_str()),
        LIVENESS_REASON_TOO_BRIGHT => c_text!(Reason::TooBright.as_str()),
        LIVENESS_REASON_LOW_CONTRAST => c_text!(Reason::LowContrast.as_str()),
        LIVENESS_REASON_CLIPPED => c_text!(Reason::Clipped.as_str()),
        LIVENESS_REASON_BLURRED => c_text!(Reason::Blurred.as_str()),
        LIVENESS_REASON_NOT_UPRIGHT => c_text!(Reason::NotUpright.as_str()),
        _ => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn read(text: *const c_char) -> &'static str {
        // SAFETY: the texts of this file are static and end with a NUL.
        unsafe { CStr::from_ptr(text) }.to_str().unwrap()
    }

    #[test]
    fn texts_are_those_of_the_contract_or_empty() {
        for number in -2..60 {
            let known = ErrorCode::from_status(number);
            assert_eq!(read(message(number)), known.map_or("", ErrorCode::message));
            assert_eq!(read(code(number)), known.map_or("", ErrorCode::as_str));
        }
        let names: Vec<_> = (0..64).map(|bit| read(reason(1 << bit))).collect();
        assert_eq!(names.iter().filter(|name| !name.is_empty()).count(), 14);
        assert_eq!(read(reason(0)), "");
        assert_eq!(read(reason(3)), "");
    }
}
