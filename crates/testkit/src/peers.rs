//! Others' DICOM nodes that take what Hilum delivers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::answer::Api;
use crate::tools::wait_until;

/// An address that nobody listens on. Below the ports that the kernel gives to
/// connections (32768 and up), so that none takes it before it is listened on.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        let port = fastrand::u16(10_000..30_000);
        if let Ok(free) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return free.local_addr().unwrap();
        }
    }
}

pub(crate) fn start(command: &mut Command) -> Child {
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

    /// One that takes CT images and nothing else.
    #[must_use]
    pub fn up_for_ct_only() -> Self {
        let mut peer = Self::down();
        let config = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&config, CT_ONLY).unwrap();
        let file = config.path().to_str().unwrap();
        peer.listens(&["-xf", file, "CtOnly"]);
        peer
    }

    /// One that takes associations over TLS only, with its certificate and key,
    /// from who shows the `trusted` certificate.
    #[must_use]
    pub fn up_over_tls(certificate: &Path, key: &Path, trusted: &Path) -> Self {
        let mut peer = Self::down();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (key, certificate, trusted) = (text(key), text(certificate), text(trusted));
        peer.listens(&["+tls", &key, &certificate, "+cf", &trusted]);
        peer
    }

    /// Begins to listen, for everything, also when it did for less.
    pub fn comes_up(&mut self) {
        self.goes_down();
        self.listens(&[]);
    }

    fn listens(&mut self, arguments: &[&str]) {
        let mut command = Command::new("storescp");
        command
            .args(["--fork", "-aet", "PACS"])
            .args(arguments)
            .arg("-od")
            .arg(self.folder.path())
            .arg(self.address.port().to_string());
        self.child = Some(start(&mut command));
        wait_until("storescp listens", 20, || {
            TcpStream::connect(self.address).ok()
        });
    }

    fn goes_down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended = child.kill();
            let _status = child.wait();
        }
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
        self.goes_down();
    }
}

/// dcmtk's association negotiation profile (asconfig.txt).
const CT_ONLY: &str = "[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Ct]
PresentationContext1 = CTImageStorage\\Uncompressed
[[Profiles]]
[CtOnly]
PresentationContexts = Ct
";

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
        Self::up_with(&json!({ "Plugins": [] }))
    }

    /// One that listens, with these settings too, and DICOMweb unless they name
    /// other plugins.
    #[must_use]
    pub fn up_with(settings: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (dicom, http) = (free_address(), free_address());
        let mut config = json!({
            "StorageDirectory": folder.path().join("storage"),
            "IndexDirectory": folder.path().join("index"),
            "DicomAet": "ORTHANC",
            "DicomPort": dicom.port(),
            "HttpPort": http.port(),
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false,
            "DicomAlwaysAllowStore": true,
            "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        });
        for (name, value) in settings.as_object().unwrap() {
            config[name] = value.clone();
        }
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

    /// Its REST API.
    #[must_use]
    pub fn api(&self) -> Api {
        Api(self.http)
    }

    /// Puts files of one study into it; what it calls the study.
    #[must_use]
    pub fn takes(&self, files: &[PathBuf]) -> String {
        let mut study = String::new();
        for file in files {
            let answer = self.api().post_bytes(
                "/instances",
                "application/dicom",
                std::fs::read(file).unwrap(),
            );
            assert_eq!(answer.status, 200, "{}", answer.text());
            study = answer.json()["ParentStudy"].as_str().unwrap().to_owned();
        }
        study
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
