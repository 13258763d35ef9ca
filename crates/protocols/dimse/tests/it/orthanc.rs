//! Orthanc as acceptor and as requester.

use std::process::Child;
use std::time::Duration;

use hilum_dimse::{Client, ClientConfig, EndReason, Status, StoreOperation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::files::{data_set_bytes, meta_uid, series};
use crate::support::{EXPLICIT, MR, PATIENCE, TestServer, chunks, free_port, spawn};

struct Orthanc {
    child: Child,
    http: u16,
    dicom: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Orthanc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Orthanc {
    /// Starts one that knows our server as `hilum`.
    async fn start(server: &TestServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (http, dicom) = (free_port(), free_port());
        let storage = folder.path().join("storage");
        let config = format!(
            r#"{{"Name": "test", "StorageDirectory": {storage:?}, "IndexDirectory": {storage:?},
            "HttpPort": {http}, "DicomPort": {dicom}, "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false, "DicomAet": "ORTHANC", "DicomAlwaysAllowStore": true,
            "Plugins": [],
            "DicomModalities": {{"hilum": ["HILUM", "127.0.0.1", {}]}}}}"#,
            server.address.port()
        );
        let path = folder.path().join("orthanc.json");
        std::fs::write(&path, config).unwrap();
        let log = folder.path().join("log");
        let logfile = format!("--logfile={}", log.display());
        let child = spawn("Orthanc", &[path.to_str().unwrap(), &logfile]);
        let orthanc = Self {
            child,
            http,
            dicom,
            _folder: folder,
        };
        let end = tokio::time::Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", dicom)).await.is_err() {
            assert!(
                tokio::time::Instant::now() < end,
                "{:?}",
                std::fs::read_to_string(&log)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        orthanc
    }

    async fn http(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
        answer
    }
}

#[tokio::test]
async fn a_series_goes_to_orthanc_and_comes_back() {
    let server = TestServer::start().await;
    let orthanc = Orthanc::start(&server).await;
    let config = ClientConfig::new("ORTHANC", "HILUM").propose(MR, &[EXPLICIT]);
    let mut client = Client::connect(("127.0.0.1", orthanc.dicom), config)
        .await
        .unwrap();
    let files = series();
    for file in &files {
        let operation = StoreOperation {
            sop_class_uid: MR.to_owned(),
            sop_instance_uid: meta_uid(file, 3),
            transfer_syntax_uid: EXPLICIT.to_owned(),
        };
        let data = chunks(&data_set_bytes(file), 50_000);
        assert_eq!(
            client.c_store(&operation, data).await.unwrap().status,
            Status::SUCCESS
        );
    }
    client.release().await.unwrap();

    let list = orthanc.http("GET", "/series", "").await;
    let series_id = list.split('"').nth(1).unwrap().to_owned();
    let answer = orthanc
        .http("POST", "/modalities/hilum/store", &series_id)
        .await;
    assert!(answer.contains("\"FailedInstancesCount\" : 0"), "{answer}");
    assert_eq!(server.look(|log| log.received.len()), files.len());
    let end = server.ended(1).await;
    assert_eq!(end.counts.failed + end.counts.incomplete, 0);
    assert!(
        matches!(end.reason, EndReason::Released | EndReason::ConnectionLost),
        "{end:?}"
    );
}
