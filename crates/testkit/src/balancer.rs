//! `HAProxy` before an installation of several processes: it asks each at `/readyz`
//! whether it is to be led to, as load balancers do.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::answer::Api;
use crate::peers::free_address;
use crate::processes::Server;
use crate::tools::{Sent, send, storescu, wait_until};

/// A load balancer.
pub struct Balancer {
    /// Where people come.
    http: SocketAddr,
    /// Where devices come.
    dicom: SocketAddr,
    /// Where neighbours ask Imaging.
    pub(crate) neighbours: SocketAddr,
    _server: Server,
    _folder: TempDir,
}

/// Who notices within half a second that somebody leaves, waits for whoever comes back, and
/// takes nobody for gone who is busy for a moment.
const DEFAULTS: &str = "defaults
  timeout connect 5s
  timeout client 90s
  timeout server 90s
  timeout queue 30s
  timeout check 2s
  retries 10
  option redispatch 1
  option httpchk GET /readyz
  http-check expect status 200
  default-server check inter 200ms fall 2 rise 1
";

impl Balancer {
    /// Leads to these doors of HTTP, and to these of DICOM and for neighbours, each with
    /// the door of HTTP of its process.
    pub(crate) fn before(
        http: Vec<SocketAddr>,
        dicom: [(SocketAddr, SocketAddr); 2],
        neighbours: [(SocketAddr, SocketAddr); 2],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = [(); 3].map(|()| free_address());
        let ways = [
            (
                "http",
                "http",
                http.into_iter().map(|at| (at, at)).collect(),
            ),
            ("dicom", "tcp", dicom.to_vec()),
            ("neighbours", "tcp", neighbours.to_vec()),
        ];
        let mut config = DEFAULTS.to_owned();
        for ((name, mode, servers), at) in ways.iter().zip(at) {
            config += &format!("listen {name}\n  mode {mode}\n  bind {at}\n");
            for (number, (server, ready)) in servers.iter().enumerate() {
                config += &format!(
                    "  server {name}-{number} {server} addr {} port {}\n",
                    ready.ip(),
                    ready.port()
                );
            }
        }
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, config).unwrap();
        let launch = move || {
            let mut haproxy = Command::new("haproxy");
            haproxy.args(["-db", "-q", "-f"]).arg(&file);
            haproxy
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            haproxy
        };
        let server = Server::start(launch, Signal::TERM);
        let [http, dicom, neighbours] = at;
        wait_until("HAProxy listens", 20, || TcpStream::connect(http).ok());
        Self {
            http,
            dicom,
            neighbours,
            _server: server,
            _folder: folder,
        }
    }

    /// Sends files over DICOM to a tenant.
    #[must_use]
    pub fn sends(&self, ae_title: &str, files: &[PathBuf]) -> Sent {
        send(storescu(self.dicom, ae_title, &[]).args(files))
    }

    /// The door of HTTP.
    #[must_use]
    pub fn api(&self) -> Api {
        Api(self.http)
    }
}
