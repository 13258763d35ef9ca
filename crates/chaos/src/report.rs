//! What was shown, as `docs/reliability-chaos.md` and as lines for the terminal.

use std::fmt::Write as _;
use std::time::Duration;

use hilum_platform::clock::system;
use hilum_testkit::machine;

use crate::cell::Cell;
use crate::run::Shown;
use crate::seen::Function;

/// A cell, for the terminal.
pub(crate) fn line(cell: &Cell) -> String {
    let functions = Function::ALL.iter().zip(&cell.functions);
    let functions: Vec<_> = functions
        .map(|(function, went)| format!("{} {went}", function.name()))
        .collect();
    format!(
        "{} {}: {}; results {}; deliveries {}; noticed {}; recovered {}",
        cell.row.name(),
        cell.fault.name(),
        functions.join("; "),
        cell.results,
        cell.deliveries,
        noticed(cell),
        recovered(cell),
    )
}

pub(crate) fn summary(shown: &Shown) -> String {
    format!(
        "{} faults of {} s; {} instances sent, {} acknowledged, {} asked for, {} series with results \
         and deliveries; {}. {} s.",
        shown.cells.len(),
        shown.lasts.as_secs(),
        shown.counts.0,
        shown.counts.1,
        shown.found.instances,
        shown.found.series,
        match shown.wrong().is_empty() {
            true => "nothing lost, missing or done twice",
            false => "see below",
        },
        shown.seconds,
    )
}

pub(crate) fn write(shown: &Shown) -> String {
    let mut page = String::new();
    // Writing to a String does not fail.
    let _ = render(shown, &mut page);
    page
}

fn render(shown: &Shown, page: &mut String) -> std::fmt::Result {
    let now = system().now();
    let wrong = shown.wrong();
    writeln!(
        page,
        "# Reliability: what goes on when a part breaks\n\n\
         Written by `make chaos`, which anyone can run: the services as processes of their own, \
         with RabbitMQ, PostgreSQL and a replica of it, PgBouncer, a bucket of S3 and Redis, each broken in each way for {} s while devices \
         send by C-STORE, programs by STOW-RS, people look and sign in, a model runs and its \
         results are delivered, for two tenants. What a crash or a power cut leaves is in \
         [reliability.md](reliability.md).\n\n\
         - Date: {} {:02}:{:02} UTC\n\
         - Machine: {}\n\
         - hilum {}, built with debug assertions; {} s\n\
         - Instances sent {}, acknowledged {}, asked for at the end {}, and then `hilum verify`; \
         **lost: {}**\n\
         - Series {}: **results missing or doubled, deliveries missing or doubled in effect: {}**. \
         {} instances were sent to the receiver again, under the same UID and with the same bytes.\n",
        shown.lasts.as_secs(),
        now.date(),
        now.hour(),
        now.minute(),
        machine(),
        env!("CARGO_PKG_VERSION"),
        shown.seconds,
        shown.counts.0,
        shown.counts.1,
        shown.found.instances,
        none_or_below(&shown.found.wrong),
        shown.found.series,
        none_or_below(&shown.found.wrong),
        shown.found.repeats,
    )?;
    for wrong in &wrong {
        writeln!(page, "- WRONG: {wrong}")?;
    }
    writeln!(page, "\n## The matrix\n")?;
    writeln!(
        page,
        "*on*: nobody was refused; with a time, somebody waited that long. *waited*: done after the \
         end of the fault. A status is one of HTTP or DIMSE. *Noticed*: until the status or `/readyz` \
         of another process said so; in brackets, until somebody was refused. *Recovered*: from the \
         end of the fault (of ours: from its start) until everything worked and everything that was \
         sent before had its results and was delivered, and what was the last. People reach the doors \
         of the processes that are not broken, as behind a load balancer.\n"
    )?;
    write!(page, "| broken | how |")?;
    for function in Function::ALL {
        write!(page, " {} |", function.name())?;
    }
    writeln!(
        page,
        " results | deliveries | noticed | recovered | acknowledged |"
    )?;
    writeln!(
        page,
        "|---|---|{}---|---|---|---|---|",
        "---|".repeat(Function::ALL.len())
    )?;
    let mut before = "";
    for cell in &shown.cells {
        let name = cell.row.name();
        let shown_name = if name == before { "" } else { name };
        before = name;
        write!(page, "| {shown_name} | {} |", cell.fault.name())?;
        for went in &cell.functions {
            write!(page, " {went} |")?;
        }
        writeln!(
            page,
            " {} | {} | {} | {} | {} |",
            cell.results,
            cell.deliveries,
            noticed(cell),
            recovered(cell),
            cell.acknowledged
        )?;
    }
    Ok(())
}

fn none_or_below(wrong: &[String]) -> &'static str {
    match wrong.is_empty() {
        true => "none",
        false => "see below",
    }
}

fn noticed(cell: &Cell) -> String {
    let told = cell.noticed.map_or_else(|| "no".to_owned(), seconds);
    match cell.refused {
        Some(refused) => format!("{told} ({})", seconds(refused)),
        None => told,
    }
}

fn recovered(cell: &Cell) -> String {
    match &cell.recovered {
        Ok((time, what)) => format!("{}, {what}", seconds(*time)),
        Err(what) => format!("NOT: {what}"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
