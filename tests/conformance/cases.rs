//! The table of requests and expected answers, `cases.json`.

use std::sync::LazyLock;
use std::time::Duration;

use liveness::{Config, PixelFormat};
use serde::Deserialize;
use serde_json::{Map, Value};

pub static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("cases.json")).expect("cases.json is as README.md says")
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    pub surfaces: Map<String, Value>,
    pub status: Map<String, Value>,
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub send: Send,
    /// Name of a file under inputs/; none for HTTP requests, which name theirs in `request`.
    pub input: Option<String>,
    /// "live", "attack", "verdict" (one of the two) or an error code.
    pub expect: String,
    /// The case whose JSON this one must have, byte for byte.
    pub same_as: Option<String>,
    #[serde(default)]
    pub details: bool,
    #[serde(default)]
    pub config: Map<String, Value>,
    pub pixels: Option<Layout>,
    pub surfaces: Option<Vec<String>>,
    /// For HTTP only, whose runner reads more of it.
    pub request: Option<Request>,
    pub status: Option<u16>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Send {
    Encoded,
    Base64,
    Path,
    Pixels,
    Http,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    pub format: String,
    pub width: u32,
    pub height: u32,
    pub stride: usize,
    pub orientation: u8,
}

#[derive(Deserialize)]
pub struct Request {
    pub fields: Vec<Field>,
}

#[derive(Deserialize)]
pub struct Field {
    pub file: Option<String>,
    pub base64: Option<String>,
}

impl Table {
    /// The cases that a surface has to answer.
    pub fn of<'a>(&'a self, surface: &'a str) -> impl Iterator<Item = &'a Case> {
        self.cases.iter().filter(move |case| match &case.surfaces {
            Some(surfaces) => surfaces.iter().any(|name| name == surface),
            None => self.surfaces[case.send.name()]
                .as_array()
                .expect("surfaces are lists")
                .iter()
                .any(|name| name == surface),
        })
    }

    pub fn case(&self, name: &str) -> &Case {
        let mut found = self.cases.iter().filter(|case| case.name == name);
        match (found.next(), found.next()) {
            (Some(case), None) => case,
            (None, _) => panic!("there is no case {name}"),
            (Some(_), Some(_)) => panic!("there are two cases {name}"),
        }
    }
}

impl Send {
    pub fn name(self) -> &'static str {
        match self {
            Send::Encoded => "encoded",
            Send::Base64 => "base64",
            Send::Path => "path",
            Send::Pixels => "pixels",
            Send::Http => "http",
        }
    }
}

impl Layout {
    pub fn pixel_format(&self) -> PixelFormat {
        match self.format.as_str() {
            "rgb" => PixelFormat::Rgb,
            "bgr" => PixelFormat::Bgr,
            "rgba" => PixelFormat::Rgba,
            "bgra" => PixelFormat::Bgra,
            "gray" => PixelFormat::Gray,
            "nv12" => PixelFormat::Nv12,
            "nv21" => PixelFormat::Nv21,
            "i420" => PixelFormat::I420,
            other => panic!("{other} is no pixel format"),
        }
    }
}

impl Case {
    /// Where the answer is an error: its code.
    pub fn code(&self) -> Option<&str> {
        self.expect
            .starts_with(|first: char| first.is_ascii_digit())
            .then_some(&self.expect)
    }

    /// Every input file that the case needs.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        let fields = self.request.iter().flat_map(|request| &request.fields);
        let sent = fields.filter_map(|field| field.file.as_deref().or(field.base64.as_deref()));
        self.input.as_deref().into_iter().chain(sent)
    }

    pub fn config(&self) -> Config {
        let mut config = Config::default();
        for (name, value) in &self.config {
            let number = || value.as_f64().expect("a number");
            let whole = || value.as_u64().expect("a whole number");
            match name.as_str() {
                "threshold" => config.threshold = Some(number() as f32),
                "mask_threshold" => config.mask_threshold = Some(number() as f32),
                "second_face_ratio" => config.second_face_ratio = number() as f32,
                "max_file_bytes" => config.max_file_bytes = whole(),
                "max_pixels" => config.max_pixels = whole(),
                "max_side" => config.max_side = whole() as u32,
                "time_limit_ms" => config.time_limit = Duration::from_millis(whole()),
                "strict_quality" => config.strict_quality = value.as_bool().expect("a boolean"),
                other => panic!("{}: {other} is no option", self.name),
            }
        }
        config
    }
}
