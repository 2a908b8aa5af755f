//! The forms in which a request brings its image.

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use liveness::Image;
use mime::Mime;
use multer::{Field, Multipart};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::MAX_IMAGE_BYTES;
use crate::answer::Refusal;
use crate::reader::{Interruption, Progress, Reader};

/// Base64 digits of the largest image.
const MAX_DIGITS: usize = MAX_IMAGE_BYTES.div_ceil(3) * 4;
/// Digits in a line, where the base64 text has lines; MIME has 76, PEM 64.
const MIN_LINE: usize = 64;
/// What a request may hold besides the image: boundaries, names, other fields.
const SLACK: usize = 64 << 10;
/// Parts of a form. The contract knows three, of which two may come together.
const MAX_PARTS: usize = 32;
/// Longest value of the field `details` that is looked at.
const MAX_FLAG: usize = 16;

/// How a body is to be read, by its content type.
#[derive(Debug, PartialEq, Eq)]
pub enum Form {
    Multipart { boundary: String },
    UrlEncoded,
    Json,
}

/// What a request asks for.
#[derive(Debug)]
pub struct Upload {
    pub payload: Payload,
    pub details: bool,
}

/// The image as it was sent.
#[derive(Debug)]
pub enum Payload {
    File(Vec<u8>),
    Base64(Vec<u8>),
}

impl Payload {
    pub fn image(&self) -> Image<'_> {
        match self {
            Payload::File(bytes) => Image::Encoded(bytes),
            Payload::Base64(text) => Image::Base64(text),
        }
    }
}

impl Form {
    pub fn of(headers: &HeaderMap) -> Result<Form, Refusal> {
        if headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            return Err(Refusal::malformed(
                "the body is compressed: send it without Content-Encoding",
            ));
        }
        let unknown = || {
            Refusal::malformed(
                "the content type is missing or unknown: send multipart/form-data, application/x-www-form-urlencoded or application/json",
            )
        };
        let mime: Mime = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .ok_or_else(unknown)?;
        match mime.essence_str() {
            "application/json" => Ok(Form::Json),
            "application/x-www-form-urlencoded" => Ok(Form::UrlEncoded),
            "multipart/form-data" => match mime.get_param(mime::BOUNDARY) {
                Some(boundary) => Ok(Form::Multipart {
                    boundary: boundary.as_str().into(),
                }),
                None => Err(Refusal::malformed(
                    "the content type names no boundary: let the HTTP client set it",
                )),
            },
            _ => Err(unknown()),
        }
    }

    /// The most bytes that a request of this form can need for an image of the permitted size.
    pub fn most(&self) -> usize {
        // The longest that a digit, and the end of a line, become.
        let (digit, line_end) = match self {
            Form::Multipart { .. } => (1, "\r\n"),
            Form::UrlEncoded => ("%2B".len(), "%0D%0A"),
            Form::Json => ("\\/".len(), "\\r\\n"),
        };
        MAX_DIGITS * digit + MAX_DIGITS / MIN_LINE * line_end.len() + SLACK
    }

    pub async fn read(&self, reader: &mut Reader) -> Result<Upload, Refusal> {
        match self {
            Form::Multipart { boundary } => multipart(reader, boundary).await,
            Form::UrlEncoded => {
                let body = whole(reader, Gauge::new(b'%', 2)).await?;
                aside(move || url_encoded(&body)).await
            }
            Form::Json => {
                let body = whole(reader, Gauge::new(b'\\', 5)).await?;
                aside(move || json(&body)).await
            }
        }
    }
}

/// Whether the query asks for details.
pub fn details(query: Option<&str>) -> Result<bool, Refusal> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .filter(|(name, _)| name == "details")
        .try_fold(false, |asked, (_, value)| {
            Ok(asked | flag(value.as_bytes())?)
        })
}

fn flag(value: &[u8]) -> Result<bool, Refusal> {
    match value {
        b"true" | b"True" | b"1" => Ok(true),
        b"false" | b"False" | b"0" => Ok(false),
        _ => Err(Refusal::malformed("details is neither true nor false")),
    }
}

/// The fields that were found so far.
#[derive(Default)]
struct Fields {
    payload: Option<Payload>,
    details: bool,
}

impl Fields {
    /// Only one image is accepted, whatever its field.
    fn expect_first(&self) -> Result<(), Refusal> {
        match self.payload {
            None => Ok(()),
            Some(_) => Err(Refusal::malformed(
                "there is more than one image: send image or image_bytes, once",
            )),
        }
    }

    fn upload(self) -> Result<Upload, Refusal> {
        let payload = self
            .payload
            .ok_or_else(|| Refusal::malformed("neither image nor image_bytes is there"))?;
        Ok(Upload {
            payload,
            details: self.details,
        })
    }
}

fn image_is_a_file() -> Refusal {
    Refusal::malformed("image is a file: send it as multipart/form-data, or base64 as image_bytes")
}

async fn multipart(reader: &mut Reader, boundary: &str) -> Result<Upload, Refusal> {
    let mut fields = Fields::default();
    let progress = Progress::default();
    let mut parts = Multipart::new(Box::pin(reader.pieces(&progress)), boundary);
    let mut count = 0;
    while let Some(field) = parts.next_field().await.map_err(fault)? {
        progress.made();
        count += 1;
        if count > MAX_PARTS {
            return Err(Refusal::malformed(
                "the form has too many parts: send image or image_bytes, and optionally details",
            ));
        }
        let name = field.name().map(str::to_owned);
        let mut part = Part {
            field,
            progress: &progress,
        };
        match name.as_deref() {
            Some("image") => {
                fields.expect_first()?;
                fields.payload = Some(Payload::File(part.file().await?));
            }
            Some("image_bytes") => {
                fields.expect_first()?;
                fields.payload = Some(Payload::Base64(part.text().await?));
            }
            Some("details") => fields.details |= flag(&part.short().await?)?,
            _ => while part.piece().await?.is_some() {},
        }
    }
    drop(parts);
    // A form may be complete before the body is; the rest must arrive too.
    while reader.piece().await?.is_some() {}
    fields.upload()
}

fn fault(error: multer::Error) -> Refusal {
    if let multer::Error::StreamReadFailed(cause) = &error
        && let Some(interruption) = cause.downcast_ref::<Interruption>()
    {
        return (*interruption).into();
    }
    // The parser's own words may quote the body.
    Refusal::malformed("the body is not complete and well-formed multipart/form-data")
}

/// A part of a form while it arrives.
struct Part<'a> {
    field: Field<'a>,
    progress: &'a Progress,
}

impl Part<'_> {
    async fn piece(&mut self) -> Result<Option<Bytes>, Refusal> {
        let piece = self.field.chunk().await.map_err(fault)?;
        self.progress.made();
        Ok(piece)
    }

    async fn file(mut self) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece().await? {
            if bytes.len() + piece.len() > MAX_IMAGE_BYTES {
                return Err(Refusal::too_large());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    async fn text(mut self) -> Result<Vec<u8>, Refusal> {
        let mut gauge = Gauge::new(0, 0);
        let mut text = Vec::new();
        while let Some(piece) = self.piece().await? {
            gauge.count(&piece)?;
            text.extend_from_slice(&piece);
        }
        Ok(text)
    }

    async fn short(mut self) -> Result<Vec<u8>, Refusal> {
        let mut value = Vec::new();
        while let Some(piece) = self.piece().await? {
            value.extend_from_slice(&piece);
            value.truncate(MAX_FLAG + 1);
        }
        Ok(value)
    }
}

async fn whole(reader: &mut Reader, mut gauge: Gauge) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    while let Some(piece) = reader.piece().await? {
        gauge.count(&piece)?;
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Parses on a thread of its own: megabytes of text would keep other requests waiting.
async fn aside(
    parse: impl FnOnce() -> Result<Upload, Refusal> + Send + 'static,
) -> Result<Upload, Refusal> {
    tokio::task::spawn_blocking(parse)
        .await
        .map_err(|_| Refusal::internal())?
}

/// Tells while base64 text arrives, escaped or not, that it must be too large: the library, which
/// counts exactly, would only say so after the last byte. It never says so of a permitted image.
struct Gauge {
    escape: u8,
    /// Digits that may be part of an escape rather than of the base64 text.
    escaped: usize,
    digits: usize,
    escapes: usize,
}

impl Gauge {
    fn new(escape: u8, escaped: usize) -> Self {
        Gauge {
            escape,
            escaped,
            digits: 0,
            escapes: 0,
        }
    }

    fn count(&mut self, piece: &Bytes) -> Result<(), Refusal> {
        for byte in piece {
            if byte.is_ascii_alphanumeric() || b"+/-_".contains(byte) {
                self.digits += 1;
            } else if *byte == self.escape {
                self.escapes += 1;
            }
        }
        let at_least = self.digits.saturating_sub(self.escapes * self.escaped);
        if at_least > MAX_DIGITS + SLACK {
            return Err(Refusal::too_large());
        }
        Ok(())
    }
}

fn url_encoded(body: &[u8]) -> Result<Upload, Refusal> {
    // A sender that escapes nothing has not escaped the digit + either, which would be read as a
    // space: `curl -d` for one.
    let plain = !body.contains(&b'%');
    let mut fields = Fields::default();
    for (name, value) in form_urlencoded::parse(body) {
        match &*name {
            "image" => return Err(image_is_a_file()),
            "image_bytes" => {
                fields.expect_first()?;
                let mut text = value.into_owned().into_bytes();
                if plain {
                    text.iter_mut()
                        .filter(|byte| **byte == b' ')
                        .for_each(|byte| *byte = b'+');
                }
                fields.payload = Some(Payload::Base64(text));
            }
            "details" => fields.details |= flag(value.as_bytes())?,
            _ => {}
        }
    }
    fields.upload()
}

#[derive(Deserialize)]
struct Object {
    image: Option<IgnoredAny>,
    image_bytes: Option<String>,
    #[serde(default)]
    details: bool,
}

fn json(body: &[u8]) -> Result<Upload, Refusal> {
    // The parser's own words may quote the body.
    let object: Object = serde_json::from_slice(body).map_err(|_| {
        Refusal::malformed("the body is no JSON object with image_bytes, a string, and optionally details, a boolean")
    })?;
    if object.image.is_some() {
        return Err(image_is_a_file());
    }
    Fields {
        payload: object
            .image_bytes
            .map(|text| Payload::Base64(text.into_bytes())),
        details: object.details,
    }
    .upload()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(content_type: &str) -> Option<Form> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]);
        Form::of(&headers).ok()
    }

    fn base64(upload: Result<Upload, Refusal>) -> String {
        match upload.unwrap().payload {
            Payload::Base64(text) => String::from_utf8(text).unwrap(),
            Payload::File(_) => panic!("base64 was sent"),
        }
    }

    #[test]
    fn content_types() {
        assert_eq!(form("application/json; charset=utf-8"), Some(Form::Json));
        assert_eq!(form("Application/JSON"), Some(Form::Json));
        assert_eq!(
            form("application/x-www-form-urlencoded"),
            Some(Form::UrlEncoded)
        );
        assert_eq!(
            form("multipart/form-data; boundary=\"a b\""),
            Some(Form::Multipart {
                boundary: "a b".into()
            })
        );
        for other in [
            "",
            "multipart/form-data",
            "text/plain",
            "image/jpeg",
            "json",
        ] {
            assert_eq!(form(other), None, "{other:?}");
        }
        assert!(Form::of(&HeaderMap::new()).is_err());
        let compressed = HeaderMap::from_iter([
            (header::CONTENT_TYPE, "application/json".parse().unwrap()),
            (header::CONTENT_ENCODING, "Identity".parse().unwrap()),
        ]);
        assert_eq!(Form::of(&compressed).ok(), Some(Form::Json));
        for coding in ["gzip", "identity, gzip", "br", ""] {
            let mut headers = compressed.clone();
            headers.append(header::CONTENT_ENCODING, coding.parse().unwrap());
            assert!(Form::of(&headers).is_err(), "{coding:?}");
        }
    }

    #[test]
    fn details_are_asked_for_or_not() {
        for (query, asked) in [
            (None, false),
            (Some(""), false),
            (Some("details=true"), true),
            (Some("a=b&details=True"), true),
            (Some("details=0"), false),
            (Some("details=false&details=1"), true),
        ] {
            assert_eq!(details(query).unwrap(), asked, "{query:?}");
        }
        for query in ["details", "details=", "details=yes", "details=TRUE%20"] {
            assert!(details(Some(query)).is_err(), "{query:?}");
        }
    }

    #[test]
    fn a_plus_survives_senders_that_do_not_escape() {
        assert_eq!(
            base64(url_encoded(b"image_bytes=a+b/c=&details=true")),
            "a+b/c="
        );
        assert_eq!(base64(url_encoded(b"image_bytes=a%2Bb%2Fc%3D")), "a+b/c=");
        assert_eq!(base64(url_encoded(b"image_bytes=a%2Bb+%0Ac")), "a+b \nc");
    }

    #[test]
    fn exactly_one_image() {
        for body in [
            &b""[..],
            b"details=true",
            b"image=abcd",
            b"image_bytes=a&image_bytes=b",
            b"image_bytes=a&image=b",
            b"image_bytes=a&details=maybe",
        ] {
            assert!(url_encoded(body).is_err(), "{body:?}");
        }
        for body in [
            &b""[..],
            b"{}",
            b"[]",
            b"null",
            b"\"abcd\"",
            br#"{"image_bytes":null}"#,
            br#"{"image_bytes":7}"#,
            br#"{"image":"abcd"}"#,
            br#"{"image":"abcd","image_bytes":"abcd"}"#,
            br#"{"image_bytes":"a","image_bytes":"b"}"#,
            br#"{"image_bytes":"a","details":"true"}"#,
            br#"{"image_bytes":"a","details":null}"#,
            br#"{"image_bytes":"a"} x"#,
            br#"{"image_bytes":"a"#,
            b"{\"image_bytes\":\"\xff\"}",
        ] {
            assert!(json(body).is_err(), "{body:?}");
        }
        let upload = json(br#"{"image_bytes":"a\/\u002b","details":true,"other":[1]}"#).unwrap();
        assert!(upload.details);
        assert_eq!(base64(Ok(upload)), "a/+");
    }

    #[test]
    fn the_gauge_stops_early_and_never_too_early() {
        let digits = |text: &'static str, count: usize| Bytes::from(text.repeat(count));
        for (escape, escaped, text) in [
            (b'%', 2, "A"),
            (b'%', 2, "%2B"),
            (b'\\', 5, "A"),
            (b'\\', 5, "\\/"),
            (b'\\', 5, "\\u002b"),
            (0, 0, "A"),
        ] {
            let mut gauge = Gauge::new(escape, escaped);
            assert!(gauge.count(&digits(text, MAX_DIGITS)).is_ok(), "{text}");
        }
        for (escape, escaped) in [(b'%', 2), (b'\\', 5), (0, 0)] {
            let mut gauge = Gauge::new(escape, escaped);
            let result = gauge.count(&digits("A", MAX_DIGITS + SLACK + 1));
            assert!(result.is_err(), "{escape}");
        }
    }
}
