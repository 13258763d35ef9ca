//! Everything that a neighbour asks.

use std::fmt::Debug;

use axum::body::Bytes;
use futures::TryStreamExt as _;
use hilum_contracts::audit::{Act, Outcome, Subject};
use hilum_contracts::erasure::{EndsTenants as _, Forgets as _};
use hilum_contracts::export::Exports as _;
use hilum_contracts::identity::{DeviceAsks, Identity as _, Names};
use hilum_contracts::ids::{ApiKeyId, CorrelationId, InputSetId, PersonId, RunId};
use hilum_contracts::imaging::{Imaging as _, ResultInstance, ResultSet};
use hilum_contracts::patients::Patients as _;
use hilum_platform::audit::{AuditSource as _, Filter, Find, TellsAll as _, TenantKeys as _};
use hilum_platform::clock;
use hilum_platform::events::DeadLetters;
use hilum_platform::jobs::{Jobs, State};
use hilum_platform::passes::Passes;
use hilum_platform::remote::audit::RemoteTrail;
use hilum_platform::remote::identity::RemoteIdentity;
use hilum_platform::remote::imaging::RemoteImaging;
use hilum_platform::remote::keys::RemoteKeys;
use hilum_platform::remote::member::{Ready as _, RemoteInbox, RemoteMember};
use hilum_platform::remote::patients::RemotePatients;
use hilum_platform::remote::{Neighbour, directory};
use hilum_platform::tenants::Directory;
use tokio_util::sync::CancellationToken;

use super::values::{ID, entry, scope, subjects};
use crate::tenant;

/// Asks everything, and writes down what was understood.
pub(super) async fn asks_everything(to: &Neighbour) -> Vec<String> {
    let (mut heard, scope) = (Vec::new(), scope());
    let mut hear = |what: &str, told: &dyn Debug| heard.push(format!("{what}: {told:?}"));
    macro_rules! ask {
        ($($what:literal => $asked:expr;)*) => { $(hear($what, &$asked.await.unwrap());)* };
    }
    let uids = ["1.2.3.1".to_owned()];
    let remote = RemoteImaging(to.clone());
    let results = ResultSet {
        run: RunId(ID),
        key: "key".to_owned(),
        study_uid: "1.2".to_owned(),
        model: "brain 1.0".to_owned(),
        correlation_id: CorrelationId(ID),
        instances: vec![ResultInstance {
            data_set: Bytes::from_static(b"0123456"),
        }],
    };
    let data_set = async {
        let pieces = remote.data_set(&scope, "1.2.3.1").await?;
        pieces.try_collect::<Vec<_>>().await
    };
    ask! {
        "input-set" => remote.input_set(&scope, InputSetId(ID));
        "data-set" => data_set;
        "instances" => remote.instances(&scope, &uids);
        "publish-results" => remote.publish_results(&scope, results);
    }
    let remote = RemotePatients(to.clone());
    ask! { "state-of-study" => remote.state_of_study(&scope, "1.2"); }

    let remote = RemoteIdentity::new(
        to.clone(),
        Directory::default(),
        Passes::new(clock::system(), None),
    );
    let from = Some([192, 0, 2, 7].into());
    let asks = |calling: &str| DeviceAsks {
        called: "HILUM".to_owned(),
        calling: calling.to_owned(),
        peer: [192, 0, 2, 7].into(),
        certificate_sha256: Some([7; 32]),
    };
    let (known_device, nobody) = (asks("MR1"), asks("NOBODY"));
    ask! {
        "session" => remote.session("token", from);
        "api-key" => remote.api_key("hk_1_2", from);
        "device" => remote.device(&known_device);
        "is-still" => remote.is_still(&scope);
        "people" => remote.people(&scope, &[PersonId(ID)]);
        "keys" => Names::keys(&remote, &scope, &[ApiKeyId(ID)]);
    }
    let _rejected = remote.device(&nobody).await.unwrap();
    hear("directory", &told_of_tenants(to).await);

    let remote = RemoteKeys::new(to.clone());
    let tenant = tenant();
    let derived = async {
        remote
            .derive(&tenant, "purpose")
            .await
            .map(|key| key.to_vec())
    };
    ask! { "derive" => derived; }

    let remote = RemoteTrail::new(to.clone(), "imaging");
    let filter = Filter {
        about: vec![vec![
            Find::PatientId("77".to_owned()),
            Find::Subject(Subject::study("1.2")),
        ]],
        who: Some("local operator".to_owned()),
        act: Some(Act::Erase),
        outcome: Some(Outcome::Success),
        since: Some(1),
        until: Some(2),
    };
    let find = Find::PatientId("77".to_owned());
    ask! {
        "heads" => remote.heads();
        "head" => remote.head(&scope);
        "entries" => remote.entries(&scope, 1, 2);
        "search" => remote.search(&scope, &filter, Some((1, 2)), 3);
        "beside" => remote.beside(&scope, &find, 4);
        "remove" => remote.remove(&scope, 5);
    }
    let (remote, inbox) = (
        RemoteMember(to.clone()),
        RemoteInbox::new(to.clone(), "patients.identities"),
    );
    ask! {
        "forget-audited" => remote.forget_audited(&scope, &subjects());
        "forget-named" => remote.forget_named(&scope, &subjects());
        "forget" => remote.forget(&scope, &uids);
        "forget-tenant" => remote.forget_tenant(&scope);
        "export" => remote.export(&scope, Some("1"));
        "jobs" => remote.jobs(&scope, State::Dead);
        "jobs-backlog" => Jobs::backlog(&remote);
        "replay-job" => Jobs::replay(&remote, &scope, "1");
        "dead-letters" => inbox.dead_letters(&scope);
        "backlog" => DeadLetters::backlog(&inbox);
        "replay" => DeadLetters::replay(&inbox, &scope, "1");
        "tell-all" => remote.tell_all(entry());
        "begin-ending" => remote.begin_ending(&scope, 1);
        "begin-ending-again" => remote.begin_ending_again(&scope);
        "ended-tenants" => remote.ended_tenants();
        "keep-holdings" => remote.keep_holdings(&scope, "{}");
        "certify-ending" => remote.certify_ending(&scope, "{}", "ab");
    }
    hear("ready", &remote.ready().await);
    heard
}

/// What a process knows of tenants once it was told.
async fn told_of_tenants(to: &Neighbour) -> String {
    let (directory, stop) = (Directory::default(), CancellationToken::new());
    let mut changes = directory.follow();
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("known.json");
    let follows = directory::follow(to.clone(), directory.clone(), path.clone(), stop.clone());
    let follows = tokio::spawn(follows);
    changes.changed().await.unwrap();
    stop.cancel();
    follows.await.unwrap();
    // As the next start reads it.
    serde_json::to_string(&directory::told_last(&path).unwrap()).unwrap()
}
