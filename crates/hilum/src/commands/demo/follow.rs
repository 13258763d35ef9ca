//! Follows a study to its result over the same interface that the web
//! application uses.

use std::time::Duration;

use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use http::{Request, header};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tower::ServiceExt as _;

use crate::compose::Hilum;
use crate::terminal;

/// How often the interface is asked.
const POLL: Duration = Duration::from_millis(100);
/// Longest answer that is read.
const ANSWER_MAX: usize = 4 << 20;

/// What the demo shows of a run.
pub(crate) struct Followed {
    pub(crate) volume_cm3: f64,
    pub(crate) model: String,
    pub(crate) complete_because: String,
    pub(crate) warnings: Vec<String>,
    pub(crate) last_slice_to_result_seconds: f64,
    pub(crate) model_seconds: f64,
}

/// Waits until a run of the study ends.
pub(crate) async fn result_of(hilum: &Hilum, study_uid: &str) -> anyhow::Result<Followed> {
    let spinner = terminal::spinner("waiting");
    let run = loop {
        let runs = get(hilum, &format!("/api/v1/runs?study_uid={study_uid}")).await?;
        let run = runs.pointer("/items/0").cloned().unwrap_or_default();
        match text(&run, "/state").as_str() {
            "succeeded" => break run,
            "refused" | "failed" => {
                anyhow::bail!("the model gave no result: {}", text(&run, "/reason"))
            }
            "" => spinner.set_message("for quiet after the last image"),
            state => spinner.set_message(format!("{state}: {}", text(&run, "/step"))),
        }
        tokio::time::sleep(POLL).await;
    };
    spinner.finish_and_clear();
    let study = get(hilum, &format!("/api/v1/studies/{study_uid}")).await?;
    let complete_because = study
        .pointer("/series")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find_map(|series| series.pointer("/input_sets/0/reason"))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let volume_cm3 = run
        .pointer("/measurements/0/value")
        .and_then(Value::as_f64)
        .context("the result holds no measurement")?;
    let warnings = run
        .pointer("/warnings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|warning| text(warning, "/text"))
        .collect();
    Ok(Followed {
        volume_cm3,
        model: format!(
            "{} {}",
            text(&run, "/model/name"),
            text(&run, "/model/version")
        ),
        complete_because,
        warnings,
        last_slice_to_result_seconds: (time(&run, "/finished_at")? - time(&run, "/last_slice_at")?)
            .as_seconds_f64(),
        model_seconds: run
            .pointer("/seconds_model")
            .and_then(Value::as_f64)
            .unwrap_or_default(),
    })
}

async fn get(hilum: &Hilum, path: &str) -> anyhow::Result<Value> {
    let request = Request::get(path)
        .header(header::HOST, "localhost")
        .header(header::AUTHORIZATION, hilum.operator.bearer())
        .body(Body::empty())?;
    let response = hilum.router.clone().oneshot(request).await?;
    let status = response.status();
    let body = to_bytes(response.into_body(), ANSWER_MAX).await?;
    anyhow::ensure!(status.is_success(), "{path} answered {status}");
    Ok(serde_json::from_slice(&body)?)
}

fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn time(value: &Value, pointer: &str) -> anyhow::Result<OffsetDateTime> {
    OffsetDateTime::parse(&text(value, pointer), &Rfc3339)
        .with_context(|| format!("the run has no time {pointer}"))
}
