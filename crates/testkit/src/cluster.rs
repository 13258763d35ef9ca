//! The real binary as several processes, one for each service, on one machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::answer::Api;
use crate::authority::Authority;
use crate::balancer::Balancer;
use crate::models::put_fast_model;
use crate::peers::free_address;
use crate::processes;
use crate::rabbitmq::RabbitMq;
use crate::relay::{Behind, Relay};
use crate::series::Series;
use crate::tools::{run, send, storescu, wait_until};

/// Every service, in the order in which they are started.
pub const SERVICES: [&str; 6] = [
    "audit",
    "integration",
    "inference",
    "patients",
    "identity",
    "imaging",
];

/// An installation of several processes. They are ended when this is dropped.
pub struct Cluster {
    /// The broker between its processes.
    pub broker: RabbitMq,
    /// The way to it.
    broker_way: Option<Relay>,
    /// What people and devices come to, where there is one.
    pub balancer: Option<Balancer>,
    binary: PathBuf,
    folder: TempDir,
    members: BTreeMap<&'static str, Member>,
}

struct Member {
    /// What its data folder and its log are called.
    name: String,
    at: Doors,
    /// Of the process that stands by.
    spare_at: Doors,
    ways: Option<Ways>,
    process: Option<Process>,
}

/// A process that stands by until the one of its service ends.
pub struct Spare {
    service: &'static str,
    name: String,
    /// None: it took over.
    child: Option<Child>,
}

impl Drop for Spare {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

/// Where a process listens; port 0 takes any.
#[derive(Clone, Copy)]
struct Doors {
    http: SocketAddr,
    dicom: SocketAddr,
    neighbours: SocketAddr,
}

impl Doors {
    fn chosen() -> Self {
        Self {
            http: free_address(),
            dicom: free_address(),
            neighbours: free_address(),
        }
    }

    /// Where only neighbours have to know it before.
    fn any() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            http: any,
            dicom: any,
            neighbours: free_address(),
        }
    }
}

/// What stands between the processes and who comes to them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Relays,
    Balancer,
}

/// Relays before the doors of a process.
struct Ways {
    neighbours: Relay,
    http: Relay,
    dicom: Relay,
}

struct Process {
    child: Child,
    http: SocketAddr,
    dicom: Option<SocketAddr>,
}

impl Cluster {
    /// Each service in a process of its own, with the tenants of a test, the fast
    /// model, and `settings` besides (TOML). They are not started.
    #[must_use]
    pub fn new(binary: &str, settings: &str) -> Self {
        Self::laid_out(binary, settings, Before::Nothing)
    }

    /// The same behind a load balancer, which leads each request to a process that is
    /// ready, and what is for Imaging to the one of its two that is.
    #[must_use]
    pub fn behind_balancer(binary: &str, settings: &str) -> Self {
        Self::laid_out(binary, settings, Before::Balancer)
    }

    /// The same, with a relay before each process and before the broker, so that
    /// they can be cut off and slowed.
    #[must_use]
    pub fn over_relays(binary: &str, settings: &str) -> Self {
        Self::laid_out(binary, settings, Before::Relays)
    }

    fn laid_out(binary: &str, settings: &str, before: Before) -> Self {
        let over_relays = before == Before::Relays;
        let (folder, broker) = (tempfile::tempdir().unwrap(), RabbitMq::up());
        let broker_way = over_relays.then(|| Relay::to(Behind::Tcp(broker.address())));
        let amqp = match &broker_way {
            Some(way) => RabbitMq::amqp_at(way.address()),
            None => broker.amqp(),
        };
        let authority = Authority::new(folder.path());
        let models = folder.path().join("models");
        std::fs::create_dir_all(&models).unwrap();
        put_fast_model(&models);
        let mut members = BTreeMap::new();
        for service in SERVICES {
            let (at, spare_at) = match before {
                Before::Nothing => (Doors::any(), Doors::any()),
                Before::Relays | Before::Balancer => (Doors::chosen(), Doors::chosen()),
            };
            let ways = over_relays.then(|| Ways {
                neighbours: Relay::to(Behind::Tcp(at.neighbours)),
                http: Relay::new(),
                dicom: Relay::new(),
            });
            let member = Member {
                name: service.to_owned(),
                at,
                spare_at,
                ways,
                process: None,
            };
            members.insert(service, member);
        }
        let balancer = (before == Before::Balancer).then(|| balancer(&members));
        let mut at = String::new();
        for (service, member) in &members {
            let asked = match (&balancer, &member.ways) {
                (Some(balancer), _) if *service == "imaging" => balancer.neighbours,
                (_, Some(ways)) => ways.neighbours.address(),
                _ => member.at.neighbours,
            };
            at += &format!("{service} = \"https://{asked}\"\n");
        }
        let tls = authority.vouches_for("own");
        let config = format!(
            "quiet_seconds = 0.4\n\
             tenants = [{{ name = \"a\", ae_title = \"HILUM_A\" }}, {{ name = \"b\", ae_title = \"HILUM_B\" }}]\n\
             {settings}\n\
             bus = {{ amqp = {amqp:?} }}\n\
             [neighbours]\nlisten = \"127.0.0.1:0\"\ncertificate = {:?}\nkey = {:?}\nca = {:?}\n\
             [neighbours.at]\n{at}",
            tls.certificate,
            tls.key,
            authority.certificate()
        );
        std::fs::write(folder.path().join("hilum.toml"), config).unwrap();
        Self {
            broker,
            broker_way,
            balancer,
            binary: PathBuf::from(binary),
            folder,
            members,
        }
    }

    /// Tenant `a`'s results go to `address`.
    #[must_use]
    pub fn delivering_to(self, address: SocketAddr) -> Self {
        let file = self.folder.path().join("hilum.toml");
        let config = std::fs::read_to_string(&file).unwrap();
        let destination = format!(
            "\n[[destinations]]\nname = \"pacs\"\ntenant = \"a\"\nae_title = \"PACS\"\naddress = \"{address}\"\n"
        );
        std::fs::write(file, config + &destination).unwrap();
        self
    }

    /// Starts every service; when this returns all of them are ready.
    #[must_use]
    pub fn started(mut self) -> Self {
        let children = SERVICES.map(|service| (service, self.launch(service)));
        for (service, child) in children {
            self.ready(service, child);
        }
        self
    }

    /// The HTTP door of a service's process.
    #[must_use]
    pub fn api(&self, service: &str) -> Api {
        match &self.members[service].ways {
            Some(ways) => Api(ways.http.address()),
            None => Api(self.process(service).http),
        }
    }

    /// The DICOM door.
    #[must_use]
    pub fn dicom(&self) -> SocketAddr {
        match &self.members["imaging"].ways {
            Some(ways) => ways.dicom.address(),
            None => self.process("imaging").dicom.unwrap(),
        }
    }

    /// Every way to a service's process, where there are relays.
    #[must_use]
    pub fn ways_to(&self, service: &str) -> Vec<&Relay> {
        let ways = self.members[service].ways.as_ref();
        ways.map_or_else(Vec::new, |ways| {
            vec![&ways.neighbours, &ways.http, &ways.dicom]
        })
    }

    /// The way to the broker, where there are relays.
    #[must_use]
    pub fn way_to_broker(&self) -> Option<&Relay> {
        self.broker_way.as_ref()
    }

    /// The folder of its models.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    /// Runs a command of the binary on the data of a service that does not run.
    #[must_use]
    pub fn command(&self, service: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--config");
        command.arg(self.folder.path().join("hilum.toml"));
        run(command.arg("--data").arg(self.data(service)))
    }

    /// Sends a series to tenant `a`; all of it must be acknowledged.
    pub fn takes(&self, series: &Series) {
        let mut command = storescu(self.dicom(), "HILUM_A", &[]);
        let sent = send(command.args(series.files()));
        assert!(sent.accepted, "{}", sent.output);
    }

    /// What a process has logged.
    #[must_use]
    pub fn log(&self, service: &str) -> String {
        std::fs::read_to_string(self.log_path(service)).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(&mut self, service: &str) {
        let member = self.members.get_mut(service).unwrap();
        let mut process = member.process.take().unwrap();
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }

    /// The processes that are started from now on are of this binary.
    pub fn runs_from(&mut self, binary: &str) {
        self.binary = PathBuf::from(binary);
    }

    /// Started again on the same data.
    pub fn start(&mut self, service: &'static str) {
        let child = self.launch(service);
        self.ready(service, child);
    }

    /// SIGSTOP: it takes connections and answers nothing.
    pub fn freeze(&self, service: &str) {
        processes::freeze(self.process(service).child.id());
    }

    /// SIGCONT.
    pub fn thaw(&self, service: &str) {
        self.signal(service, Signal::CONT);
    }

    fn signal(&self, service: &str, signal: Signal) {
        let id = i32::try_from(self.process(service).child.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    fn process(&self, service: &str) -> &Process {
        let process = self.members[service].process.as_ref();
        process.unwrap_or_else(|| panic!("{service} does not run"))
    }

    /// SIGTERM; returns when it has ended.
    pub fn terminate(&mut self, service: &str) {
        self.signal(service, Signal::TERM);
        let member = self.members.get_mut(service).unwrap();
        let mut process = member.process.take().unwrap();
        assert!(process.child.wait().unwrap().success());
    }

    /// Another process of a service, on a data folder of its own, which stands by as
    /// long as the one that runs does. For a cluster over relays or behind a balancer.
    #[must_use]
    pub fn stands_by(&self, service: &'static str) -> Spare {
        let of = &self.members[service].name;
        let name = match of.strip_suffix("-spare") {
            Some(first) => first.to_owned(),
            None => format!("{of}-spare"),
        };
        // It has to be given the master key: no other file of the first one's.
        let key = "keys/master.key";
        let to = self.folder.path().join(&name).join(key);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(self.data(service).join(key), to).unwrap();
        let at = &self.members[service].spare_at;
        let child = self.launch_as(service, &name, at);
        wait_until("it stands by", 60, || {
            let said = Api(at.http).try_get("/readyz")?;
            (said.status == 503 && said.text() == "standing by\n").then_some(())
        });
        Spare {
            service,
            name,
            child: Some(child),
        }
    }

    /// Waits until a process that stood by has taken over, and leads everybody there,
    /// as a load balancer does.
    pub fn is_followed_by(&mut self, mut spare: Spare) {
        let member = self.members.get_mut(spare.service).unwrap();
        member.name = std::mem::take(&mut spare.name);
        std::mem::swap(&mut member.at, &mut member.spare_at);
        if let Some(ways) = &member.ways {
            ways.neighbours.leads_to(Behind::Tcp(member.at.neighbours));
        }
        let child = spare.child.take().unwrap();
        self.ready(spare.service, child);
    }

    fn log_path(&self, service: &str) -> PathBuf {
        let name = &self.members[service].name;
        self.folder.path().join(format!("{name}.log"))
    }

    fn data(&self, service: &str) -> PathBuf {
        self.folder.path().join(&self.members[service].name)
    }

    fn launch(&self, service: &'static str) -> Child {
        let member = &self.members[service];
        self.launch_as(service, &member.name, &member.at)
    }

    fn launch_as(&self, service: &'static str, name: &str, doors: &Doors) -> Child {
        let data = self.folder.path().join(name);
        std::fs::create_dir_all(&data).unwrap();
        let _none = std::fs::remove_file(data.join("run.json"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join(format!("{name}.log")))
            .unwrap();
        let at = |name: &str| self.folder.path().join(name);
        Command::new(&self.binary)
            .args(["serve", "--services", service])
            .args(["--http", &doors.http.to_string()])
            .args(["--dicom", &doors.dicom.to_string()])
            .args(["--neighbours", &doors.neighbours.to_string()])
            .arg("--config")
            .arg(at("hilum.toml"))
            .arg("--models")
            .arg(at("models"))
            .arg("--data")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the hilum binary starts")
    }

    fn ready(&mut self, service: &'static str, mut child: Child) {
        let run_file = self.data(service).join("run.json");
        let (http, dicom) = wait_until(&format!("{service} is ready"), 60, || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{service} ended at once ({status}): {}", self.log(service));
            }
            addresses(&run_file)
        });
        let member = self.members.get_mut(service).unwrap();
        if let Some(ways) = &member.ways {
            ways.http.leads_to(Behind::Tcp(http));
            let through = Api(ways.http.address());
            through.knows_operator(&Api(http).operator_token());
            if let Some(dicom) = dicom {
                ways.dicom.leads_to(Behind::Tcp(dicom));
            }
        }
        member.process = Some(Process { child, http, dicom });
    }
}

/// One that leads HTTP to any of the processes, and what is for Imaging to the one of
/// its two that is ready.
fn balancer(members: &BTreeMap<&'static str, Member>) -> Balancer {
    let imaging = &members["imaging"];
    let pair = [imaging.at, imaging.spare_at];
    let all = members.values().map(|member| member.at);
    let all = all.chain([imaging.spare_at]);
    Balancer::before(
        all.map(|doors| doors.http).collect(),
        pair.map(|doors| (doors.dicom, doors.http)),
        pair.map(|doors| (doors.neighbours, doors.http)),
    )
}

fn addresses(run_file: &Path) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let file: Value = serde_json::from_slice(&std::fs::read(run_file).ok()?).ok()?;
    let address = |door: &str| file[door].as_str()?.parse::<SocketAddr>().ok();
    let http = address("http")?;
    Api(http).knows_operator(file["operator_token"].as_str()?);
    let ready = Api(http).try_get("/readyz")?.status == 200;
    ready.then_some((http, address("dicom")))
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        for (service, member) in &mut self.members {
            let Some(process) = &mut member.process else {
                continue;
            };
            let _ended = process.child.kill();
            let _status = process.child.wait();
            if failed {
                let path = self.folder.path().join(format!("{}.log", member.name));
                let log = std::fs::read_to_string(path).unwrap_or_default();
                let tail: Vec<_> = log.lines().rev().take(15).collect();
                for line in tail.into_iter().rev() {
                    crate::hilum::println_line(&format!("{service}: {line}"));
                }
            }
        }
    }
}
