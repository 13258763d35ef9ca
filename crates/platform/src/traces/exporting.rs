//! Where spans go: to a collector, by OTLP over HTTP, in batches and aside. One
//! that is away costs nobody anything but its spans.

use std::fmt;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use axum::body::Body;
use opentelemetry::global;
use opentelemetry_http::{Bytes, HttpClient as Client, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tokio::runtime::Handle;

use super::ON;
use super::identity::{Ids, Share};
use crate::config::Telemetry;
use crate::http_client::HttpClient;
use crate::limits::{
    TRACE_BATCH, TRACE_EVERY, TRACE_EXPORT, TRACE_QUEUED_MAX, TRACE_SPAN_ATTRIBUTES,
};

/// What is traced, until it is ended.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

/// Starts tracing where it is configured, for the whole process.
///
/// # Errors
/// When the collector's address or authorities can't be used.
pub fn start(config: Option<&Telemetry>) -> Result<Traces, String> {
    let Some((telemetry, otlp)) = config.and_then(|of| Some((of, of.otlp.as_ref()?))) else {
        return Ok(Traces(None));
    };
    let wrong = |error: &dyn fmt::Display| format!("configuration: telemetry: {error}");
    let client = HttpClient::new(telemetry.ca_file.as_deref(), None);
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Aside {
            client: client.map_err(|error| wrong(&error))?,
            runtime: Handle::current(),
        })
        .with_endpoint(format!("{}/v1/traces", otlp.trim_end_matches('/')))
        .with_timeout(TRACE_EXPORT)
        .build()
        .map_err(|error| wrong(&error))?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(TRACE_QUEUED_MAX)
        .with_max_export_batch_size(TRACE_BATCH)
        .with_scheduled_delay(TRACE_EVERY)
        .build();
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_id_generator(Ids::default())
        .with_sampler(Share(telemetry.share))
        .with_max_attributes_per_span(TRACE_SPAN_ATTRIBUTES)
        .with_resource(Resource::builder().with_service_name("hilum").build())
        .build();
    global::set_tracer_provider(provider.clone());
    ON.store(true, Ordering::Relaxed);
    Ok(Traces(Some(provider)))
}

impl Traces {
    /// Ends tracing; what waits is sent, if the collector is there.
    pub async fn end(self) {
        let Some(provider) = self.0 else { return };
        ON.store(false, Ordering::Relaxed);
        let ending =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(TRACE_EXPORT));
        if !matches!(ending.await, Ok(Ok(()))) {
            tracing::warn!("the last spans did not reach the collector");
        }
    }
}

/// The process's own HTTP client, asked from the thread that exports.
#[derive(Clone)]
struct Aside {
    client: HttpClient,
    runtime: Handle,
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aside").finish_non_exhaustive()
    }
}

#[async_trait]
impl Client for Aside {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let request = request.map(Body::from);
        let sending = async move { client.send(request, TRACE_EXPORT).await };
        let answer = self.runtime.spawn(sending).await?;
        let outcome = match &answer {
            Ok(answer) if answer.status.is_success() => "accepted",
            Ok(_) => "refused",
            Err(_) => "unreachable",
        };
        metrics::counter!("hilum_trace_exports_total", "outcome" => outcome).increment(1);
        let answer = answer?;
        let mut response = Response::new(answer.body);
        *response.status_mut() = answer.status;
        Ok(response)
    }
}
