//! What was shown, as `docs/reliability.md` and as a line for the terminal.

use std::fmt::Write as _;

use hilum_archive::steps;
use hilum_platform::clock::system;
use hilum_testkit::machine;

use crate::run::Part;
use crate::shown::{Cutting, Shown};

/// A seed for a run that was given none.
pub(crate) fn seed_of_now() -> u64 {
    u64::try_from(system().now_millis()).unwrap_or(1)
}

pub(crate) fn summary(shown: &Shown) -> String {
    format!(
        "{} kills, {} power cuts, {} faults; {} instances sent, {} acknowledged, lost: {}. Seed {}, {} s.",
        shown.kills.kills,
        shown.archive.cuts.tried
            + shown.server.cuts.tried
            + shown
                .faults
                .iter()
                .map(|(_, _, cuts)| cuts.tried)
                .sum::<u64>(),
        shown.faults.len() + shown.odd.len(),
        shown.kills.sent,
        shown.kills.acknowledged,
        lost(shown),
        shown.seed,
        shown.seconds,
    )
}

fn lost(shown: &Shown) -> &'static str {
    if shown.wrong().is_empty() {
        "none"
    } else {
        "see below"
    }
}

pub(crate) fn write(shown: &Shown) -> String {
    let mut page = String::new();
    // Writing to a String does not fail.
    let _ = render(shown, &mut page);
    page
}

fn render(shown: &Shown, page: &mut String) -> std::fmt::Result {
    writeln!(page, "# Reliability\n")?;
    writeln!(
        page,
        "Written by `make crash`, which anyone can run: what was done to Hilum, and what it lost. The \
         method is described in `crates/crash`; the protocol itself is checked in every state by a \
         model there (`crates/crash/src/model`), which `make test` runs. What goes on when a part \
         of an installation breaks is in [reliability-chaos.md](reliability-chaos.md).\n"
    )?;
    let now = system().now();
    writeln!(
        page,
        "- Date: {} {:02}:{:02} UTC",
        now.date(),
        now.hour(),
        now.minute()
    )?;
    writeln!(page, "- Machine: {}", machine())?;
    writeln!(
        page,
        "- hilum {}, built with debug assertions; seed {}; {} s",
        env!("CARGO_PKG_VERSION"),
        shown.seed,
        shown.seconds
    )?;
    writeln!(page, "- **Acknowledged instances lost: {}**\n", lost(shown))?;
    for wrong in shown.wrong() {
        writeln!(page, "- WRONG: {wrong}")?;
    }
    kills(shown, page)?;
    powercuts(shown, page)?;
    odds(shown, page)?;
    controls(shown, page)
}

fn kills(shown: &Shown, page: &mut String) -> std::fmt::Result {
    let kills = &shown.kills;
    writeln!(page, "## SIGKILL\n")?;
    if kills.kills == 0 {
        return writeln!(page, "**Not run** this time.\n");
    }
    writeln!(
        page,
        "A real `hilum serve` under load of dcmtk's storescu, pynetdicom, STOW-RS, rubbish that is \
         quarantined and deleted, a study that is deleted, one that is moved, a patient who is erased, and a reader, \
         while every series is packed as soon as it is there and the look-up is written. After \
         each kill every file is searched for what was erased; the archive is opened, swept, \
         verified and held against every acknowledgement; after each restart the server is asked \
         for them by QIDO-RS, and erasures that broke off are asked for again; {} times `hilum \
         verify` was run as well.\n",
        kills.verified
    )?;
    let at_steps: u64 = kills.steps.values().sum();
    writeln!(page, "| | |\n|---|---|")?;
    writeln!(page, "| kills | {} |", kills.kills)?;
    writeln!(page, "| of them at a named step | {at_steps} |")?;
    writeln!(page, "| instances sent | {} |", kills.sent)?;
    writeln!(page, "| instances acknowledged | {} |", kills.acknowledged)?;
    writeln!(page, "| deleted instances | {} |", kills.removed)?;
    writeln!(page, "| erased patients | {} |", kills.erased)?;
    writeln!(
        page,
        "| acknowledged and lost, or back | {} |\n",
        none_or(kills.wrong.as_deref())
    )?;
    if kills.steps.is_empty() {
        return Ok(());
    }
    writeln!(
        page,
        "Kills at each named step (`crates/archive/src/steps.rs`):\n\n| of | step, kills |\n|---|---|"
    )?;
    // In the order of the work that passes them.
    for of in steps::ALL.chunk_by(|one, next| group(one) == group(next)) {
        let told: Vec<String> = of
            .iter()
            .filter_map(|step| {
                let name = step.split_once('.').map_or(*step, |(_, name)| name);
                Some(format!("{name} {}", kills.steps.get(step)?))
            })
            .collect();
        if let Some(first) = of.first().filter(|_| !told.is_empty()) {
            writeln!(page, "| {} | {} |", group(first), told.join(", "))?;
        }
    }
    writeln!(page)
}

fn group(step: &str) -> &str {
    step.split_once('.').map_or(step, |(group, _)| group)
}

fn powercuts(shown: &Shown, page: &mut String) -> std::fmt::Result {
    writeln!(page, "## Power cuts\n")?;
    if shown.left_out.contains(&Part::Archive) && shown.left_out.contains(&Part::Server) {
        return writeln!(page, "**Not run** this time.\n");
    }
    writeln!(
        page,
        "The data is on a file system (FUSE) that writes down every change and every sync, under \
         objects and SQLite alike. The record is then cut, half of the time right after an \
         acknowledgement, and a state is made in which what was not synced is there in part: \
         sectors of 512 bytes, so that writes are torn, lengths, names made, renamed and removed, \
         each by chance. Every file of that state is searched for what was erased; then it is \
         opened and checked as above.\n\n\
         *Archive*: it alone, with senders, deletions, erasures, quarantine and publications while \
         it packs and sweeps without a pause and writes look-up files. *Server*: a `hilum serve` \
         under the load described above, all of its data on that disk; on one state in twenty \
         another server is started first and asked.\n"
    )?;
    let (one, two) = (&shown.archive, &shown.server);
    writeln!(page, "| | archive | server |\n|---|---|---|")?;
    let mut row = |name: &str, of: &dyn Fn(&Cutting) -> String| {
        writeln!(page, "| {name} | {} | {} |", of(one), of(two))
    };
    row("runs written down", &|all| all.records.to_string())?;
    row("operations on the disk", &|all| all.operations.to_string())?;
    row("instances acknowledged", &|all| all.promised.to_string())?;
    row("power cuts", &|all| all.cuts.tried.to_string())?;
    row("servers started on what was left", &|all| {
        all.cuts.served.to_string()
    })?;
    row("acknowledged instances looked for after them", &|all| {
        all.cuts.looked_for.to_string()
    })?;
    row("deleted or erased instances looked for", &|all| {
        all.cuts.gone.to_string()
    })?;
    row("lost, or back", &|all| none_or(all.cuts.wrong.as_deref()))?;
    writeln!(page)
}

fn odds(shown: &Shown, page: &mut String) -> std::fmt::Result {
    if !shown.faults.is_empty() {
        writeln!(
            page,
            "## Faults of disk, clock and threads, with power cuts after them\n"
        )?;
        writeln!(
            page,
            "The archive on the recorded disk, as above. What was acknowledged before and after \
             the fault must be there after every cut.\n"
        )?;
        writeln!(
            page,
            "| fault | times | power cuts | lost |\n|---|---|---|---|"
        )?;
        for (name, times, cuts) in &shown.faults {
            let lost = none_or(cuts.wrong.as_deref());
            writeln!(page, "| {name} | {times} | {} | {lost} |", cuts.tried)?;
        }
        writeln!(page)?;
    }
    if !shown.odd.is_empty() {
        writeln!(
            page,
            "## A server that stands still, and a clock that jumps\n"
        )?;
        writeln!(
            page,
            "While a server is stopped, its senders give up and a second server is refused the \
             data; then it goes on and takes another round of load, is killed and checked.\n"
        )?;
        writeln!(page, "| | acknowledged | lost |\n|---|---|---|")?;
        for odd in &shown.odd {
            let lost = none_or(odd.wrong.as_deref());
            writeln!(page, "| {} | {} | {lost} |", odd.name, odd.acknowledged)?;
        }
        writeln!(page)?;
    }
    Ok(())
}

fn none_or(wrong: Option<&str>) -> String {
    wrong.unwrap_or("none").to_owned()
}

fn controls(shown: &Shown, page: &mut String) -> std::fmt::Result {
    writeln!(page, "## Negative controls\n")?;
    writeln!(
        page,
        "The same with one thing left out. The harness must find something then, or it would find \
         nothing in earnest either.\n"
    )?;
    writeln!(page, "| without | found after | what |\n|---|---|---|")?;
    for control in &shown.controls {
        let what = match (&control.found, control.needless()) {
            (Some(found), _) => found.split(" (").next().unwrap_or_default().to_owned(),
            (None, Some(why)) => format!("nothing, rightly: {why}"),
            (None, None) => "NOTHING".to_owned(),
        };
        writeln!(
            page,
            "| {} | {} tries | {what} |",
            control.without, control.tried
        )?;
    }
    Ok(())
}
