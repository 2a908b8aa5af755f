//! The forms in which a request brings its image.
//!
//! What a body may take is bounded while it arrives and while it is decoded: [`Form::most`] for the
//! body itself, [`MAX_TEXT`] for the base64 text made of it.

use std::fmt;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use liveness::Image;
use multer::{Field, Multipart};
use percent_encoding::percent_decode;
use serde::de::{self, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};

use crate::MAX_IMAGE_BYTES;
use crate::answer::Refusal;
use crate::config::truth;
use crate::parameters::{essence, parameter};
use crate::reader::{Interruption, Progress, Reader};

/// Base64 digits of the largest image.
const MAX_DIGITS: usize = MAX_IMAGE_BYTES.div_ceil(3) * 4;
/// Digits in a line, where the base64 text has lines; MIME has 76, PEM 64.
const MIN_LINE: usize = 64;
/// Lines of the largest image.
const MAX_LINES: usize = MAX_DIGITS / MIN_LINE;
/// What a request may hold besides the image: boundaries, names, other fields.
const SLACK: usize = 64 << 10;
/// The longest base64 text of a permitted image, and whatever comes with it, not escaped.
const MAX_TEXT: usize = MAX_DIGITS + MAX_LINES * 2 + SLACK;
/// Parts of a form. The contract knows three.
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
        let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
        // Of two, another reader could take the other one.
        let (Some(kind), None) = (kinds.next(), kinds.next()) else {
            return Err(unknown());
        };
        let kind = kind.as_bytes();
        match essence(kind).to_ascii_lowercase().as_slice() {
            b"application/json" => Ok(Form::Json),
            b"application/x-www-form-urlencoded" => Ok(Form::UrlEncoded),
            b"multipart/form-data" => boundary(kind)
                .map(|boundary| Form::Multipart { boundary })
                .ok_or_else(|| {
                    Refusal::malformed(
                        "the content type names no boundary: let the HTTP client set it",
                    )
                }),
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
        MAX_DIGITS * digit + MAX_LINES * line_end.len() + SLACK
    }

    /// Reads the body. The place that it has is given back when nothing but the image is left of it.
    pub async fn read(
        &self,
        reader: &mut Reader,
        place: impl Send + 'static,
    ) -> Result<Upload, Refusal> {
        match self {
            Form::Multipart { boundary } => {
                let _place = place;
                multipart(reader, boundary).await
            }
            Form::UrlEncoded => {
                let body = whole(reader, Gauge::new(b'%', 2)).await?;
                aside(place, move || url_encoded(body)).await
            }
            Form::Json => {
                let body = whole(reader, Gauge::new(b'\\', 5)).await?;
                aside(place, move || json(&body)).await
            }
        }
    }
}

fn boundary(kind: &[u8]) -> Option<String> {
    let boundary = String::from_utf8(parameter(kind, "boundary")?).ok()?;
    Some(boundary).filter(|boundary| !boundary.is_empty())
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
    truth(value).ok_or_else(|| Refusal::malformed("details is neither true nor false"))
}

/// The fields that were found so far.
#[derive(Default)]
struct Fields {
    /// The image, or why it is none: that comes after what is wrong with the request.
    payload: Option<Result<Payload, Refusal>>,
    /// An input of a page that was left empty: browsers send it beside the one that was filled in.
    empty: Option<Payload>,
    details: bool,
}

impl Fields {
    /// Only one image is accepted, whatever its field.
    fn expect_first(&self) -> Result<(), Refusal> {
        match self.payload {
            None => Ok(()),
            Some(_) => Err(more_than_one()),
        }
    }

    /// Counts only where nothing else is there.
    fn leave_empty(&mut self, payload: Payload) -> Result<(), Refusal> {
        match self.empty.replace(payload) {
            None => Ok(()),
            Some(_) => Err(no_image()),
        }
    }

    fn upload(self) -> Result<Upload, Refusal> {
        let payload = self.payload.or(self.empty.map(Ok)).ok_or_else(no_image)??;
        Ok(Upload {
            payload,
            details: self.details,
        })
    }
}

fn no_image() -> Refusal {
    Refusal::malformed("neither image nor image_bytes is there")
}

fn image_is_a_file() -> Refusal {
    Refusal::malformed("image is a file: send it as multipart/form-data, or base64 as image_bytes")
}

async fn multipart(reader: &mut Reader, boundary: &str) -> Result<Upload, Refusal> {
    let mut fields = Fields::default();
    let progress = Progress::default();
    let mut parts = Multipart::new(Box::pin(reader.pieces(&progress)), boundary);
    let mut count = 0;
    let mut seen = (false, false);
    while let Some(field) = parts.next_field().await.map_err(fault)? {
        progress.made();
        count += 1;
        if count > MAX_PARTS {
            return Err(Refusal::malformed(
                "the form has too many parts: send image or image_bytes, and optionally details",
            ));
        }
        let name = named(&field, "name");
        let mut part = Part {
            field,
            first: None,
            progress: &progress,
        };
        match name.as_deref() {
            Some(b"image") => {
                expect_once(&mut seen.0)?;
                if part.names_no_file() && part.is_empty().await? {
                    fields.leave_empty(Payload::File(Vec::new()))?;
                } else {
                    fields.expect_first()?;
                    fields.payload = Some(part.file().await?.map(Payload::File));
                }
            }
            Some(b"image_bytes") => {
                expect_once(&mut seen.1)?;
                if part.is_empty().await? {
                    fields.leave_empty(Payload::Base64(Vec::new()))?;
                } else {
                    fields.expect_first()?;
                    fields.payload = Some(Ok(Payload::Base64(part.text().await?)));
                }
            }
            Some(b"details") => fields.details |= flag(&part.short().await?)?,
            Some(_) => part.skip().await?,
            None => {
                return Err(Refusal::malformed(
                    "a part of the form has no name, or more than one: let the HTTP client write it",
                ));
            }
        }
    }
    drop(parts);
    // A form may be complete before the body is; the rest must arrive too.
    while reader.piece().await?.is_some() {}
    fields.upload()
}

/// Not what the parser takes for it: that looks into quoted file names too.
fn named(field: &Field, parameter_name: &str) -> Option<Vec<u8>> {
    let disposition = field.headers().get(header::CONTENT_DISPOSITION)?;
    parameter(disposition.as_bytes(), parameter_name)
}

/// A field may come once, even where it is empty the other time.
fn expect_once(seen: &mut bool) -> Result<(), Refusal> {
    match std::mem::replace(seen, true) {
        false => Ok(()),
        true => Err(more_than_one()),
    }
}

fn more_than_one() -> Refusal {
    Refusal::malformed("there is more than one image: send image or image_bytes, once")
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
    /// What was read to see whether there is anything.
    first: Option<Bytes>,
    progress: &'a Progress,
}

impl Part<'_> {
    /// As browsers send a file that was not chosen.
    fn names_no_file(&self) -> bool {
        named(&self.field, "filename").is_some_and(|name| name.is_empty())
    }

    async fn is_empty(&mut self) -> Result<bool, Refusal> {
        while let Some(piece) = self.piece().await? {
            if !piece.is_empty() {
                self.first = Some(piece);
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Refusal> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let piece = self.field.chunk().await.map_err(fault)?;
        self.progress.made();
        Ok(piece)
    }

    /// The file, or why it is none: that comes after what is wrong with the rest of the form.
    async fn file(mut self) -> Result<Result<Vec<u8>, Refusal>, Refusal> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece().await? {
            if bytes.len() + piece.len() > MAX_IMAGE_BYTES {
                // Memory that is not needed any more while the rest arrives.
                drop(bytes);
                self.skip().await?;
                return Ok(Err(Refusal::too_large()));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Ok(bytes))
    }

    async fn skip(mut self) -> Result<(), Refusal> {
        while self.piece().await?.is_some() {}
        Ok(())
    }

    async fn text(mut self) -> Result<Vec<u8>, Refusal> {
        let mut text = Vec::new();
        while let Some(piece) = self.piece().await? {
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

/// Parses on a thread of its own: megabytes of text would keep other requests waiting. The thread
/// goes on if the caller hangs up, and has the place as long as it has the body.
async fn aside(
    place: impl Send + 'static,
    parse: impl FnOnce() -> Result<Upload, Refusal> + Send + 'static,
) -> Result<Upload, Refusal> {
    tokio::task::spawn_blocking(move || {
        let _place = place;
        parse()
    })
    .await
    .map_err(|_| Refusal::internal())?
}

/// Tells while a body arrives that it must be longer than any with a permitted image, its escapes
/// taken back: what is decoded is measured only after the last byte. It never says so of a permitted
/// image.
struct Gauge {
    escape: u8,
    /// Bytes that an escape may have more than what it stands for.
    longer: usize,
    bytes: usize,
    escapes: usize,
}

impl Gauge {
    fn new(escape: u8, longer: usize) -> Self {
        Gauge {
            escape,
            longer,
            bytes: 0,
            escapes: 0,
        }
    }

    fn count(&mut self, piece: &Bytes) -> Result<(), Refusal> {
        self.bytes += piece.len();
        self.escapes += piece.iter().filter(|byte| **byte == self.escape).count();
        let at_least = self.bytes.saturating_sub(self.escapes * self.longer);
        if at_least > MAX_TEXT {
            return Err(Refusal::too_large());
        }
        Ok(())
    }
}

/// Base64 text out of a body. It is measured before there is a copy of it, for which the machine may
/// not have the memory, and before it takes a place in the queue.
fn base64(text: impl Iterator<Item = u8> + Clone) -> Result<Payload, Refusal> {
    if text.clone().nth(MAX_TEXT).is_some() {
        return Err(Refusal::too_large());
    }
    Ok(Payload::Base64(text.collect()))
}

fn url_encoded(mut body: Vec<u8>) -> Result<Upload, Refusal> {
    // A sender that escapes nothing has not escaped the digit + either, which would be read as a
    // space: `curl -d` for one.
    if body.contains(&b'%') {
        body.iter_mut()
            .filter(|byte| **byte == b'+')
            .for_each(|byte| *byte = b' ');
    }
    let mut fields = Fields::default();
    for pair in body.split(|byte| *byte == b'&') {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = percent_decode(halves.next().unwrap_or_default());
        let value = percent_decode(halves.next().unwrap_or_default());
        // Compared while they are decoded: other names may be as long as the body.
        let named = |wanted: &[u8]| name.clone().eq(wanted.iter().copied());
        if named(b"image") {
            return Err(image_is_a_file());
        } else if named(b"image_bytes") {
            fields.expect_first()?;
            fields.payload = Some(base64(value));
        } else if named(b"details") {
            fields.details |= flag(&value.take(MAX_FLAG + 1).collect::<Vec<_>>())?;
        }
    }
    fields.upload()
}

/// What is null is as good as absent: many a client writes all members that it knows.
#[derive(Deserialize)]
struct Object {
    image: Option<IgnoredAny>,
    image_bytes: Option<Text>,
    details: Option<bool>,
}

/// `image_bytes`, which a `String` would hold whatever its length.
struct Text(Result<Payload, Refusal>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Measure;
        impl Visitor<'_> for Measure {
            type Value = Text;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(base64(text.bytes())))
            }
        }
        deserializer.deserialize_str(Measure)
    }
}

fn json(body: &[u8]) -> Result<Upload, Refusal> {
    // The parser's own words may quote the body, and it would take an array of the fields in order.
    let object: Object = Some(body)
        .filter(|body| body.trim_ascii_start().starts_with(b"{"))
        .and_then(|body| serde_json::from_slice(body).ok())
        .ok_or_else(|| {
            Refusal::malformed("the body is no JSON object with image_bytes, a string, and optionally details, a boolean")
        })?;
    if object.image.is_some() {
        return Err(image_is_a_file());
    }
    Fields {
        payload: object.image_bytes.map(|Text(payload)| payload),
        empty: None,
        details: object.details.unwrap_or_default(),
    }
    .upload()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn form(content_type: &str) -> Option<Form> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]);
        Form::of(&headers).ok()
    }

    fn form_of(body: impl AsRef<[u8]>) -> Result<Upload, Refusal> {
        url_encoded(body.as_ref().into())
    }

    fn bytes(upload: Result<Upload, Refusal>) -> Vec<u8> {
        match upload.unwrap().payload {
            Payload::Base64(text) => text,
            Payload::File(_) => panic!("base64 was sent"),
        }
    }

    fn status(upload: Result<Upload, Refusal>) -> u16 {
        upload.map_or_else(|refusal| refusal.response(false).status().as_u16(), |_| 200)
    }

    #[test]
    fn content_types() {
        assert_eq!(form("application/json; charset=utf-8"), Some(Form::Json));
        for json in [
            "Application/JSON",
            "application/json ; charset=utf-8",
            "application/json;",
        ] {
            assert_eq!(form(json), Some(Form::Json), "{json}");
        }
        assert_eq!(
            form("application/x-www-form-urlencoded"),
            Some(Form::UrlEncoded)
        );
        for (multipart, boundary) in [
            ("multipart/form-data; boundary=\"a b\"", "a b"),
            ("Multipart/Form-Data ; Boundary = b ;charset=utf-8", "b"),
            // As old Java programs send it: the signs would need quotation marks.
            (
                "multipart/form-data;boundary=----=_Part_1_23.45",
                "----=_Part_1_23.45",
            ),
            (
                "multipart/form-data; charset=\"; boundary=a\"; boundary=b",
                "b",
            ),
        ] {
            let boundary = boundary.into();
            let expected = Some(Form::Multipart { boundary });
            assert_eq!(form(multipart), expected, "{multipart}");
        }
        for other in [
            "",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"",
            "text/plain",
            "application/json, application/json",
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
        for (body, text) in [
            ("image_bytes=a+b/c=&details=true", "a+b/c="),
            ("image_bytes=a+b c", "a+b c"),
            ("image_bytes=a%2Bb%2Fc%3D", "a+b/c="),
            ("image_bytes=a%2Bb+%0Ac", "a+b \nc"),
            ("a%2B=b+c&&=&im%61ge%5Fbytes=a+b&c", "a b"),
        ] {
            assert_eq!(bytes(form_of(body)), text.as_bytes(), "{body}");
        }
    }

    /// What is no UTF-8 is for the library to refuse, and becomes no longer for it.
    #[test]
    fn bytes_stay_bytes() {
        assert_eq!(
            bytes(form_of(b"image_bytes=\xff%ff%C3%BC%")),
            b"\xff\xff\xc3\xbc%"
        );
        assert_eq!(status(form_of(b"image\xff=a&image_bytes=a")), 200);
    }

    #[test]
    fn text_is_as_long_as_that_of_a_permitted_image() {
        let form = |text: &str, length: usize| "image_bytes=".to_owned() + &text.repeat(length);
        let object =
            |text: &str, length: usize| format!(r#"{{"image_bytes":"{}"}}"#, text.repeat(length));
        for (length, expected) in [(MAX_TEXT, 200), (MAX_TEXT + 1, 413)] {
            for text in ["+", "%2B", "\0"] {
                assert_eq!(status(form_of(form(text, length))), expected, "{text}");
            }
            for text in ["A", "\\u002b"] {
                let body = object(text, length);
                assert_eq!(status(json(body.as_bytes())), expected, "{text}");
            }
        }
        // What is wrong with the request comes first.
        let form = form("A", MAX_TEXT + 1);
        for more in ["&image_bytes=A", "&image=A", "&details=perhaps"] {
            assert_eq!(status(form_of(form.clone() + more)), 400, "{more}");
        }
        let object = object("A", MAX_TEXT + 1).replace('{', "{\"image\":1,");
        assert_eq!(status(json(object.as_bytes())), 400);
    }

    #[test]
    fn what_an_upload_takes_is_said() {
        let escaped = Form::UrlEncoded.most() + MAX_TEXT;
        let object = Form::Json.most() + 2 * MAX_TEXT;
        let megabytes = |bytes: usize| format!(" {} MB", bytes.div_ceil(1_000_000));
        let readme = include_str!("../../../README.md");
        let compose = include_str!("../../../compose.yaml");
        for text in [readme, compose] {
            assert!(text.contains(&megabytes(escaped.max(object))));
            assert!(text.contains(&megabytes(MAX_TEXT)));
        }
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
            assert!(form_of(body).is_err(), "{body:?}");
        }
        for body in [
            &b""[..],
            b"{}",
            b"[]",
            br#"[null, "aaaa"]"#,
            br#" [null, "aaaa", true]"#,
            b"null",
            b"\"abcd\"",
            br#"{"image_bytes":null}"#,
            br#"{"image_bytes":7}"#,
            br#"{"image":"abcd"}"#,
            br#"{"image":"abcd","image_bytes":"abcd"}"#,
            br#"{"image_bytes":"a","image_bytes":"b"}"#,
            br#"{"image_bytes":"a","details":"true"}"#,
            br#"{"image_bytes":"a"} x"#,
            br#"{"image_bytes":"a"#,
            b"{\"image_bytes\":\"\xff\"}",
        ] {
            assert!(json(body).is_err(), "{body:?}");
        }
        let upload = json(br#"{"image_bytes":"a\/\u002b","details":true,"other":[1]}"#).unwrap();
        assert!(upload.details);
        assert_eq!(bytes(Ok(upload)), b"a/+");
    }

    #[test]
    fn null_is_as_good_as_absent_in_json() {
        let upload = json(br#"{"image":null,"image_bytes":"a","details":null}"#).unwrap();
        assert!(!upload.details);
        assert_eq!(bytes(Ok(upload)), b"a");
    }

    #[tokio::test]
    async fn a_body_has_its_place_until_it_is_gone() {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let place = Arc::new(());
        let parsing = aside(place.clone(), move || {
            let _ = wait.recv();
            Err(Refusal::internal())
        });
        // The caller hangs up.
        assert!(timeout(Duration::from_millis(50), parsing).await.is_err());
        assert_eq!(Arc::strong_count(&place), 2);
        drop(go);
        while Arc::strong_count(&place) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn the_gauge_stops_early_and_never_too_early() {
        let body = |text: &'static str, count: usize| Bytes::from(text.repeat(count));
        for (escape, longer, text) in [
            (b'%', 2, "A"),
            (b'%', 2, "%2B"),
            (b'\\', 5, "A"),
            (b'\\', 5, "\\/"),
            (b'\\', 5, "\\u002b"),
        ] {
            let mut gauge = Gauge::new(escape, longer);
            assert!(gauge.count(&body(text, MAX_TEXT)).is_ok(), "{text}");
        }
        for (escape, longer) in [(b'%', 2), (b'\\', 5)] {
            for text in ["A", " ", "*", "\0"] {
                let mut gauge = Gauge::new(escape, longer);
                let result = gauge.count(&body(text, MAX_TEXT + 1));
                assert!(result.is_err(), "{escape} {text:?}");
            }
        }
    }
}
