//! Which ids spans get, and which traces are kept.

use std::cell::Cell;

use hilum_contracts::ids::CorrelationId;
use opentelemetry::trace::{Link, SpanId, SpanKind, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SamplingDecision, SamplingResult, ShouldSample,
};

thread_local! {
    /// Of whom the span is the first that this thread is about to begin.
    static FIRST: Cell<Option<CorrelationId>> = const { Cell::new(None) };
}

/// Begins the first span of a correlation id: it has the ids that everybody
/// derives from that.
pub(super) fn first<T>(id: CorrelationId, begin: impl FnOnce() -> T) -> T {
    FIRST.set(Some(id));
    let begun = begin();
    FIRST.set(None);
    begun
}

/// The span id of the first span: the half of the correlation id that is random
/// in UUIDs of versions 4 and 7, and never zero (RFC 9562 §4.1).
pub(super) fn root(id: CorrelationId) -> SpanId {
    SpanId::from(lower(*id.0.as_bytes()))
}

fn lower(bytes: [u8; 16]) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = bytes;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Random ids, but for the first span of a correlation id.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        match FIRST.get() {
            Some(id) => super::trace(id),
            None => self.0.new_trace_id(),
        }
    }

    fn new_span_id(&self) -> SpanId {
        match FIRST.get() {
            Some(id) => root(id),
            None => self.0.new_span_id(),
        }
    }
}

/// Keeps a part of the traces, chosen by the trace id: every process chooses the
/// same ones. Not the SDK's own, which looks at bits that are fixed in a UUID.
#[derive(Clone, Debug)]
pub(super) struct Share(pub(super) f64);

impl Share {
    fn keeps(&self, trace: TraceId) -> bool {
        // The last half of the half: before it a UUID has its variant, and those of version 7
        // that are made in the same millisecond count there (RFC 9562 §6.2).
        let [.., a, b, c, d] = trace.to_bytes();
        let random = u32::from_be_bytes([a, b, c, d]);
        f64::from(random) < self.0 * (f64::from(u32::MAX) + 1.0)
    }
}

impl ShouldSample for Share {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|parent| parent.span().span_context().trace_state().clone());
        SamplingResult {
            decision: match self.keeps(trace) {
                true => SamplingDecision::RecordAndSample,
                false => SamplingDecision::Drop,
            },
            attributes: Vec::new(),
            trace_state: parent.unwrap_or(TraceState::NONE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_all_correlation_ids_is_kept_the_same_ones_each_time() {
        for (share, least, most) in [(0.0, 0, 0), (0.25, 400, 600), (1.0, 2_000, 2_000)] {
            let ids: Vec<_> = (0..2_000)
                .map(|index| match index % 2 {
                    0 => CorrelationId(uuid::Uuid::new_v4()),
                    _ => CorrelationId(uuid::Uuid::now_v7()),
                })
                .collect();
            let kept = |id: &&CorrelationId| Share(share).keeps(super::super::trace(**id));
            let count = ids.iter().filter(kept).count();
            assert!((least..=most).contains(&count), "{share}: {count}");
            assert_eq!(ids.iter().filter(kept).count(), count);
        }
    }
}
