//! What there must be at the end: everything that was acknowledged, and what
//! follows from it once.

use std::collections::BTreeSet;

use hilum_testkit::{Files, SERVICES};
use tokio::runtime::Runtime;

use crate::ledger::{RESULTS, Series};
use crate::load::Load;
use crate::load::readers::{RESULTS_ARE, instances};
use crate::receiver::{Came, Results};
use crate::world::World;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Instances that were asked for.
    pub(crate) instances: usize,
    /// Series whose results and deliveries were counted.
    pub(crate) series: usize,
    /// Instances that the receiver was sent again, under the same UID and with
    /// the same bytes: it has them once.
    pub(crate) repeats: usize,
    /// Everything that must not be.
    pub(crate) wrong: Vec<String>,
}

/// Asks for everything. The installation does not run any more afterwards.
pub(crate) fn everything(world: &mut World, load: &Load, runtime: &Runtime) -> Found {
    let ground = &load.ground;
    let mut found = Found {
        wrong: ground.ledger.wrong(),
        ..Found::default()
    };
    for ((tenant, study), acknowledged) in ground.ledger.all_acknowledged() {
        found.instances += acknowledged.len();
        match runtime.block_on(instances(ground, tenant, study, &[])) {
            Some(there) => found.wrong.extend(lost(study, &acknowledged, &there)),
            None => found
                .wrong
                .push(format!("study {study} can't be asked for")),
        }
    }
    let came = world.receiver.came().clone();
    for series in ground.ledger.series() {
        found.series += 1;
        let results =
            runtime.block_on(instances(ground, series.tenant, series.study, &RESULTS_ARE));
        let results = results.unwrap_or_default();
        found
            .wrong
            .extend(twice_or_missing(&series, &results, &came));
    }
    let times = came.values().flat_map(|of| of.instances.values());
    found.repeats = times.map(|times| times.len() - 1).sum();
    for service in SERVICES {
        if world.cluster.log(service).contains("panicked") {
            found.wrong.push(format!("{service} panicked: see its log"));
        }
        world.cluster.kill(service);
    }
    let verified = world.cluster.command("imaging", &["verify"]);
    if !verified.status.success() {
        let text = [verified.stdout, verified.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        found.wrong.push(format!("hilum verify: {text}"));
    }
    found
}

fn lost(study: u64, acknowledged: &BTreeSet<String>, there: &BTreeSet<String>) -> Vec<String> {
    let lost = acknowledged.difference(there);
    lost.map(|uid| format!("{uid} of study {study} was acknowledged and is lost"))
        .collect()
}

fn twice_or_missing(series: &Series, results: &BTreeSet<String>, came: &Came) -> Vec<String> {
    let mut wrong = Vec::new();
    let study = series.study;
    let nothing = Results::default();
    let delivered = came.get(&Files::study(study)).unwrap_or(&nothing);
    let delivered = &delivered.instances;
    for (what, count) in [("results", results.len()), ("deliveries", delivered.len())] {
        match count {
            RESULTS => {}
            fewer if fewer < RESULTS => wrong.push(format!("{what} of study {study} are missing")),
            more => wrong.push(format!("study {study} has {more} {what}, not {RESULTS}")),
        }
    }
    for (uid, times) in delivered {
        if !results.contains(uid) {
            wrong.push(format!(
                "{uid} was delivered and is no result of study {study}"
            ));
        }
        if times.iter().any(|hash| Some(hash) != times.first()) {
            wrong.push(format!("{uid} was delivered with two contents"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn uids(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|uid| (*uid).to_owned()).collect()
    }

    fn came(all: &[(&str, &[u64])]) -> Came {
        let of = all
            .iter()
            .map(|(uid, times)| ((*uid).to_owned(), times.to_vec()));
        let results = Results {
            instances: of.collect(),
            whole: None,
        };
        Came::from([(Files::study(7), results)])
    }

    fn wrong(results: &[&str], delivered: &[(&str, &[u64])]) -> Vec<String> {
        let series = Series {
            tenant: "a",
            study: 7,
            began: Instant::now(),
            acknowledged: None,
            result: None,
            delivered: None,
        };
        twice_or_missing(&series, &uids(results), &came(delivered))
    }

    #[test]
    fn an_acknowledged_instance_that_is_not_there_is_lost() {
        assert!(lost(7, &uids(&["1", "2"]), &uids(&["1", "2", "3"])).is_empty());
        let lost = lost(7, &uids(&["1", "2"]), &uids(&["1"]));
        assert_eq!(lost, ["2 of study 7 was acknowledged and is lost"]);
    }

    #[test]
    fn results_come_once_and_whole_and_so_do_deliveries() {
        assert!(wrong(&["1", "2"], &[("1", &[5]), ("2", &[6, 6])]).is_empty());
        assert_eq!(
            wrong(&["1"], &[("1", &[5]), ("2", &[6])]),
            [
                "results of study 7 are missing",
                "2 was delivered and is no result of study 7"
            ]
        );
        assert_eq!(
            wrong(&["1", "2", "3"], &[("1", &[5])]),
            [
                "study 7 has 3 results, not 2",
                "deliveries of study 7 are missing"
            ]
        );
        assert_eq!(
            wrong(&["1", "2"], &[("1", &[5]), ("2", &[6, 7])]),
            ["2 was delivered with two contents"]
        );
    }
}
