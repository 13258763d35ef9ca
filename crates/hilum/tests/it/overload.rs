//! One tenant that takes all it can leaves room for another.

use std::io::Write as _;
use std::net::TcpStream;

use hilum_contracts::access::Role;
use hilum_testkit::{As, python, run, wait_until};

use crate::hilum;
use crate::isolation::key;

/// Opens associations of one tenant until one is rejected, and then one of another;
/// prints how many, the words of the rejection, and what became of the others.
const HOLDS_ASSOCIATIONS: &str = r#"
import sys
import time
from pynetdicom import AE

entity = AE("PYNETDICOM")
entity.add_requested_context("1.2.840.10008.1.1")
opened = lambda called: entity.associate("127.0.0.1", int(sys.argv[1]), ae_title=called)
held = []
while (one := opened("HILUM_A")).is_established:
    held.append(one)
said = one.acceptor.primitive
other = opened("HILUM_B")
held.pop().release()
# Hilum counts it out when the connection has ended, a moment after.
for _ in range(50):
    again = opened("HILUM_A")
    if again.is_established:
        break
    time.sleep(0.1)
print(len(held) + 1, said.result, said.result_source, said.diagnostic, other.is_established, again.is_established)
for one in [*held, other, again]:
    one.release()
"#;

#[test]
fn one_tenant_s_associations_leave_room_for_another_s() {
    let hilum = hilum().with_setting("max_associations", 8).start();
    let held = run(python()
        .args(["-c", HOLDS_ASSOCIATIONS])
        .arg(hilum.dicom().port().to_string()));
    let said = String::from_utf8_lossy(&held.stdout);
    // Rejected (transient), by the provider (presentation): local limit exceeded
    // (PS3.8 §9.3.4).
    assert_eq!(said.trim(), "6 2 3 2 True True", "{held:?}");
    hilum.is_well();
}

#[test]
fn one_tenant_s_requests_that_never_end_leave_room_for_another_s() {
    let hilum = hilum().with_setting("max_requests", 8).start();
    let [of_a, of_b] = ["a", "b"].map(|tenant| key(&hilum, tenant, Role::Integration));
    let address = hilum.api().0;
    let begun = || {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "POST /dicomweb/studies HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {of_a}\r\n\
             Content-Type: multipart/related; type=\"application/dicom\"; boundary=x\r\n\
             Content-Length: 1000000\r\n\r\n--x\r\n"
        )
        .unwrap();
        stream
    };
    let ask = |key: &str| {
        hilum
            .api()
            .send("GET", "/dicomweb/studies", As::Key(key), None)
    };
    let mut held = Vec::new();
    let refused = wait_until("no place is left for one more", 10, || {
        held.push(begun());
        let answer = ask(&of_a);
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(refused.retry_after, Some(1), "{}", refused.text());
    assert!(ask(&of_b).status < 300);
    hilum.is_well();
    drop(held);
    wait_until("the places are free again", 10, || {
        (ask(&of_a).status < 300).then_some(())
    });
}
