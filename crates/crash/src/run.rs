//! All of it, in one go, and what it showed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum as _;

use crate::chance::Chance;
use crate::faults::{self, Named};
use crate::powercut::{Asked, Working};
use crate::serve::kills::{self, Killer, Kills};
use crate::serve::{self, odd};
use crate::shown::{Control, Shown, needless};

/// What a run consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// SIGKILL of a server.
    Kills,
    /// Power cuts under the archive alone.
    Archive,
    /// Power cuts under a whole server.
    Server,
    /// Faults of the disk, with power cuts after them.
    Faults,
    /// A server that stands still, and a clock that jumps.
    Odd,
    /// The same without what makes it right.
    Controls,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The server, built with debug assertions: others pass no steps.
    #[arg(long)]
    hilum: PathBuf,
    /// Only these parts; may be given several times.
    #[arg(long = "part", value_enum)]
    parts: Vec<Part>,
    /// Kills, those at steps included.
    #[arg(long, default_value_t = 500)]
    kills: u64,
    /// Of them, at each step.
    #[arg(long, default_value_t = 3)]
    per_step: u64,
    /// Only at steps whose names begin so; may be given several times.
    #[arg(long)]
    steps: Vec<String>,
    /// Instead, at this many steps that chance picks, once each.
    #[arg(long, default_value_t = 0)]
    some_steps: usize,
    /// Only faults whose names contain this; may be given several times.
    #[arg(long = "fault")]
    faults: Vec<String>,
    /// Of faults, of kinds of sync that are left out, and of places where a
    /// server stands still: only so many, that chance picks; 0: all.
    #[arg(long, default_value_t = 0)]
    some: usize,
    /// Runs of a server whose record is cut.
    #[arg(long, default_value_t = 2)]
    server_records: u64,
    /// Power cuts of each of them.
    #[arg(long, default_value_t = 200)]
    server_cuts: usize,
    /// Runs of the archive alone whose record is cut.
    #[arg(long, default_value_t = 5)]
    records: u64,
    /// Power cuts of each record.
    #[arg(long, default_value_t = 200)]
    cuts: usize,
    /// Power cuts with one kind of sync left out, until something is found.
    #[arg(long, default_value_t = 300)]
    control_cuts: usize,
    /// Power cuts around each fault.
    #[arg(long, default_value_t = 20)]
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

impl Run {
    pub(crate) fn run(self) -> io::Result<()> {
        let started = Instant::now();
        let mut shown = Shown {
            seed: self.seed.unwrap_or_else(crate::report::seed_of_now),
            left_out: Part::value_variants()
                .iter()
                .copied()
                .filter(|part| !self.does(*part))
                .collect(),
            ..Shown::default()
        };
        let runtime = tokio::runtime::Runtime::new()?;
        let mut killed = Shown {
            seed: shown.seed,
            ..Shown::default()
        };
        std::thread::scope(|scope| {
            let killer = scope.spawn(|| self.kill(&mut killed));
            let cut = runtime.block_on(self.on_disks(&mut shown));
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

    /// Power cuts under the archive alone, and with one kind of sync left out.
    async fn cut_archive(&self, shown: &mut Shown) -> io::Result<()> {
        for number in 0..self.records {
            let seed = shown.seed.wrapping_add(number);
            let working = Working {
                seed,
                ..Working::default()
            };
            let record = working.record()?;
            let cuts = record.cut(self.cuts, seed, &Asked::ARCHIVE).await?;
            shown.archive.add(&record, cuts);
            if shown.archive.cuts.wrong.is_some() {
                return Ok(());
            }
            println!(
                "archive {}: {} power cuts",
                number + 1,
                shown.archive.cuts.tried
            );
            if number == 0 && self.does(Part::Controls) {
                let needed = record.syncs().into_iter().filter(|kind| {
                    self.some == 0 || needless(&format!("the sync of {kind}")).is_none()
                });
                for kind in self.some_of(needed.collect(), seed) {
                    let asked = Asked {
                        ignored: Some(&kind),
                        server: None,
                    };
                    let cuts = record.cut(self.control_cuts, seed, &asked).await?;
                    println!(
                        "without the sync of {kind}: {}",
                        or_nothing(cuts.wrong.as_ref())
                    );
                    shown.controls.push(Control {
                        without: format!("the sync of {kind}"),
                        tried: cuts.tried,
                        found: cuts.wrong,
                    });
                }
            }
        }
        if self.does(Part::Controls) {
            let hasty = Working {
                seed: shown.seed,
                hasty: true,
                ..Working::default()
            };
            let hasty = hasty.record()?;
            let cuts = hasty.cut(self.cuts, shown.seed, &Asked::ARCHIVE).await?;
            shown.controls.push(Control {
                without: "waiting for the commit before acknowledging (power cut)".to_owned(),
                tried: cuts.tried,
                found: cuts.wrong,
            });
        }
        Ok(())
    }

    /// Power cuts under a whole server.
    async fn cut_server(&self, shown: &mut Shown) -> io::Result<()> {
        for number in 0..self.server_records {
            let seed = shown.seed.wrapping_add(1_000 + number);
            let record = serve::cuts::record(&self.hilum, seed)?;
            let asked = Asked {
                ignored: None,
                server: Some(&self.hilum),
            };
            let cuts = record.cut(self.server_cuts, seed, &asked).await?;
            shown.server.add(&record, cuts);
            println!(
                "server {}: {} power cuts",
                number + 1,
                shown.server.cuts.tried
            );
            if shown.server.cuts.wrong.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// What needs a disk of its own.
    async fn on_disks(&self, shown: &mut Shown) -> io::Result<()> {
        if self.does(Part::Archive) {
            self.cut_archive(shown).await?;
        }
        if self.does(Part::Server) {
            self.cut_server(shown).await?;
        }
        if self.does(Part::Faults) {
            let asked = |named: &Named| self.faults.iter().any(|part| named.name.contains(part));
            for named in self.some_of(faults::all(), shown.seed) {
                if !self.faults.is_empty() && !asked(&named) {
                    continue;
                }
                let (failed, cuts) = faults::run(&named, shown.seed, self.fault_cuts).await?;
                println!("{}: {}", named.name, or_nothing(cuts.wrong.as_ref()));
                shown.faults.push((named.name, failed, cuts));
            }
        }
        if self.does(Part::Odd) {
            let places = self.some_of(odd::STILL_AT.to_vec(), shown.seed);
            shown.odd = odd::still(&self.hilum, &places, shown.seed).await?;
            shown
                .odd
                .push(odd::clock(&self.hilum, shown.seed.wrapping_add(7)).await?);
            for odd in &shown.odd {
                println!("{}: {}", odd.name, or_nothing(odd.wrong.as_ref()));
            }
        }
        Ok(())
    }

    /// All of them, or some.
    fn some_of<T>(&self, mut all: Vec<T>, seed: u64) -> Vec<T> {
        if self.some > 0 {
            let mut chance = Chance::new(seed);
            all.sort_by_cached_key(|_| chance.next());
            all.truncate(self.some);
        }
        all
    }

    /// Whether a part was asked for, and can be done.
    fn does(&self, part: Part) -> bool {
        let on_disks = matches!(part, Part::Archive | Part::Server | Part::Faults);
        let asked = self.parts.is_empty() || self.parts.contains(&part);
        asked && !(self.no_powercuts && on_disks)
    }

    fn kill(&self, shown: &mut Shown) -> io::Result<()> {
        if !self.does(Part::Kills) {
            return Ok(());
        }
        let mut steps = kills::steps(&self.steps);
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
        if !self.does(Part::Controls) {
            return Ok(());
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

/// What was found, as the terminal says it.
fn or_nothing(wrong: Option<&String>) -> &str {
    wrong.map_or("nothing wrong", String::as_str)
}
