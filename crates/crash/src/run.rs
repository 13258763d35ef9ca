//! All of it, in one go, and what it showed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::faults;
use crate::kills::{self, Killer, Kills};
use crate::powercut::{self, Cuts};

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The server, built with debug assertions: others pass no steps.
    #[arg(long)]
    hilum: PathBuf,
    /// Kills, those at steps included.
    #[arg(long, default_value_t = 500)]
    kills: u64,
    /// Of them, at each step.
    #[arg(long, default_value_t = 3)]
    per_step: u64,
    /// Instead, at this many steps that chance picks, once each.
    #[arg(long, default_value_t = 0)]
    some_steps: usize,
    /// Runs whose record is cut.
    #[arg(long, default_value_t = 10)]
    records: u64,
    /// Power cuts of each record.
    #[arg(long, default_value_t = 200)]
    cuts: usize,
    /// Power cuts around each fault.
    #[arg(long, default_value_t = 60)]
    fault_cuts: usize,
    /// Servers that are killed side by side.
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// From what chance begins; the time when left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Kills at random moments end after this, however many there were.
    #[arg(long)]
    minutes: Option<u64>,
    /// Without power cuts, where no file system can be mounted. The report
    /// says so.
    #[arg(long)]
    no_powercuts: bool,
    /// Where the report goes.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// Syncs that cost nothing when they are left out, and why that is right.
pub(crate) const NEEDLESS: &[(&str, &str)] = &[(
    "-journal",
    "SQLite's first transaction, which turns the log on, is on an empty database: the journal \
         holds nothing to go back to",
)];

/// A negative control: what was left out, and what the harness found.
pub(crate) struct Control {
    pub(crate) without: String,
    pub(crate) tried: u64,
    pub(crate) found: Option<String>,
}

impl Control {
    pub(crate) fn needless(&self) -> Option<&'static str> {
        NEEDLESS
            .iter()
            .find(|(part, _)| self.without.ends_with(part))
            .map(|(_, why)| *why)
    }
}

/// What everything showed.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) seed: u64,
    pub(crate) kills: Kills,
    pub(crate) records: u64,
    pub(crate) operations: u64,
    pub(crate) promised: u64,
    pub(crate) cuts: Cuts,
    pub(crate) controls: Vec<Control>,
    pub(crate) faults: Vec<(&'static str, u64, Cuts)>,
    pub(crate) powercuts_left_out: bool,
    pub(crate) seconds: u64,
}

impl Shown {
    /// Everything that is wrong, in sentences.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.kills.wrong.iter().cloned().collect();
        wrong.extend(self.cuts.wrong.clone());
        for (name, _, cuts) in &self.faults {
            wrong.extend(cuts.wrong.iter().map(|what| format!("{name}: {what}")));
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

impl Run {
    pub(crate) fn run(self) -> io::Result<()> {
        let started = Instant::now();
        let mut shown = Shown {
            seed: self.seed.unwrap_or_else(crate::report::seed_of_now),
            powercuts_left_out: self.no_powercuts,
            ..Shown::default()
        };
        let runtime = tokio::runtime::Runtime::new()?;
        let mut killed = Shown {
            seed: shown.seed,
            ..Shown::default()
        };
        std::thread::scope(|scope| {
            let killer = scope.spawn(|| self.kill(&mut killed));
            let cut = match self.no_powercuts {
                true => Ok(()),
                false => runtime.block_on(self.powercuts(&mut shown)),
            };
            let killer = killer
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the killer panicked")));
            cut.and(killer)
        })?;
        shown.kills = killed.kills;
        shown.controls.extend(killed.controls);
        shown.seconds = started.elapsed().as_secs();
        if let Some(report) = &self.report {
            std::fs::write(report, crate::report::write(&shown))?;
        }
        let wrong = shown.wrong();
        println!("{}", crate::report::summary(&shown));
        if wrong.is_empty() {
            return Ok(());
        }
        Err(io::Error::other(wrong.join("\n")))
    }

    fn until(&self) -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(self.minutes? * 60))
    }

    async fn powercuts(&self, shown: &mut Shown) -> io::Result<()> {
        for number in 0..self.records {
            let seed = shown.seed.wrapping_add(number);
            let record = powercut::record(seed, false, &[])?;
            shown.records += 1;
            shown.operations += record.ops.len() as u64;
            shown.promised += record.promised.stored.len() as u64;
            let cuts = record.cut(self.cuts, seed, None).await?;
            shown.cuts.add(cuts);
            if let Some(error) = record.promised.errors.first() {
                shown.cuts.wrong.get_or_insert_with(|| error.clone());
            }
            if shown.cuts.wrong.is_some() {
                return Ok(());
            }
            println!("record {}: {} power cuts", number + 1, shown.cuts.tried);
            if number == 0 {
                for (kind, _) in record.syncs() {
                    let cuts = record.cut(self.cuts, seed, Some(&kind)).await?;
                    println!("without the sync of {kind}: {:?}", cuts.wrong);
                    shown.controls.push(Control {
                        without: format!("the sync of {kind}"),
                        tried: cuts.tried,
                        found: cuts.wrong,
                    });
                }
            }
        }
        let hasty = powercut::record(shown.seed, true, &[])?;
        let cuts = hasty.cut(self.cuts, shown.seed, None).await?;
        shown.controls.push(Control {
            without: "waiting for the commit before acknowledging (power cut)".to_owned(),
            tried: cuts.tried,
            found: cuts.wrong,
        });
        for named in faults::all() {
            let (failed, cuts) = faults::run(&named, shown.seed, self.fault_cuts).await?;
            println!("{}: {:?}", named.name, cuts.wrong);
            shown.faults.push((named.name, failed, cuts));
        }
        Ok(())
    }

    fn kill(&self, shown: &mut Shown) -> io::Result<()> {
        let mut steps = kills::served_steps();
        let mut per_step = self.per_step;
        if self.some_steps > 0 {
            let mut chance = Chance::new(shown.seed);
            steps.sort_by_cached_key(|_| chance.next());
            steps.truncate(self.some_steps);
            per_step = 1;
        } else if per_step == 0 {
            steps.clear();
        }
        let jobs = self.jobs.max(1);
        let at_steps = steps.len() as u64 * per_step;
        let random = self.kills.saturating_sub(at_steps).div_ceil(jobs);
        let seed = shown.seed;
        let all: Vec<io::Result<Kills>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs)
                .map(|job| {
                    let mine = steps
                        .iter()
                        .copied()
                        .skip(usize::try_from(job).unwrap_or(0));
                    let mine: Vec<_> = mine.step_by(usize::try_from(jobs).unwrap_or(1)).collect();
                    let hilum: &Path = &self.hilum;
                    scope.spawn(move || {
                        job_of(
                            hilum,
                            seed ^ job << 40,
                            &mine,
                            per_step,
                            random,
                            self.until(),
                        )
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| {
                    worker
                        .join()
                        .unwrap_or_else(|_| Err(io::Error::other("a killer panicked")))
                })
                .collect()
        });
        for kills in all {
            shown.kills.add(kills?);
        }
        let runtime = tokio::runtime::Runtime::new()?;
        let hasty = Killer::new(&self.hilum, seed.wrapping_add(77))?;
        let hasty = runtime.block_on(hasty.hasty(20))?;
        shown.controls.push(Control {
            without: "waiting for the commit before acknowledging (SIGKILL)".to_owned(),
            tried: hasty.kills,
            found: hasty.wrong,
        });
        Ok(())
    }
}

fn job_of(
    hilum: &Path,
    seed: u64,
    steps: &[&'static str],
    per_step: u64,
    random: u64,
    until: Option<Instant>,
) -> io::Result<Kills> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut killer = Killer::new(hilum, seed)?;
    runtime.block_on(killer.at_steps(steps, per_step))?;
    if killer.done.wrong.is_none() {
        runtime.block_on(killer.random(random, until))?;
    }
    Ok(killer.done)
}

impl Cuts {
    fn add(&mut self, more: Self) {
        self.tried += more.tried;
        self.looked_for += more.looked_for;
        self.wrong = self.wrong.take().or(more.wrong);
    }
}

impl Kills {
    fn add(&mut self, more: Self) {
        self.kills += more.kills;
        self.sent += more.sent;
        self.acknowledged += more.acknowledged;
        self.verified += more.verified;
        for (step, kills) in more.steps {
            *self.steps.entry(step).or_default() += kills;
        }
        self.wrong = self.wrong.take().or(more.wrong);
    }
}
