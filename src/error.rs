//! The codes of the contract, and the error that carries one.

use std::any::Any;
use std::fmt;

use crate::verdict::{Face, Quality, Reason};

/// The error codes of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ErrorCode {
    /// 001: the API key is missing or wrong. Only a server answers with it.
    Unauthorized = 1,
    /// 002: not decodable as an image.
    UnreadableImage = 2,
    /// 003: the encoded file is too large.
    ImageTooLarge = 3,
    /// 004: the request or the configuration is malformed.
    BadRequest = 4,
    /// 005: anything unforeseen.
    Internal = 5,
    /// 051: not exactly one face, or one under 40 pixels, or, where `strict_quality` is set, of poor quality.
    FaceCount = 51,
    /// 052: a face mask covers mouth or nose.
    MaskDetected = 52,
}

impl ErrorCode {
    const ALL: [ErrorCode; 7] = [
        ErrorCode::Unauthorized,
        ErrorCode::UnreadableImage,
        ErrorCode::ImageTooLarge,
        ErrorCode::BadRequest,
        ErrorCode::Internal,
        ErrorCode::FaceCount,
        ErrorCode::MaskDetected,
    ];

    /// The three digits of the contract, such as `"051"`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorCode::Unauthorized => "001",
            ErrorCode::UnreadableImage => "002",
            ErrorCode::ImageTooLarge => "003",
            ErrorCode::BadRequest => "004",
            ErrorCode::Internal => "005",
            ErrorCode::FaceCount => "051",
            ErrorCode::MaskDetected => "052",
        }
    }

    /// The message of the contract.
    pub const fn message(self) -> &'static str {
        match self {
            ErrorCode::Unauthorized => "API key is either missing or incorrect.",
            ErrorCode::UnreadableImage => "Error reading image, please check the request format.",
            ErrorCode::ImageTooLarge => "Image file size is too large.",
            ErrorCode::BadRequest => "Request is not in the correct format.",
            ErrorCode::Internal => "Server internal error, please try again.",
            ErrorCode::FaceCount => "No face, or more than one face is detected in the selfie.",
            ErrorCode::MaskDetected => {
                "Face mask is detected, please remove the face mask and try again."
            }
        }
    }

    /// The code with this number: 1 to 5, 51 or 52.
    pub fn from_status(status: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as i32 == status)
    }
}

/// What was found out before a check ended in an error.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Findings {
    /// Why the image was refused, where the image was the reason.
    pub reasons: Vec<Reason>,
    /// Number of faces that count.
    pub faces: Option<u32>,
    /// The main face.
    pub face: Option<Face>,
    /// Probability that a mask covers mouth or nose, 0..1.
    pub mask_probability: Option<f32>,
    /// Quality of the main face.
    pub quality: Option<Quality>,
}

/// Why there is no verdict.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: ErrorCode,
    detail: String,
    findings: Findings,
}

impl Error {
    /// An error with a code of the contract and an explanation for a person.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            code,
            detail: detail.into(),
            findings: Findings::default(),
        }))
    }

    /// The code of the contract.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// Cause and cure, for a person; its wording may change.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What was found out before the error.
    pub fn details(&self) -> &Findings {
        &self.0.findings
    }

    pub(crate) fn unreadable(detail: impl Into<String>) -> Self {
        Error::new(ErrorCode::UnreadableImage, detail)
    }

    /// For a file of this format that its decoder cannot read, for this cause.
    pub(crate) fn undecodable(format: &str, cause: impl fmt::Display) -> Self {
        Error::unreadable(format!(
            "the {format} image cannot be decoded: {cause}: save it anew as JPEG or PNG"
        ))
    }

    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Error::new(ErrorCode::ImageTooLarge, detail)
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Error::new(ErrorCode::BadRequest, detail)
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Error::new(ErrorCode::Internal, detail)
    }

    pub(crate) fn with(mut self, findings: Findings) -> Self {
        self.0.findings = findings;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} ({})",
            self.code().as_str(),
            self.code().message(),
            self.detail()
        )
    }
}

impl std::error::Error for Error {}

/// What a caught panic said.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_numbers_agree() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_status(code as i32), Some(code));
            assert_eq!(code.as_str(), format!("{:03}", code as i32));
        }
        for status in [-1, 0, 6, 50, 53, i32::MAX] {
            assert_eq!(ErrorCode::from_status(status), None);
        }
    }

    #[test]
    fn an_error_says_code_message_and_cause() {
        let error = Error::unreadable("the file is empty");
        assert_eq!(
            error.to_string(),
            "002: Error reading image, please check the request format. (the file is empty)"
        );
    }
}
