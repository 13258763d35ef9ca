//! One part broken in one way, for a time, and what was seen of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::ledger::Series;
use crate::load::Load;
use crate::noticing::Window;
use crate::rows::{Fault, Row};
use crate::seen::{Asked, Function, recovered, told};
use crate::world::World;

/// Of each function, in a row, before it counts as well.
const ENOUGH: usize = 3;
/// What is not well after this is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long after a fault's end everything worked and nothing waited, and what was
/// the last to; or what is not well at all.
pub(crate) type Recovery = Result<(Duration, &'static str), String>;

/// What was seen.
pub(crate) struct Cell {
    pub(crate) row: Row,
    pub(crate) fault: Fault,
    /// Of each function, in the order of [`Function::ALL`].
    pub(crate) functions: Vec<String>,
    pub(crate) results: String,
    pub(crate) deliveries: String,
    /// When the status of another process said so,
    pub(crate) noticed: Option<Duration>,
    /// and when somebody was refused first.
    pub(crate) refused: Option<Duration>,
    /// Instances acknowledged while it lasted.
    pub(crate) acknowledged: usize,
    pub(crate) recovered: Recovery,
}

/// Who breaks, and for how long.
pub(crate) struct Breaking<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) load: &'a Load,
    pub(crate) runtime: &'a Runtime,
    pub(crate) lasts: Duration,
    /// Somebody wants it to end: what was started must end with it.
    pub(crate) interrupted: Arc<AtomicBool>,
}

impl Breaking<'_> {
    /// Waits until everything works.
    pub(crate) fn is_well(&self) -> io::Result<()> {
        let now = Instant::now();
        let well = self.waits(now, now)?;
        well.map(drop)
            .map_err(|what| io::Error::other(format!("before any fault: {what}")))
    }

    fn pause(&self, time: Duration) -> io::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(io::Error::other("interrupted"));
            }
            std::thread::sleep(time.min(LOOK_EVERY));
        }
        Ok(())
    }

    pub(crate) fn cell(&mut self, row: Row, fault: Fault) -> io::Result<Cell> {
        let ground = &self.load.ground;
        let (_, before) = ground.ledger.counts();
        let doors = self.world.doors(row.service());
        let window = Window {
            client: ground.client().clone(),
            door: doors[0],
            token: hilum_testkit::Api(doors[0]).operator_token(),
        };
        self.load.uses(doors);
        let began = Instant::now();
        fault.begins(row, self.world);
        let stop = CancellationToken::new();
        let noticing = self.runtime.spawn(window.noticed(row, stop.clone()));
        self.pause(self.lasts)?;
        stop.cancel();
        let noticed = self.runtime.block_on(noticing).ok().flatten();
        let (_, after) = ground.ledger.counts();
        let mut ended = Instant::now();
        fault.ends(row, self.world);
        // How long a server of others takes to start is not ours to mend.
        if row.service().is_none() {
            ended = Instant::now();
        }
        self.load.uses(self.world.doors(None));
        let recovered = self.waits(began, ended)?;
        let all = ground.seen.since(began);
        let series = ground.ledger.series();
        let of = |function| told(&all, function, began, ended);
        Ok(Cell {
            row,
            fault,
            functions: Function::ALL.into_iter().map(of).collect(),
            results: followed(&series, began, ended, |one| one.result),
            deliveries: followed(&series, began, ended, |one| one.delivered),
            noticed: noticed.map(|at| at - began),
            refused: first_refusal(&all, ended).map(|at| at - began),
            acknowledged: after - before,
            recovered,
        })
    }

    /// Waits until everything works that was broken until `ended`, and everything
    /// has come that was sent before.
    fn waits(&self, began: Instant, ended: Instant) -> io::Result<Recovery> {
        loop {
            match self.recovery(began, ended) {
                Err(_) if ended.elapsed() < GIVEN_UP_AFTER => self.pause(LOOK_EVERY)?,
                found => return Ok(found),
            }
        }
    }

    fn recovery(&self, began: Instant, ended: Instant) -> Recovery {
        let ground = &self.load.ground;
        let all = ground.seen.since(began);
        let mut times = Vec::new();
        for function in Function::ALL {
            // It is done less often, and waiting for more would measure that.
            let enough = match function {
                Function::SignIn => 1,
                _ => ENOUGH,
            };
            match recovered(&all, function, ended, enough) {
                Some(time) => times.push((time, function.name())),
                None => return Err(format!("{} did not come back", function.name())),
            }
        }
        for series in ground
            .ledger
            .series()
            .iter()
            .filter(|one| one.began < ended)
        {
            let mut came = |what: &'static str, at: Option<Instant>| match at {
                Some(at) => {
                    times.push((at.saturating_duration_since(ended), what));
                    Ok(())
                }
                None => Err(format!("{what} of study {} did not come", series.study)),
            };
            came("the acknowledgement", series.acknowledged)?;
            came("results", series.result)?;
            came("deliveries", series.delivered)?;
        }
        times
            .into_iter()
            .max()
            .ok_or_else(|| "nothing was asked".to_owned())
    }
}

impl Cell {
    /// What should have gone on and did not. A fault of seconds may be over before
    /// what follows from an image.
    pub(crate) fn must_go_on(&self, is_short: bool) -> Vec<String> {
        let of = |function| {
            let mut all = Function::ALL.iter().zip(&self.functions);
            let found = all.find(|(one, _)| **one == function);
            found.map_or("", |(_, went)| went.as_str())
        };
        let images = [
            ("C-STORE", of(Function::Dicom)),
            ("STOW-RS", of(Function::Stow)),
        ];
        let mut must: Vec<(&str, &str)> = match (self.row, self.fault) {
            // What waits on a slow way is late.
            (_, Fault::Slowed) => return Vec::new(),
            (Row::Service("imaging"), _) => return Vec::new(),
            (Row::Service(_) | Row::RabbitMq, _) => images.to_vec(),
            (Row::Redis | Row::Replica, _) => images
                .into_iter()
                .chain([
                    ("queries", of(Function::Query)),
                    ("retrieval", of(Function::Retrieve)),
                    ("audit search", of(Function::Search)),
                ])
                .collect(),
            (Row::Postgres | Row::PgBouncer | Row::Bucket, _) => return Vec::new(),
        };
        if self.row == Row::Service("identity") {
            must.push(("queries", of(Function::Query)));
            must.push(("retrieval", of(Function::Retrieve)));
            if !is_short {
                must.push(("results", &self.results));
                must.push(("deliveries", &self.deliveries));
            }
        }
        let stopped = |went: &str| !went.starts_with("on") && went != "none sent";
        let stopped = must.into_iter().filter(|(_, went)| stopped(went));
        stopped
            .map(|(what, went)| format!("{what} should go on: {went}"))
            .collect()
    }
}

fn first_refusal(all: &[Asked], ended: Instant) -> Option<Instant> {
    let refused = all.iter().filter_map(Asked::refused);
    refused.filter(|at| *at < ended).min()
}

/// Whether what follows from a series came while the fault lasted.
fn followed(
    series: &[Series],
    began: Instant,
    ended: Instant,
    came: impl Fn(&Series) -> Option<Instant>,
) -> String {
    let of: Vec<_> = series
        .iter()
        .filter(|one| one.acknowledged.is_some_and(|at| at >= began && at < ended))
        .collect();
    let in_time = of
        .iter()
        .filter(|one| came(one).is_some_and(|at| at < ended));
    match (of.len(), in_time.count()) {
        (0, _) => "none sent".to_owned(),
        (_, 0) => "waited".to_owned(),
        _ => "on".to_owned(),
    }
}
