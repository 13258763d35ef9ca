//! A collector of traces: OTLP over HTTP, in the published form.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::runtime::Runtime;

use crate::peers::free_address;

/// A span as it came.
#[derive(Clone, Debug)]
pub struct Traced {
    /// Trace id, in hexadecimal.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// That of what caused it; empty: it is a trace's first.
    pub parent: String,
    /// What was done.
    pub name: String,
    /// Identifiers.
    pub attributes: BTreeMap<String, String>,
    /// The traces that it is linked to.
    pub links: Vec<String>,
}

/// A collector.
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Traced>>>,
    runtime: Option<Runtime>,
}

impl Collector {
    /// A place for one that does not listen yet.
    #[must_use]
    pub fn down() -> Self {
        Self {
            address: free_address(),
            spans: Arc::default(),
            runtime: None,
        }
    }

    /// Begins to listen.
    pub fn comes_up(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let spans = Arc::clone(&self.spans);
        let take = move |body: Bytes| async move {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let resources = request.resource_spans.into_iter();
            let scopes = resources.flat_map(|of| of.scope_spans);
            let came = scopes.flat_map(|of| of.spans).map(read);
            spans.lock().unwrap().extend(came);
        };
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(self.address))
            .unwrap();
        let router = Router::new().route("/v1/traces", post(take));
        runtime.spawn(async move { axum::serve(listener, router).await });
        self.runtime = Some(runtime);
    }

    /// What a Hilum is told to send to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Traced> {
        self.spans.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn read(span: Span) -> Traced {
    let attributes = span.attributes.into_iter().filter_map(|attribute| {
        let value = match attribute.value?.value? {
            Value::StringValue(text) => text,
            other => format!("{other:?}"),
        };
        Some((attribute.key, value))
    });
    Traced {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        attributes: attributes.collect(),
        links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
