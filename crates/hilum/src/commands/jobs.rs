//! `hilum jobs list|replay`

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use hilum_contracts::ids::TenantId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::running::Connection;
use super::{Doors, Installation, tenant, tenant_name};
use crate::terminal;

#[derive(Args)]
pub(crate) struct Jobs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Work that was given up, waits or is being done; and events that a service could not take.
    List(List),
    /// Start anew what was given up.
    Replay(Replay),
}

#[derive(Args)]
struct List {
    /// Where the jobs stand.
    #[arg(long, value_enum, default_value_t = State::Dead)]
    state: State,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Args)]
struct Replay {
    /// What to start anew, by its id as `hilum jobs list` shows it.
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// Everything that was given up.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Args)]
struct Shared {
    /// Whose work it is [default: the first tenant].
    #[arg(long, value_name = "NAME", value_parser = tenant_name)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// Given up: tried as often as makes sense, or refused for good.
    Dead,
    /// Due now or later.
    Waiting,
    /// Being done.
    Running,
}

/// What was given up, or a job in another state.
struct Work {
    id: String,
    service: String,
    what: String,
    attempts: i64,
    reason: Option<String>,
    since: String,
    /// Where it is started anew.
    replay: String,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Job {
    id: String,
    service: String,
    what: String,
    attempts: i64,
    reason: Option<String>,
    created_at: String,
}

#[derive(Deserialize)]
struct Letter {
    consumer: String,
    event_id: String,
    kind: String,
    attempts: i64,
    reason: Option<String>,
    received_at: String,
}

impl From<Job> for Work {
    fn from(job: Job) -> Self {
        let replay = format!("/api/v1/jobs/{}/{}/replay", job.service, job.id);
        Self {
            id: job.id,
            service: job.service,
            what: job.what,
            attempts: job.attempts,
            reason: job.reason,
            since: job.created_at,
            replay,
        }
    }
}

impl From<Letter> for Work {
    fn from(letter: Letter) -> Self {
        let Letter {
            consumer, event_id, ..
        } = &letter;
        let replay = format!("/api/v1/dead-letters/{consumer}/{event_id}/replay");
        let service = consumer.split('.').next().unwrap_or(consumer).to_owned();
        Self {
            what: format!("event {}", letter.kind),
            id: letter.event_id,
            service,
            attempts: letter.attempts,
            reason: letter.reason,
            since: letter.received_at,
            replay,
        }
    }
}

impl Jobs {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::List(list) => list.run().await,
            Command::Replay(replay) => replay.run().await,
        }
    }
}

impl Shared {
    async fn connect(&self) -> anyhow::Result<Connection> {
        let config = self.installation.load(&Doors::default())?;
        let tenant = tenant(&config, self.tenant.as_ref())?;
        let running = Connection::of(&config.data, Some(tenant.as_str())).await?;
        running.context(
            "no Hilum serves this data folder, so nothing is worked on: start it with `hilum serve`",
        )
    }
}

/// Jobs in a state; with those that were given up, events that were.
async fn work(running: &mut Connection, state: State) -> anyhow::Result<Vec<Work>> {
    let value = state.to_possible_value();
    let name = value.as_ref().map_or("dead", |value| value.get_name());
    let path = format!("/api/v1/jobs?state={name}");
    let jobs: Page<Job> = running.ask(http::Method::GET, &path, None::<&()>).await?;
    let mut work: Vec<Work> = jobs.items.into_iter().map(Work::from).collect();
    if state == State::Dead {
        let letters: Page<Letter> = running
            .ask(http::Method::GET, "/api/v1/dead-letters", None::<&()>)
            .await?;
        work.extend(letters.items.into_iter().map(Work::from));
    }
    Ok(work)
}

impl List {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut running = self.shared.connect().await?;
        let work = work(&mut running, self.state).await?;
        if self.shared.json {
            let items: Vec<Value> = work
                .iter()
                .map(|one| {
                    json!({ "id": one.id, "service": one.service, "what": one.what,
                        "attempts": one.attempts, "reason": one.reason, "since": one.since })
                })
                .collect();
            terminal::line(json!({ "items": items }));
            return Ok(ExitCode::SUCCESS);
        }
        if work.is_empty() {
            terminal::line(match self.state {
                State::Dead => "Nothing was given up.",
                State::Waiting => "Nothing waits.",
                State::Running => "Nothing is being done.",
            });
        }
        for one in &work {
            terminal::line(format_args!("{}  {}: {}", one.id, one.service, one.what));
            let tries = terminal::counted(one.attempts.unsigned_abs(), "try", "tries");
            let since = &one.since;
            match &one.reason {
                Some(reason) => {
                    terminal::line(format_args!("    since {since}, {tries}. {reason}"));
                }
                None => terminal::line(format_args!("    since {since}, {tries}")),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Replay {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut running = self.shared.connect().await?;
        let dead = work(&mut running, State::Dead).await?;
        let (mut started, mut refused) = (Vec::new(), Vec::new());
        let chosen: Vec<&Work> = match self.all {
            true => dead.iter().collect(),
            false => {
                let mut chosen = Vec::new();
                for id in &self.ids {
                    match dead.iter().find(|one| one.id == *id) {
                        Some(one) => chosen.push(one),
                        None => refused
                            .push((id.as_str(), "nothing of this id was given up".to_owned())),
                    }
                }
                chosen
            }
        };
        for one in chosen {
            match running
                .ask::<Value>(http::Method::POST, &one.replay, None::<&()>)
                .await
            {
                Ok(_) => started.push(one.id.as_str()),
                Err(error) => refused.push((one.id.as_str(), error.to_string())),
            }
        }
        if self.shared.json {
            let refused: Vec<Value> = refused
                .iter()
                .map(|(id, why)| json!({ "id": id, "why": why }))
                .collect();
            terminal::line(json!({ "started": started, "refused": refused }));
        } else {
            terminal::line(format_args!(
                "{} started anew.",
                terminal::counted(started.len() as u64, "job", "jobs")
            ));
            for (id, why) in &refused {
                terminal::note(format_args!("{id}: {why}"));
            }
        }
        Ok(match refused.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}
