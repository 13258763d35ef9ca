//! Traces (OpenTelemetry): what one piece of work led to, across services,
//! processes and queues. The trace of a piece of work has its correlation id as
//! its trace id, so that whoever knows one has the other, also where nothing else
//! was carried along. Spans name what is done and bear identifiers of our own;
//! never anything of a patient, for what is traced leaves the installation.
//! Off unless configured: then every function here does next to nothing.

mod exporting;
mod identity;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use hilum_contracts::ids::{CorrelationId, TenantId};
use opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue, global};

pub use exporting::{Traces, start};

/// Whether anything is traced.
static ON: AtomicBool = AtomicBool::new(false);

/// A piece of work, from when it is made until its last clone goes.
#[derive(Clone, Debug, Default)]
#[must_use = "it ends when it is dropped"]
pub struct Work(Option<Context>);

impl Work {
    /// The first of a correlation id: an association, a request that stores.
    /// Linked to the request that brought it, which may be of another's trace.
    pub fn first(name: &'static str, id: CorrelationId, tenant: &TenantId) -> Self {
        if !is_on() {
            return Self(None);
        }
        let request = Context::current().span().span_context().clone();
        let this = identity::first(id, || Self::begin(name, SpanKind::Server, &Context::new()));
        if request.is_valid()
            && let Some(context) = &this.0
        {
            context.span().add_link(request, Vec::new());
        }
        this.of(id, tenant)
    }

    /// Work that belongs to a correlation id: what `traceparent` names caused it,
    /// where it is of the same trace, else the first of all.
    pub fn part(
        name: impl Into<Cow<'static, str>>,
        id: CorrelationId,
        traceparent: Option<&str>,
        tenant: &TenantId,
    ) -> Self {
        if !is_on() {
            return Self(None);
        }
        let cause = traceparent
            .and_then(read)
            .filter(|of| of.trace_id() == trace(id));
        let parent = Context::new().with_remote_span_context(cause.unwrap_or_else(|| root(id)));
        Self::begin(name, SpanKind::Internal, &parent).of(id, tenant)
    }

    /// A request that came, of the trace that its sender named.
    pub fn request(name: impl Into<Cow<'static, str>>, traceparent: Option<&str>) -> Self {
        if !is_on() {
            return Self(None);
        }
        let cause = traceparent.and_then(read);
        let parent = cause.map_or_else(Context::new, |cause| {
            Context::new().with_remote_span_context(cause)
        });
        Self::begin(name, SpanKind::Server, &parent)
    }

    /// A step of the work that is being done here.
    pub fn step(name: impl Into<Cow<'static, str>>) -> Self {
        if !is_on() || !Context::current().span().span_context().is_valid() {
            return Self(None);
        }
        Self::begin(name, SpanKind::Internal, &Context::current())
    }

    fn begin(name: impl Into<Cow<'static, str>>, kind: SpanKind, parent: &Context) -> Self {
        let tracer = global::tracer("hilum");
        let builder = tracer.span_builder(name).with_kind(kind);
        let span = tracer.build_with_context(builder, parent);
        Self(Some(parent.with_span(span)))
    }

    fn of(self, id: CorrelationId, tenant: &TenantId) -> Self {
        self.with("hilum.correlation_id", id)
            .with("hilum.tenant", tenant.as_str())
    }

    /// With an identifier of our own, or a word from a closed set.
    pub fn with(self, key: &'static str, value: impl ToString) -> Self {
        if let Some(context) = self.0.as_ref().filter(|of| of.span().is_recording()) {
            let value = KeyValue::new(key, value.to_string());
            context.span().set_attribute(value);
        }
        self
    }

    /// It did not end well; why is in the log.
    pub fn failed(&self) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(""));
        }
    }

    /// Does something as a part of this work, which ends with it unless it was
    /// cloned.
    pub async fn around<F: Future>(self, doing: F) -> F::Output {
        match self.0 {
            Some(context) => doing.with_context(context).await,
            None => doing.await,
        }
    }
}

/// What is being done here, as others are told of it (W3C Trace Context §3.2).
#[must_use]
pub fn current() -> Option<String> {
    if !is_on() {
        return None;
    }
    written(Context::current().span().span_context())
}

/// What caused something of a correlation id that is told here: what is being
/// done, where it is of its trace, else the first of all.
#[must_use]
pub fn cause(id: CorrelationId) -> Option<String> {
    if !is_on() {
        return None;
    }
    let context = Context::current();
    let here = context.span().span_context().clone();
    match here.trace_id() == trace(id) {
        true => written(&here),
        false => written(&root(id)),
    }
}

/// Whether anything is traced.
#[must_use]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

fn trace(id: CorrelationId) -> TraceId {
    TraceId::from_bytes(*id.0.as_bytes())
}

/// The span of whoever began the work of a correlation id.
fn root(id: CorrelationId) -> SpanContext {
    SpanContext::new(
        trace(id),
        identity::root(id),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    )
}

fn written(span: &SpanContext) -> Option<String> {
    span.is_valid().then(|| {
        let flags = span.trace_flags().to_u8();
        format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())
    })
}

/// A `traceparent` of version 00, or a later one's first four fields.
fn read(text: &str) -> Option<SpanContext> {
    let lowercase = |part: &str| !part.bytes().any(|b| b.is_ascii_uppercase());
    let mut parts = text.split('-').filter(|part| lowercase(part));
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = version.len() == 2 && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
    if !whole || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_it_is_written_and_nothing_else_is() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(written(&read(text).unwrap()).unwrap(), text);
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473ö-00f067aa0ba902b-01",
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_told_while_nothing_is_traced() {
        assert_eq!(cause(CorrelationId::new()), None);
        assert_eq!(current(), None);
    }
}
