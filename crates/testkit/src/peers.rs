//! Others' DICOM nodes that take what Hilum delivers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::answer::Api;
use crate::tools::wait_until;

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

fn start(command: &mut Command) -> Child {
    let program = command.get_program().to_owned();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "{} did not start ({error}): run `make test-deps`",
                program.display()
            )
        })
}

/// dcmtk's `storescp`.
pub struct Storescp {
    address: SocketAddr,
    folder: TempDir,
    child: Option<Child>,
}

impl Storescp {
    /// A place for one that does not listen yet.
    #[must_use]
    pub fn down() -> Self {
        Self {
            address: free_address(),
            folder: tempfile::tempdir().unwrap(),
            child: None,
        }
    }

    /// One that listens.
    #[must_use]
    pub fn up() -> Self {
        let mut peer = Self::down();
        peer.comes_up();
        peer
    }

    /// Begins to listen.
    pub fn comes_up(&mut self) {
        let mut command = Command::new("storescp");
        command
            .args(["--fork", "-aet", "PACS", "-od"])
            .arg(self.folder.path())
            .arg(self.address.port().to_string());
        self.child = Some(start(&mut command));
        wait_until("storescp listens", 20, || {
            TcpStream::connect(self.address).ok()
        });
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has received: `SEGMENTATION…` and `SR…` files.
    #[must_use]
    pub fn received(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files
    }
}

impl Drop for Storescp {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

/// A private Orthanc, AE title ORTHANC.
pub struct Orthanc {
    dicom: SocketAddr,
    http: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Orthanc {
    /// One that listens.
    #[must_use]
    pub fn up() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (dicom, http) = (free_address(), free_address());
        let config = json!({
            "StorageDirectory": folder.path().join("storage"),
            "IndexDirectory": folder.path().join("index"),
            "DicomAet": "ORTHANC",
            "DicomPort": dicom.port(),
            "HttpPort": http.port(),
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false,
            "DicomAlwaysAllowStore": true,
            "Plugins": [],
        });
        let path = folder.path().join("orthanc.json");
        std::fs::write(&path, config.to_string()).unwrap();
        let child = start(Command::new("Orthanc").arg(path));
        let peer = Self {
            dicom,
            http,
            child,
            _folder: folder,
        };
        wait_until("Orthanc listens", 30, || {
            Api(http)
                .try_get("/system")
                .filter(|answer| answer.status == 200)
        });
        peer
    }

    /// Its DICOM door.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.dicom
    }

    /// Modalities of everything it has received, sorted.
    #[must_use]
    pub fn modalities(&self) -> Vec<String> {
        let series = Api(self.http).get("/series?expand").json();
        let mut all: Vec<String> = series
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|series| series["MainDicomTags"]["Modality"].as_str())
            .map(ToOwned::to_owned)
            .collect();
        all.sort();
        all
    }

    /// Every DICOM tag of the instances of a modality, as Orthanc reads them.
    #[must_use]
    pub fn tags(&self, modality: &str) -> Vec<Value> {
        let api = Api(self.http);
        let series = api.get("/series?expand").json();
        series
            .as_array()
            .into_iter()
            .flatten()
            .filter(|series| series["MainDicomTags"]["Modality"] == modality)
            .filter_map(|series| series["Instances"].as_array())
            .flatten()
            .filter_map(Value::as_str)
            .map(|id| api.get(&format!("/instances/{id}/simplified-tags")).json())
            .collect()
    }
}

impl Drop for Orthanc {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
