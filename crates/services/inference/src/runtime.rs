//! ONNX Runtime, and the only place that knows it. Finds the library, keeps
//! sessions resident, and runs a network on one volume. It knows neither
//! steps nor DICOM; only a worker process loads it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ndarray::{ArcArray, ArrayView3, Ix3};
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{TensorRef, ValueType};

use crate::domain::graph::NetworkCall;
use crate::domain::graph::step::Layout;
use crate::domain::volume::Volume;
use crate::limits::SESSIONS_RESIDENT_MAX;

/// The runtime or a network can't be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RuntimeError {
    /// There is no library.
    #[error(
        "ONNX Runtime was not found. Install it with `pip install onnxruntime` into .cache/venv, or set ORT_DYLIB_PATH to libonnxruntime.so."
    )]
    NotFound,
    /// There is one, but it can't be loaded.
    #[error("ONNX Runtime could not be loaded: {0}")]
    Load(String),
    /// The ONNX file is broken, or is not what the manifest says.
    #[error("{0}")]
    Network(String),
}

/// Where the library is: `configured`, else `ORT_DYLIB_PATH`, else next to the
/// program, else in `.cache/venv` of the working directory or of a folder above the program.
#[must_use]
pub fn find_library(configured: Option<&Path>) -> Option<PathBuf> {
    let environment = std::env::var_os("ORT_DYLIB_PATH")
        .filter(|v| !v.is_empty())
        .map(PathBuf::from);
    if let Some(path) = configured.map(Path::to_path_buf).or(environment) {
        return path.is_file().then_some(path);
    }
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    let above = beside.into_iter().flat_map(Path::ancestors).take(5);
    let here = std::env::current_dir().ok();
    let roots: Vec<&Path> = above.chain(here.as_deref()).collect();
    beside
        .and_then(library_in)
        .or_else(|| beside.and_then(|b| library_in(&b.join("lib"))))
        .or_else(|| {
            roots
                .iter()
                .find_map(|root| library_in_venv(&root.join(".cache/venv")))
        })
}

fn library_in_venv(venv: &Path) -> Option<PathBuf> {
    let pythons = std::fs::read_dir(venv.join("lib")).ok()?;
    pythons
        .flatten()
        .find_map(|p| library_in(&p.path().join("site-packages/onnxruntime/capi")))
}

fn library_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let named = |p: &PathBuf| {
        let name = p.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name == "libonnxruntime.so"
            || name.starts_with("libonnxruntime.so.")
            || name == "libonnxruntime.dylib"
    };
    entries.flatten().map(|e| e.path()).filter(named).max()
}

/// The version in the library's file name, `libonnxruntime.so.1.31.1`.
#[must_use]
pub fn library_version(library: &Path) -> Option<String> {
    let name = library.file_name()?.to_str()?;
    name.strip_prefix("libonnxruntime.so.").map(str::to_owned)
}

/// The loaded runtime with its resident sessions.
pub struct Runtime {
    environment: Environment,
    threads: usize,
    sessions: HashMap<PathBuf, (u64, Session)>,
    tick: u64,
}

impl Runtime {
    /// Loads the library. `threads` for one network; 0 takes all processors.
    ///
    /// # Errors
    /// [`RuntimeError::Load`].
    pub fn load(library: &Path, threads: usize) -> Result<Self, RuntimeError> {
        let builder = ort::init_from(library).map_err(|e| RuntimeError::Load(e.to_string()))?;
        let environment = builder
            .with_name("hilum")
            .with_telemetry(false)
            .build()
            .map_err(|e| RuntimeError::Load(e.to_string()))?;
        Ok(Self {
            environment,
            threads,
            sessions: HashMap::new(),
            tick: 0,
        })
    }

    /// Runs the network in `file` on `input`.
    ///
    /// # Errors
    /// [`RuntimeError::Network`]: not loadable, other tensors than `call` names, other shapes than `input` has.
    pub fn run(
        &mut self,
        file: &Path,
        call: NetworkCall<'_>,
        input: Volume,
    ) -> Result<Volume, RuntimeError> {
        let fail = |e: ort::Error| {
            RuntimeError::Network(format!("{}: {}", call.file, first_line(&e.to_string())))
        };
        let (nx, ny, nz) = input.dim();
        let shape = |channels: usize| match call.layout {
            Layout::ChannelsFirst => [1, channels, nx, ny, nz],
            Layout::ChannelsLast => [1, nx, ny, nz, channels],
        };
        let session = self.session(file).map_err(fail)?;
        check_tensor(session.inputs(), call.tensor_in, &shape(1), call.file)?;
        check_tensor(
            session.outputs(),
            call.tensor_out,
            &shape(call.channels),
            call.file,
        )?;
        // One channel in: both layouts are the volume itself in C order.
        let input = input.as_standard_layout();
        let values = input.as_slice().unwrap_or_default();
        let tensor = TensorRef::from_array_view((shape(1), values)).map_err(fail)?;
        let outputs = session
            .run(ort::inputs![call.tensor_in => tensor])
            .map_err(fail)?;
        let output = outputs.get(call.tensor_out).ok_or_else(|| {
            RuntimeError::Network(format!("{}: no output {:?}", call.file, call.tensor_out))
        })?;
        let (found, values) = output.try_extract_tensor::<f32>().map_err(fail)?;
        let expected = shape(call.channels).map(|d| i64::try_from(d).unwrap_or(-1));
        if found.as_ref() != expected.as_slice() {
            return Err(RuntimeError::Network(format!(
                "{}: the output is not of shape {expected:?}",
                call.file
            )));
        }
        channel(values, (nx, ny, nz), call)
            .ok_or_else(|| RuntimeError::Network(format!("{}: the output is too short", call.file)))
    }

    fn session(&mut self, file: &Path) -> Result<&mut Session, ort::Error> {
        self.tick += 1;
        if !self.sessions.contains_key(file) {
            while self.sessions.len() >= SESSIONS_RESIDENT_MAX {
                let oldest = self
                    .sessions
                    .iter()
                    .min_by_key(|(_, (tick, _))| *tick)
                    .map(|(path, _)| path.clone());
                let Some(oldest) = oldest else { break };
                self.sessions.remove(&oldest);
            }
            let mut builder = Session::builder(&self.environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?;
            if self.threads > 0 {
                builder = builder.with_intra_threads(self.threads)?;
            }
            let session = builder.commit_from_file(file)?;
            self.sessions
                .insert(file.to_path_buf(), (self.tick, session));
        }
        match self.sessions.get_mut(file) {
            Some((tick, session)) => {
                *tick = self.tick;
                Ok(session)
            }
            None => Err(ort::Error::new("the session is gone")),
        }
    }
}

fn channel(values: &[f32], dims: (usize, usize, usize), call: NetworkCall<'_>) -> Option<Volume> {
    let (nx, ny, nz) = dims;
    let n = nx * ny * nz;
    let volume = match call.layout {
        Layout::ChannelsFirst => {
            let plane = values.get(call.channel * n..(call.channel + 1) * n)?;
            ArrayView3::from_shape(dims, plane)
                .ok()?
                .to_owned()
                .into_shared()
        }
        Layout::ChannelsLast => {
            let picked: Vec<f32> = values
                .iter()
                .skip(call.channel)
                .step_by(call.channels.max(1))
                .copied()
                .collect();
            ArcArray::<f32, Ix3>::from_shape_vec(dims, picked).ok()?
        }
    };
    Some(volume)
}

/// A dimension of the ONNX file that is not fixed (−1) takes any size.
fn check_tensor(
    tensors: &[ort::value::Outlet],
    name: &str,
    shape: &[usize],
    file: &str,
) -> Result<(), RuntimeError> {
    let fail = |text: String| Err(RuntimeError::Network(format!("{file}: {text}")));
    let Some(tensor) = tensors.iter().find(|t| t.name() == name) else {
        let names: Vec<&str> = tensors.iter().map(ort::value::Outlet::name).collect();
        return fail(format!("there is no tensor {name:?}, only {names:?}"));
    };
    let ValueType::Tensor {
        ty: ort::value::TensorElementType::Float32,
        shape: found,
        ..
    } = tensor.dtype()
    else {
        return fail(format!("the tensor {name:?} is not of 32-bit floats"));
    };
    let fits = found.len() == shape.len()
        && found
            .iter()
            .zip(shape)
            .all(|(&f, &s)| f < 0 || usize::try_from(f).is_ok_and(|f| f == s));
    if fits {
        Ok(())
    } else {
        fail(format!(
            "the tensor {name:?} has the shape {:?}, the manifest needs {shape:?}",
            &found[..]
        ))
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
