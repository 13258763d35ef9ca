//! Named steps at which `make crash` kills, freezes or delays this process.
//!
//! A step is passed with [`at`] wherever a crash in between could tell what was
//! promised from what is there. In a release build `at` is empty and nothing
//! reads the environment. In a build with debug assertions, which is what the
//! harness runs, the variable `ARCHIVE_STEP` arms one step for the process:
//!
//! | value | at the step |
//! |---|---|
//! | `commit.object-synced=kill@3` | at the third passing: SIGKILL to itself |
//! | `commit.object-synced=freeze@1` | SIGSTOP to itself, all threads |
//! | `commit.object-synced=delay:500@1` | this thread sleeps 500 ms, all others go on |
//!
//! `ARCHIVE_LOOKUP_RECENT` makes one bound smaller ([`lookup_recent`]), so that
//! a short run comes to what else takes thousands of instances.
//!
//! A step decides nothing and carries no data. [`ALL`] lists every step of this
//! crate; a test holds it against the calls.

/// Every step, in the order of the work that passes them.
pub const ALL: &[&str] = &[
    "open.locked",
    "keys.master-written",
    "keys.master-named",
    "keys.next-written",
    "keys.rewrapped",
    "keys.rotated",
    "keys.next-named",
    "keys.proven",
    "migrate.applied",
    "migrate.committed",
    "open.begun",
    "tenant.rowed",
    "tenant.foldered",
    "names.reserved",
    "keys.tenant-kept",
    "keys.study-kept",
    "commit.begin",
    "commit.object-created",
    "commit.object-written",
    "commit.object-synced",
    "commit.folder-synced",
    "commit.indexed",
    "commit.committed",
    "commit.answered",
    "stream.created",
    "stream.segment",
    "stream.written",
    "stream.synced",
    "stream.folder-synced",
    "quarantine.indexed",
    "quarantine.committed",
    "note.written",
    "note.refused",
    "move.begin",
    "move.segment",
    "move.sealed",
    "move.indexed",
    "move.committed",
    "delete.begin",
    "delete.indexed",
    "delete.committed",
    "erase.key-destroyed",
    "erase.begun",
    "erase.keys",
    "erase.rows",
    "ledger.written",
    "ledger.synced",
    "ledger.named",
    "ledger.folder-synced",
    "erase.recorded",
    "erase.certified",
    "erase.done",
    "end.closed",
    "end.recorded",
    "end.keys-destroyed",
    "end.rows",
    "end.done",
    "sweep.buried",
    "sweep.removed",
    "sweep.folders-synced",
    "sweep.settled",
    "pack.begin",
    "pack.segment",
    "pack.written",
    "pack.synced",
    "pack.indexed",
    "pack.committed",
    "lookup.written",
    "lookup.registered",
    "lookup.removed",
];

/// Passes the step `name`.
#[inline]
pub fn at(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Recent entries of the look-up beyond which they become a run.
pub(crate) fn lookup_recent() -> usize {
    #[cfg(debug_assertions)]
    return armed::bound("ARCHIVE_LOOKUP_RECENT").unwrap_or(crate::limits::LOOKUP_RECENT);
    #[cfg(not(debug_assertions))]
    crate::limits::LOOKUP_RECENT
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    const VARIABLE: &str = "ARCHIVE_STEP";

    #[derive(Debug, PartialEq, Eq)]
    pub(super) enum Action {
        Kill,
        Freeze,
        Delay(Duration),
    }

    #[derive(Debug)]
    pub(super) struct Armed {
        pub(super) step: String,
        pub(super) action: Action,
        pub(super) passing: u64,
        passed: AtomicU64,
    }

    impl Armed {
        /// `STEP=ACTION@PASSING`; nothing is armed by what does not read so.
        pub(super) fn parse(text: &str) -> Option<Self> {
            let (step, rest) = text.split_once('=')?;
            let (action, passing) = rest.split_once('@')?;
            let action = match action.split_once(':') {
                None if action == "kill" => Action::Kill,
                None if action == "freeze" => Action::Freeze,
                Some(("delay", millis)) => {
                    Action::Delay(Duration::from_millis(millis.parse().ok()?))
                }
                _ => return None,
            };
            Some(Self {
                step: step.to_owned(),
                action,
                passing: passing.parse().ok()?,
                passed: AtomicU64::new(0),
            })
        }
    }

    pub(super) fn pass(name: &str) {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let armed = ARMED.get_or_init(|| Armed::parse(&std::env::var(VARIABLE).ok()?));
        let Some(armed) = armed.as_ref().filter(|armed| armed.step == name) else {
            return;
        };
        let passing = armed.passed.fetch_add(1, Ordering::SeqCst) + 1;
        match armed.action {
            Action::Kill if passing == armed.passing => signal(Signal::KILL),
            Action::Freeze if passing == armed.passing => signal(Signal::STOP),
            Action::Delay(pause) if passing == armed.passing => std::thread::sleep(pause),
            _ => {}
        }
    }

    pub(super) fn bound(variable: &str) -> Option<usize> {
        std::env::var(variable).ok()?.parse().ok()
    }

    fn signal(signal: Signal) {
        // The process may signal itself; there is nobody to tell otherwise.
        let _ = kill_process(getpid(), signal);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::time::Duration;

    use super::armed::{Action, Armed};

    #[test]
    fn every_step_is_listed_and_every_listed_step_is_passed() {
        let mut passed = BTreeSet::new();
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let calls = text.split(concat!("steps::", "at(\"")).skip(1);
                    passed.extend(calls.map(|call| call.split('"').next().unwrap().to_owned()));
                }
            }
        }
        let listed: BTreeSet<String> = super::ALL.iter().map(|step| (*step).to_owned()).collect();
        assert_eq!(listed, passed);
        assert_eq!(listed.len(), super::ALL.len(), "a step is listed twice");
    }

    #[test]
    fn a_step_is_armed_by_its_name_what_to_do_and_when() {
        let armed = Armed::parse("commit.begin=kill@3").unwrap();
        assert_eq!(
            (armed.step.as_str(), armed.action, armed.passing),
            ("commit.begin", Action::Kill, 3)
        );
        let armed = Armed::parse("a=delay:500@1").unwrap();
        assert_eq!(armed.action, Action::Delay(Duration::from_millis(500)));
        for odd in ["", "a", "a=kill", "a=kill@x", "a=stop@1", "a=delay:x@1"] {
            assert!(Armed::parse(odd).is_none(), "{odd}");
        }
    }
}
