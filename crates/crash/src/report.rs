//! What was shown, as `docs/reliability.md` and as a line for the terminal.

use std::fmt::Write as _;

use hilum_platform::clock::system;

use crate::kills::NOT_SERVED;
use crate::run::Shown;

/// A seed for a run that was given none.
pub(crate) fn seed_of_now() -> u64 {
    u64::try_from(system().now_millis()).unwrap_or(1)
}

pub(crate) fn summary(shown: &Shown) -> String {
    format!(
        "{} kills, {} power cuts, {} faults; {} instances sent, {} acknowledged, lost: {}. Seed {}, {} s.",
        shown.kills.kills,
        shown.cuts.tried,
        shown.faults.len(),
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
         method is described in `crates/crash`.\n"
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
    controls(shown, page)
}

fn kills(shown: &Shown, page: &mut String) -> std::fmt::Result {
    let kills = &shown.kills;
    writeln!(page, "## SIGKILL\n")?;
    writeln!(
        page,
        "A real `hilum serve` under load of dcmtk's storescu, pynetdicom, STOW-RS, rubbish that is \
         quarantined and deleted, and a study that is deleted. After each kill the archive is \
         opened, swept, verified and held against every acknowledgement; after each restart the \
         server is asked for them by QIDO-RS; {} times `hilum verify` was run as well.\n",
        kills.verified
    )?;
    let at_steps: u64 = kills.steps.values().sum();
    writeln!(page, "| | |\n|---|---|")?;
    writeln!(page, "| kills | {} |", kills.kills)?;
    writeln!(page, "| of them at a named step | {at_steps} |")?;
    writeln!(page, "| instances sent | {} |", kills.sent)?;
    writeln!(page, "| instances acknowledged | {} |", kills.acknowledged)?;
    writeln!(page, "| acknowledged and lost | {} |\n", lost(shown))?;
    if !kills.steps.is_empty() {
        let steps: Vec<String> = kills
            .steps
            .iter()
            .map(|(step, times)| format!("`{step}` {times}"))
            .collect();
        writeln!(page, "Kills at each step: {}.\n", steps.join(", "))?;
        for (part, why) in NOT_SERVED {
            writeln!(page, "Not killed at `{part}…`: {why}.\n")?;
        }
    }
    Ok(())
}

fn powercuts(shown: &Shown, page: &mut String) -> std::fmt::Result {
    writeln!(page, "## Power cuts\n")?;
    if shown.powercuts_left_out {
        return writeln!(page, "**Not run**: no file system could be mounted here.\n");
    }
    writeln!(
        page,
        "The archive works on a file system (FUSE) that writes down every change and every sync, \
         under objects and SQLite alike. The record is then cut, half of the time right after an \
         acknowledgement, and a state is made in which what was not synced is there in part: \
         sectors of 512 bytes, lengths, names made, renamed and removed, each by chance. That \
         state is opened and checked as above.\n"
    )?;
    writeln!(page, "| | |\n|---|---|")?;
    writeln!(page, "| runs written down | {} |", shown.records)?;
    writeln!(page, "| operations on the disk | {} |", shown.operations)?;
    writeln!(page, "| instances acknowledged | {} |", shown.promised)?;
    writeln!(page, "| power cuts | {} |", shown.cuts.tried)?;
    writeln!(
        page,
        "| acknowledged instances looked for after them | {} |",
        shown.cuts.looked_for
    )?;
    writeln!(page, "| acknowledged and lost | {} |\n", lost(shown))?;
    writeln!(page, "## Faults of the disk, with power cuts after them\n")?;
    writeln!(
        page,
        "| fault | times | power cuts | lost |\n|---|---|---|---|"
    )?;
    for (name, times, cuts) in &shown.faults {
        let lost = cuts.wrong.as_deref().unwrap_or("none");
        writeln!(page, "| {name} | {times} | {} | {lost} |", cuts.tried)?;
    }
    writeln!(page)
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

/// Processors, memory and kernel, as they say themselves.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("", |rest| rest.trim_start_matches(['\t', ' ', ':']));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{cores} × {model}, Linux {}, load at the end {load}",
        kernel.trim()
    )
}
