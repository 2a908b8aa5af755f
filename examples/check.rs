//! Checks images from the command line.
//!
//!     cargo run --release --example check -- [--details] [--csv] PATH...
//!
//! One line per image on standard output, in the order given: the contract's JSON with a first
//! member `file`, or with `--csv` a table with a header line. Folders are searched for files with
//! the name of an image; `-` reads one image from standard input. The exit status is 0 unless an
//! image ended in 005, a path does not exist (1), or the call was wrong (2).

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use liveness::{Config, Engine, Error, ErrorCode, Image, Verdict, response};

const USAGE: &str = "usage: check [--details] [--csv] PATH...
  PATH       an image, a folder (searched with its subfolders), or - for standard input
  --details  say what the answer rests on
  --csv      a table instead of JSON lines
The environment variable LIVENESS_ONNXRUNTIME names an ONNX Runtime to use.";

/// What counts as an image in a folder; a file that is named is checked whatever its name.
const EXTENSIONS: [&str; 9] = [
    "jpg", "jpeg", "jpe", "png", "webp", "bmp", "gif", "tif", "tiff",
];

/// A progress bar helps from this many images on.
const MANY: usize = 20;

#[derive(Default)]
struct Options {
    details: bool,
    csv: bool,
    paths: Vec<PathBuf>,
}

/// What is to be checked, in order.
enum Item {
    File(PathBuf),
    Stdin,
    /// A path that could not be read as a file or folder, and why.
    Missing(PathBuf, String),
}

fn main() -> ExitCode {
    let options = match options(std::env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(cause) => {
            eprintln!("{cause}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(cause) => {
            eprintln!("{cause}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut only_paths = false;
    for argument in arguments {
        match argument.to_str() {
            Some("--") if !only_paths => only_paths = true,
            Some("--help" | "-h") if !only_paths => return Ok(None),
            Some("--details") if !only_paths => options.details = true,
            Some("--csv") if !only_paths => options.csv = true,
            Some(other) if !only_paths && other.starts_with('-') && other != "-" => {
                return Err(format!("unknown option {other}"));
            }
            _ => options.paths.push(argument.into()),
        }
    }
    if options.paths.is_empty() {
        Err("no path given".into())
    } else {
        Ok(Some(options))
    }
}

/// Checks everything; true unless an image ended in 005 or a path does not exist.
fn run(options: &Options) -> Result<bool, Box<dyn std::error::Error>> {
    let mut items = Vec::new();
    for path in &options.paths {
        let passed_over = collect(path, &mut items);
        if passed_over > 0 {
            let files = if passed_over == 1 { "file" } else { "files" };
            eprintln!(
                "{}: {passed_over} {files} passed over: not named like JPEG, PNG, WebP, BMP, GIF or TIFF",
                path.display()
            );
        }
    }
    let engine = Engine::new(Config::default())?;
    let mut sound = true;
    match report(&engine, &items, options, &mut sound) {
        // Whoever reads the lines has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(sound),
        other => other.map(|()| sound).map_err(Into::into),
    }
}

/// Writes the lines, and whether all went well.
fn report(
    engine: &Engine,
    items: &[Item],
    options: &Options,
    sound: &mut bool,
) -> std::io::Result<()> {
    let bar = progress(items.len());
    let mut out = std::io::stdout().lock();
    if options.csv {
        writeln!(out, "{}", header(options.details))?;
    }
    let written = in_order(
        items,
        |item| check(engine, item),
        |item, result| {
            *sound &= !matches!(item, Item::Missing(..))
                && !matches!(&result, Err(error) if error.code() == ErrorCode::Internal);
            bar.inc(1);
            bar.suspend(|| {
                if let Err(error) = &result {
                    eprintln!("{}: {}", name(item), error.detail());
                }
                let line = if options.csv {
                    csv(item, &result, options.details)
                } else {
                    json(item, &result, options.details)
                };
                writeln!(out, "{line}")
            })
        },
    );
    bar.finish_and_clear();
    written
}

/// Adds a file, or the images of a folder sorted by name, and counts the files in it that are none by their names.
fn collect(path: &Path, items: &mut Vec<Item>) -> usize {
    let entries = match item_or_entries(path) {
        Ok(entries) => entries,
        Err(item) => {
            items.push(item);
            return 0;
        }
    };
    let mut passed_over = 0;
    for (path, kind) in entries {
        // A link to a folder may lead in a circle.
        if kind.is_dir() {
            passed_over += collect(&path, items);
        } else if !is_image(&path) {
            passed_over += 1;
        } else if path.is_file() {
            items.push(Item::File(path));
        }
    }
    passed_over
}

/// What is in a folder, sorted by name, or what else the path is.
fn item_or_entries(path: &Path) -> Result<Vec<(PathBuf, std::fs::FileType)>, Item> {
    let missing = |error: std::io::Error| Item::Missing(path.into(), error.to_string());
    if path.as_os_str() == "-" {
        return Err(Item::Stdin);
    }
    if !path.metadata().map_err(missing)?.is_dir() {
        return Err(Item::File(path.into()));
    }
    let entries = std::fs::read_dir(path).map_err(missing)?;
    let mut entries = entries
        .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))))
        .collect::<Result<Vec<_>, _>>()
        .map_err(missing)?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

fn is_image(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| {
            EXTENSIONS
                .iter()
                .any(|known| known.eq_ignore_ascii_case(extension))
        })
}

fn progress(images: usize) -> ProgressBar {
    let visible = images > MANY && std::io::stderr().is_terminal();
    let target = if visible {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(images as u64), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Works on the items on every core and hands the results on in their order, each as soon as the
/// ones before it are there.
fn in_order<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut emit: impl FnMut(&T, R) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(items.len());
    let next = AtomicUsize::new(0);
    // Unbounded: what waits behind a slow image is some hundred bytes an image, no pixels.
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    if sender.send((index, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut turn = 0;
        for (index, result) in receiver {
            waiting.insert(index, result);
            while let Some(result) = waiting.remove(&turn) {
                emit(&items[turn], result)?;
                turn += 1;
            }
        }
        Ok(())
    })
}

fn check(engine: &Engine, item: &Item) -> Result<Verdict, Error> {
    match item {
        Item::File(path) => engine.check(Image::File(path)),
        Item::Missing(_, cause) => Err(Error::new(
            ErrorCode::UnreadableImage,
            format!("the file cannot be read: {cause}"),
        )),
        Item::Stdin => {
            // One byte more than allowed is enough to be refused for it.
            let limit = Config::default().max_file_bytes + 1;
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().take(limit).read_to_end(&mut bytes);
            read.map_err(|error| {
                Error::new(
                    ErrorCode::UnreadableImage,
                    format!("standard input cannot be read: {error}"),
                )
            })?;
            engine.check(Image::Encoded(&bytes))
        }
    }
}

fn name(item: &Item) -> String {
    match item {
        Item::File(path) | Item::Missing(path, _) => path.display().to_string(),
        Item::Stdin => "-".into(),
    }
}

fn json(item: &Item, result: &Result<Verdict, Error>, details: bool) -> String {
    let mut line = serde_json::Map::new();
    line.insert("file".into(), name(item).into());
    if let serde_json::Value::Object(answer) = response::to_value(result, details) {
        line.extend(answer);
    }
    serde_json::Value::Object(line).to_string()
}

fn header(details: bool) -> String {
    let columns = "file,success,liveness,score,error_code";
    if details {
        format!("{columns},live_probability,print,replay,mask_probability,faces,reasons")
    } else {
        columns.into()
    }
}

fn csv(item: &Item, result: &Result<Verdict, Error>, details: bool) -> String {
    let answer = response::to_value(result, true);
    let found = &answer["details"];
    let reasons = found["reasons"].as_array().map(|reasons| {
        reasons
            .iter()
            .filter_map(|reason| reason.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    });
    let mut columns = vec![
        quoted(&name(item)),
        plain(&answer["success"]),
        plain(&answer["result"]["liveness"]),
        plain(&answer["result"]["score"]),
        plain(&answer["error_code"]),
    ];
    if details {
        columns.extend(
            [
                &found["live_probability"],
                &found["attack_type"]["print"],
                &found["attack_type"]["replay"],
                &found["mask_probability"],
                &found["faces"],
            ]
            .map(plain),
        );
        columns.push(reasons.unwrap_or_default());
    }
    columns.join(",")
}

/// A number, a word or nothing; none of them needs quotes.
fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}
