//! All of it, in one go, and what it showed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::cell::{Breaking, Cell};
use crate::check::{self, Found};
use crate::load::Load;
use crate::report;
use crate::rows::{Fault, Row};
use crate::world::World;

/// A fault of the short form.
const SHORT: Duration = Duration::from_secs(4);
/// Between two things that a user begins, in the short form and in the long one.
const PACES: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(1_500)];

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The program that is broken.
    #[arg(long)]
    hilum: PathBuf,
    /// How long each fault lasts, in seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Only these parts, by their names; may be given several times.
    #[arg(long = "row")]
    rows: Vec<String>,
    /// Only these faults; may be given several times.
    #[arg(long = "fault", value_enum)]
    faults: Vec<Fault>,
    /// Each part killed and one of each other fault, for seconds.
    /// How long recovery takes is told and not judged.
    #[arg(long)]
    quick: bool,
    /// Writes what was seen there.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// What a run has shown.
pub(crate) struct Shown {
    pub(crate) cells: Vec<Cell>,
    pub(crate) found: Found,
    /// Instances sent, repeats included, and acknowledged.
    pub(crate) counts: (u64, usize),
    pub(crate) lasts: Duration,
    pub(crate) seconds: u64,
    /// Recovery may take so long.
    pub(crate) within: Option<Duration>,
}

/// What an installation needs to recover.
const RECOVERY: Duration = Duration::from_secs(15);

impl Run {
    pub(crate) fn run(self) -> io::Result<()> {
        let began = Instant::now();
        let plan = self.plan()?;
        let lasts = match self.quick {
            true => SHORT,
            false => Duration::from_secs(self.seconds),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        println!(
            "Starting {} processes and what they stand on",
            hilum_testkit::SERVICES.len()
        );
        let mut world = World::start(&self.hilum, &runtime)?;
        let keys = world.let_in()?;
        let pace = PACES[usize::from(!self.quick)];
        let load = Load::begin(&world, keys, pace, &runtime)?;
        let mut breaking = Breaking {
            world: &mut world,
            load: &load,
            runtime: &runtime,
            lasts,
            interrupted: interrupted(&runtime),
        };
        breaking.is_well()?;
        println!("Everything works after {} s", began.elapsed().as_secs());
        let mut cells = Vec::new();
        for (row, fault) in plan {
            let cell = breaking.cell(row, fault)?;
            println!("{}", report::line(&cell));
            cells.push(cell);
        }
        load.ends(&runtime);
        let counts = load.ground.ledger.counts();
        let found = check::everything(&mut world, &load, &runtime);
        let shown = Shown {
            cells,
            found,
            counts,
            lasts,
            seconds: began.elapsed().as_secs(),
            within: (!self.quick).then_some(RECOVERY),
        };
        println!("{}", report::summary(&shown));
        if let Some(path) = &self.report {
            std::fs::write(path, report::write(&shown))?;
        }
        match shown.wrong() {
            wrong if wrong.is_empty() => Ok(()),
            wrong => Err(io::Error::other(wrong.join("\n"))),
        }
    }

    /// What is broken, and how.
    fn plan(&self) -> io::Result<Vec<(Row, Fault)>> {
        let all = Row::all();
        let named = |row: &Row| {
            let is = |name: &String| name.eq_ignore_ascii_case(row.name());
            self.rows.is_empty() || self.rows.iter().any(is)
        };
        let rows: Vec<_> = all.iter().copied().filter(named).collect();
        if rows.len() < self.rows.len() {
            let names: Vec<_> = all.iter().map(|row| row.name()).collect();
            let text = format!("a row is one of: {}", names.join(", "));
            return Err(io::Error::other(text));
        }
        let faults: Vec<_> = match self.faults.as_slice() {
            [] => Fault::ALL.to_vec(),
            some => some.to_vec(),
        };
        Ok(match self.quick {
            true => short(&rows, &faults),
            false => rows
                .iter()
                .flat_map(|row| faults.iter().map(|fault| (*row, *fault)))
                .collect(),
        })
    }
}

/// Told when somebody ends this: by Ctrl-C, or as CI does.
fn interrupted(runtime: &Runtime) -> Arc<AtomicBool> {
    let told = Arc::new(AtomicBool::new(false));
    let tells = Arc::clone(&told);
    runtime.spawn(async move {
        let mut ended = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = ended.recv() => {}
        }
        tells.store(true, Ordering::Relaxed);
        io::Result::Ok(())
    });
    told
}

/// Each part killed, and one part, another one each time, in each other way.
fn short(rows: &[Row], faults: &[Fault]) -> Vec<(Row, Fault)> {
    let kills = rows.iter().map(|row| (*row, Fault::Killed));
    let others = faults.iter().filter(|fault| **fault != Fault::Killed);
    // The last rows are what all services stand on.
    let others = rows
        .iter()
        .rev()
        .zip(others)
        .map(|(row, fault)| (*row, *fault));
    kills.chain(others).collect()
}

impl Shown {
    /// Everything that is wrong, in sentences.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = self.found.wrong.clone();
        for cell in &self.cells {
            let name = format!("{} {}", cell.row.name(), cell.fault.name());
            match (&cell.recovered, self.within) {
                (Err(what), _) => wrong.push(format!("{name}: {what}")),
                (Ok((time, what)), Some(within)) if *time > within => wrong.push(format!(
                    "{name}: {what} came {:.1} s after its end, later than {} s",
                    time.as_secs_f64(),
                    within.as_secs()
                )),
                (Ok(_), _) => {}
            }
            wrong.extend(
                cell.must_go_on(self.within.is_none())
                    .into_iter()
                    .map(|what| format!("{name}: {what}")),
            );
        }
        wrong
    }
}
