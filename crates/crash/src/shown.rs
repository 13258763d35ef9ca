//! What a run has shown, and what of it is wrong.

use crate::powercut::{Cuts, Record};
use crate::run::Part;
use crate::serve::kills::Kills;
use crate::serve::odd;

/// Syncs that cost nothing when they are left out, by how the control is
/// called, and why that is right.
const NEEDLESS: &[(&str, &str)] = &[
    (
        "-journal",
        "SQLite's first transaction, which turns the log on, is on an empty database: the journal \
         holds nothing to go back to",
    ),
    (
        "an object's folder, once more",
        "another commit's sync has taken everything already",
    ),
    (
        "a tenant's look-up folder",
        "a look-up file that is missing when the archive opens is made anew from the packs",
    ),
    ("the folder of look-ups", "the same"),
    (
        "a tenant's look-up folder, after a removal",
        "a look-up file that no row registers goes with the next merge",
    ),
];

/// A negative control: what was left out, and what the harness found.
pub(crate) struct Control {
    pub(crate) without: String,
    pub(crate) tried: u64,
    pub(crate) found: Option<String>,
}

impl Control {
    pub(crate) fn needless(&self) -> Option<&'static str> {
        needless(&self.without)
    }
}

pub(crate) fn needless(without: &str) -> Option<&'static str> {
    let known = |(part, _): &&(&str, &str)| without.ends_with(part);
    NEEDLESS.iter().find(known).map(|(_, why)| *why)
}

/// Power cuts of several records.
#[derive(Default)]
pub(crate) struct Cutting {
    pub(crate) records: u64,
    pub(crate) operations: u64,
    pub(crate) promised: u64,
    pub(crate) cuts: Cuts,
}

impl Cutting {
    pub(crate) fn add(&mut self, record: &Record, cuts: Cuts) {
        self.records += 1;
        self.operations += record.ops.len() as u64;
        self.promised += record.promised.acknowledged;
        self.cuts.add(cuts);
        if let Some(error) = record.promised.errors.first() {
            self.cuts.wrong.get_or_insert_with(|| error.clone());
        }
    }
}

/// What everything showed.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) seed: u64,
    pub(crate) kills: Kills,
    /// Under the archive alone, and under a whole server.
    pub(crate) archive: Cutting,
    pub(crate) server: Cutting,
    pub(crate) controls: Vec<Control>,
    pub(crate) faults: Vec<(&'static str, u64, Cuts)>,
    pub(crate) odd: Vec<odd::Shown>,
    pub(crate) left_out: Vec<Part>,
    pub(crate) seconds: u64,
}

impl Shown {
    /// Everything that is wrong, in sentences.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.kills.wrong.iter().cloned().collect();
        wrong.extend(self.archive.cuts.wrong.clone());
        wrong.extend(self.server.cuts.wrong.clone());
        for (name, _, cuts) in &self.faults {
            wrong.extend(cuts.wrong.iter().map(|what| format!("{name}: {what}")));
        }
        for odd in &self.odd {
            wrong.extend(odd.wrong.iter().map(|what| format!("{}: {what}", odd.name)));
        }
        for control in &self.controls {
            if control.found.is_none() && control.needless().is_none() {
                wrong.push(format!(
                    "the harness is blind: without {} nothing was found in {} tries",
                    control.without, control.tried
                ));
            }
        }
        if self.kills.kills > 0 && self.kills.acknowledged == 0 {
            wrong.push("the kills came too early: nothing was acknowledged".to_owned());
        }
        wrong
    }
}

impl Cuts {
    pub(crate) fn add(&mut self, more: Self) {
        self.tried += more.tried;
        self.looked_for += more.looked_for;
        self.gone += more.gone;
        self.served += more.served;
        self.wrong = self.wrong.take().or(more.wrong);
    }
}

impl Kills {
    pub(crate) fn add(&mut self, more: Self) {
        self.kills += more.kills;
        self.sent += more.sent;
        self.acknowledged += more.acknowledged;
        self.removed += more.removed;
        self.erased += more.erased;
        self.verified += more.verified;
        for (step, kills) in more.steps {
            *self.steps.entry(step).or_default() += kills;
        }
        self.wrong = self.wrong.take().or(more.wrong);
    }
}
