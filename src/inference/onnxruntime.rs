//! ONNX Runtime, loaded at run time from a path that the caller names.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use once_cell::sync::OnceCell;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder};
use ort::value::{TensorRef, ValueType};

use super::embedded::ensure_sound_weights;
use super::pool::Pool;
use super::{Dim, INPUT, Runtime, Session, Tensor};
use crate::error::Error;
use crate::models::Model;

/// The ONNX Runtime of this process. The library cannot be unloaded or exchanged once it is
/// there, so what was loaded first stays.
static LOADED: OnceCell<Loaded> = OnceCell::new();
const NEEDED: &str = "version 1.17 or newer is needed";

/// Where the library is that `ort` was first given. It keeps that one, whatever becomes of it.
static FIRST: OnceCell<PathBuf> = OnceCell::new();

struct Loaded {
    version: String,
    environment: Environment,
}

/// ONNX Runtime.
pub(super) struct OnnxRuntime(&'static Loaded);

impl OnnxRuntime {
    /// Loads the library at `path`, or uses it where this process has loaded it before.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let path = resolve(path)?;
        let loaded = LOADED.get_or_try_init(|| {
            let version = version(&path)?;
            claim(&path)?;
            load(version, &path)
        })?;
        claim(&path)?;
        Ok(OnnxRuntime(loaded))
    }
}

/// Refuses a path once `ort` was given another.
fn claim(path: &Path) -> Result<(), Error> {
    let first = FIRST.get_or_init(|| path.to_path_buf());
    if first != path {
        return Err(Error::internal(format!(
            "this process has loaded the ONNX Runtime at {} and cannot load another from {}; use one path in all configurations",
            first.display(),
            path.display()
        )));
    }
    Ok(())
}

/// The absolute path of a regular file. A bare name would be searched for by the dynamic linker,
/// in places that others may write to.
fn resolve(path: &Path) -> Result<PathBuf, Error> {
    let cure = "give the full path of libonnxruntime";
    let resolved = path.canonicalize().map_err(|error| {
        Error::internal(format!(
            "no ONNX Runtime at {}: {error}; {cure}",
            path.display()
        ))
    })?;
    if !resolved.is_file() {
        return Err(Error::internal(format!(
            "no ONNX Runtime at {}: not a regular file; {cure}",
            path.display()
        )));
    }
    Ok(resolved)
}

fn load(version: String, path: &Path) -> Result<Loaded, Error> {
    stay_loaded();
    let fault = |error: &dyn std::fmt::Display| {
        Error::internal(format!(
            "the ONNX Runtime at {} cannot be loaded: {error}; {NEEDED}",
            path.display()
        ))
    };
    let environment = ort::init_from(path)
        .map_err(|error| fault(&error))?
        .with_name("liveness")
        .with_telemetry(false)
        // A library inside other people's processes does not write to their standard error.
        .with_logger(Arc::new(
            |_: LogLevel, _: &str, _: &str, _: &str, _: &str| {},
        ))
        .build()
        .map_err(|error| fault(&error))?;
    Ok(Loaded {
        version,
        environment,
    })
}

/// Keeps the shared library that this code is part of in the process, whoever calls `dlclose`: ONNX
/// Runtime cannot be unloaded itself, and goes on to call the logger that it got from here.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
#[allow(unsafe_code)]
fn stay_loaded() {
    static HERE: u8 = 0;
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr looks an address up and fills the struct that it gets; all zero is one, too.
    let file = unsafe {
        libc::dladdr((&raw const HERE).cast(), found.as_mut_ptr());
        found.assume_init().dli_fname
    };
    if !file.is_null() {
        // SAFETY: a name from dladdr ends with a NUL. The library is there, so that nothing is loaded
        // and no code of it runs; it is only marked. Where this code is part of a program the call
        // fails, and there is nothing to be kept.
        unsafe {
            libc::dlopen(
                file,
                libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE,
            )
        };
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos")))]
fn stay_loaded() {}

/// Asks the library for its version, and whether it has what is needed, before anything else is done with it.
#[allow(unsafe_code)]
fn version(path: &Path) -> Result<String, Error> {
    let fault = |cause: &dyn std::fmt::Display| {
        Error::internal(format!(
            "the file at {} is not a usable ONNX Runtime: {cause}",
            path.display()
        ))
    };
    // SAFETY: loading a library runs its initialisers. The caller named this very file as the
    // ONNX Runtime to use, and it is not searched for.
    let library =
        unsafe { libloading::Library::new(path) }.map_err(|error| fault(&causes(&error)))?;
    type GetApiBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: every ONNX Runtime exports this function with this type.
    let get_api_base = unsafe { library.get::<GetApiBase>(b"OrtGetApiBase\0") }
        .map_err(|error| fault(&causes(&error)))?;
    // SAFETY: the function takes nothing, and its answer is static or null.
    let base =
        unsafe { get_api_base().as_ref() }.ok_or_else(|| fault(&"OrtGetApiBase gave nothing"))?;
    // SAFETY: the function takes nothing and gives a static string that ends with a NUL.
    let version = unsafe { std::ffi::CStr::from_ptr((base.GetVersionString)()) };
    // SAFETY: the function takes a number and gives a static table, or null where it has none of that version.
    if unsafe { (base.GetApi)(ort::sys::ORT_API_VERSION) }.is_null() {
        return Err(fault(&format_args!(
            "it is of version {}, and {NEEDED}",
            version.to_string_lossy()
        )));
    }
    Ok(version.to_string_lossy().into_owned())
}

/// An error and what it came from: the system's loader says only in the latter what is missing.
fn causes(error: &libloading::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

impl Runtime for OnnxRuntime {
    fn name(&self) -> String {
        format!("onnxruntime {}", self.0.version)
    }

    fn load(&self, model: &Model) -> Result<Box<dyn Session>, String> {
        // ONNX Runtime minds neither.
        ensure_sound_weights(&model.bytes)?;
        let session = OrtSession {
            environment: self.0.environment.clone(),
            model: model.bytes.clone(),
            weights: PrepackedWeights::new(),
            // More calls than cores slow each other down, but a session costs too much to make one for each of their calls.
            idle: Pool::of_cores(4),
        };
        session.idle.with(|| session.create(), |_| Ok(()))?;
        Ok(Box::new(session))
    }
}

/// A network. One `ort` session serves one call at a time, so there are as many as calls at once.
struct OrtSession {
    environment: Environment,
    model: Cow<'static, [u8]>,
    weights: PrepackedWeights,
    idle: Pool<ort::session::Session>,
}

impl OrtSession {
    fn create(&self) -> Result<ort::session::Session, String> {
        self.builder()
            .and_then(|mut builder| builder.commit_from_memory(&self.model))
            .map_err(|error| error.to_string())
    }

    fn builder(&self) -> Result<SessionBuilder, ort::Error> {
        Ok(SessionBuilder::new(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_prepacked_weights(&self.weights)?)
    }

    fn with<R>(
        &self,
        work: impl FnOnce(&mut ort::session::Session) -> Result<R, String>,
    ) -> Result<R, String> {
        self.idle.with(|| self.create(), work)
    }
}

impl Session for OrtSession {
    fn inputs(&self) -> Vec<(String, Vec<Dim>)> {
        self.with(|session| {
            Ok(session
                .inputs()
                .iter()
                .map(|input| (input.name().to_string(), dims(input.dtype())))
                .collect())
        })
        .unwrap_or_default()
    }

    fn outputs(&self) -> Vec<String> {
        self.with(|session| {
            Ok(session
                .outputs()
                .iter()
                .map(|output| output.name().to_string())
                .collect())
        })
        .unwrap_or_default()
    }

    fn run(&self, input: &Tensor, outputs: &[&str]) -> Result<Vec<Tensor>, String> {
        let view = TensorRef::from_array_view((input.shape.as_slice(), input.data.as_slice()))
            .map_err(|error| error.to_string())?;
        self.with(|session| {
            let values = session
                .run(ort::inputs![INPUT => view])
                .map_err(|error| error.to_string())?;
            outputs.iter().map(|name| tensor(&values, name)).collect()
        })
    }
}

fn tensor(values: &ort::session::SessionOutputs<'_>, name: &str) -> Result<Tensor, String> {
    let value = values
        .get(name)
        .ok_or_else(|| format!("there is no output named '{name}'"))?;
    let (shape, data) = value
        .try_extract_tensor::<f32>()
        .map_err(|error| error.to_string())?;
    let shape = shape
        .iter()
        .map(|size| usize::try_from(*size))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    Ok(Tensor {
        shape,
        data: data.to_vec(),
    })
}

fn dims(kind: &ValueType) -> Vec<Dim> {
    kind.tensor_shape()
        .map(|shape| {
            shape
                .iter()
                .map(|size| usize::try_from(*size).ok())
                .collect()
        })
        .unwrap_or_default()
}
