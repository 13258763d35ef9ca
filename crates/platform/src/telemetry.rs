//! Logs and metrics. Logs are JSON lines on standard error; no line and no
//! label carries patient data: the code that logs names identifiers of its own
//! (correlation, run, job) and never a patient's.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For a person at a terminal.
    Text,
}

/// Starts logging to standard error. `HILUM_LOG` sets what is logged, in
/// `tracing`'s filter syntax; `default` otherwise.
pub fn start_logs(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_env("HILUM_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second start, as in tests, leaves the first as it is.
    let _started = match format {
        LogFormat::Json => registry
            .with(layer.json().flatten_event(true).with_current_span(true))
            .try_init(),
        LogFormat::Text => registry.with(layer.compact().with_target(false)).try_init(),
    };
}

/// Starts collecting metrics; the handle writes them as Prometheus reads them.
///
/// # Errors
/// When a recorder was installed before.
pub fn start_metrics() -> Result<PrometheusHandle, String> {
    let builder = PrometheusBuilder::new()
        .set_buckets(&[
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            60.0,
        ])
        .map_err(|error| error.to_string())?;
    builder
        .install_recorder()
        .map_err(|error| error.to_string())
}
