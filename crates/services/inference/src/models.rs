//! Model folders: reading a manifest, checking that its files are there, and
//! the digest that says which model a result came from. A folder that can't be
//! used is listed with its problem, and harms no other.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};

use crate::domain::graph::Graph;
use crate::domain::manifest::{FILE_NAME, Manifest, ManifestError};
use crate::limits::{MANIFEST_BYTES_MAX, MODEL_FILE_BYTES_MAX, MODEL_FILES_MAX, MODELS_MAX};

/// A model that can run.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its checked graph.
    pub graph: Graph,
    /// SHA-256 over the manifest and every file it names, hex.
    pub digest: String,
}

/// A folder of the models directory.
#[derive(Clone, Debug)]
pub enum Entry {
    /// It can run.
    Ready(Arc<Model>),
    /// It can't.
    Broken {
        /// The folder's name.
        name: String,
        /// Why, for people.
        problem: String,
    },
}

impl Model {
    /// Reads and checks one folder.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(folder: &Path) -> Result<Self, ManifestError> {
        let manifest_path = folder.join(FILE_NAME);
        let text = read_text(&manifest_path)?;
        let manifest = Manifest::parse(&text)?;
        let graph = Graph::new(&manifest)?;
        let mut files: Vec<&str> = manifest.files().collect();
        files.sort_unstable();
        files.dedup();
        if files.len() > MODEL_FILES_MAX {
            return Err(ManifestError(format!("more than {MODEL_FILES_MAX} files")));
        }
        let mut digest = Context::new(&SHA256);
        add(&mut digest, FILE_NAME, text.as_bytes());
        for file in files {
            let sum = digest_file(&folder.join(file))
                .map_err(|e| ManifestError(format!("{file}: {e}")))?;
            add(&mut digest, file, sum.as_ref());
        }
        let digest = hex(digest.finish().as_ref());
        Ok(Self {
            folder: folder.to_path_buf(),
            manifest,
            graph,
            digest,
        })
    }

    /// Name and version, as keys of results hold them.
    #[must_use]
    pub fn id(&self) -> (&str, &str) {
        (&self.manifest.model.name, &self.manifest.model.version)
    }
}

/// Every folder in `models` that holds a manifest, by name. A missing directory holds none.
#[must_use]
pub fn list(models: &Path) -> Vec<Entry> {
    let Ok(entries) = std::fs::read_dir(models) else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.join(FILE_NAME).is_file())
        .take(MODELS_MAX)
        .collect();
    folders.sort();
    let read = |folder: PathBuf| {
        let name = folder
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        match Model::load(&folder) {
            Ok(model) if model.manifest.model.name == name => Entry::Ready(Arc::new(model)),
            Ok(model) => Entry::Broken {
                problem: format!(
                    "the manifest calls it {:?}, its folder {name:?}",
                    model.manifest.model.name
                ),
                name,
            },
            Err(error) => Entry::Broken {
                name,
                problem: error.to_string(),
            },
        }
    };
    folders.into_iter().map(read).collect()
}

fn read_text(path: &Path) -> Result<String, ManifestError> {
    let fail = |e: std::io::Error| ManifestError(format!("{FILE_NAME}: {e}"));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(fail)?;
    file.take(MANIFEST_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(fail)?;
    Ok(text)
}

fn add(digest: &mut Context, name: &str, content: &[u8]) {
    for part in [name.as_bytes(), content] {
        digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
}

fn digest_file(path: &Path) -> std::io::Result<impl AsRef<[u8]> + use<>> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.len() > MODEL_FILE_BYTES_MAX {
        return Err(std::io::Error::other("the file is too large"));
    }
    let mut file = file.take(MODEL_FILE_BYTES_MAX);
    let mut digest = Context::new(&SHA256);
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(digest.finish());
        }
        digest.update(buffer.get(..n).unwrap_or_default());
    }
}

/// Bytes as lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
            let _ = write!(text, "{b:02x}");
            text
        })
}
