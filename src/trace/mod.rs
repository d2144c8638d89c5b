//! Traces: the way of a request, from the client through the batch to the deliveries, as OpenTelemetry writes it down.
//!
//! The spans are those of `tracing`, where the work is done. Here lives what makes traces of them: where a trace goes
//! on ([`TraceContext`]) and where it is sent ([`Exporter`]). Without `--otlp-endpoint` nothing is traced, and a span
//! that the log does not show costs nothing. What never lives here: what herald logs and counts.

mod exporter;

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceState};
use opentelemetry::{Context, propagation};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub use exporter::{Exporter, ExporterError};

/// The names of W3C Trace Context (<https://www.w3.org/TR/trace-context/>): of two headers, and of the member of a
/// `connection_init` payload and of an operation's extensions that has what the first header has.
pub(crate) const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The longest `tracestate` that is passed on. The recommendation asks for at least so much (section 3.3.1.5).
const MAX_TRACESTATE_BYTES: usize = 512;

/// A place in a trace: what comes next is a child of this span. A clone costs one atomic increment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext(Arc<SpanContext>);

impl TraceContext {
    /// The place that a client names in its headers. `None` if it names none, or none that can be read: then a trace
    /// begins here, as W3C Trace Context says.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let parent = headers.get(TRACEPARENT)?.to_str().ok()?;
        let state = headers.get(TRACESTATE).and_then(|state| state.to_str().ok());
        Self::read(parent, state.filter(|state| state.len() <= MAX_TRACESTATE_BYTES))
    }

    /// The place that a text names which has the form of the header `traceparent`. `None` if it names none.
    pub(crate) fn of_text(parent: &str) -> Option<Self> {
        Self::read(parent, None)
    }

    fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        let headers = [(TRACEPARENT, Some(parent)), (TRACESTATE, state)];
        let carrier = Carrier(headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect());
        Self::of_context(&TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier))
    }

    /// The place of a span, without what vendors keep in the trace's state: events carry it along, once for each
    /// subscriber. `None` if the span is not in a trace.
    pub(crate) fn of(span: &Span) -> Option<Self> {
        if span.is_disabled() {
            return None;
        }
        let Self(place) = Self::of_context(&span.context())?;
        let (trace, span, flags) = (place.trace_id(), place.span_id(), place.trace_flags());
        Some(Self(Arc::new(SpanContext::new(trace, span, flags, false, TraceState::NONE))))
    }

    /// The same, if the trace is kept.
    pub(crate) fn of_kept(span: &Span) -> Option<Self> {
        Self::of(span).filter(|place| place.0.is_sampled())
    }

    fn of_context(context: &Context) -> Option<Self> {
        let context = context.span().span_context().clone();
        context.is_valid().then(|| Self(Arc::new(context)))
    }

    /// Makes a span, which has just begun, a child of this place.
    pub(crate) fn continue_in(&self, span: &Span) {
        // It fails where nothing is traced.
        let _ = span.set_parent(Context::new().with_remote_span_context(SpanContext::clone(&self.0)));
    }

    /// The place in the form of the header `traceparent`.
    pub(crate) fn to_text(&self) -> String {
        let context = &*self.0;
        format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
    }
}

/// Begins a trace with a span that has just begun, and links it to the span around it.
pub(crate) fn begin(span: &Span) {
    if span.is_disabled() {
        return;
    }
    span.follows_from(Span::current());
    // It fails where nothing is traced.
    let _ = span.set_parent(Context::new());
}

/// Headers, for the library that reads them.
struct Carrier<'a>(HashMap<&'static str, &'a str>);

impl propagation::Extractor for Carrier<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).copied()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_place_is_written_as_it_was_read() {
        assert_eq!(TraceContext::of_text(PARENT).unwrap().to_text(), PARENT);
    }

    #[test]
    fn what_names_no_place_is_ignored() {
        for text in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
            "💥",
        ] {
            assert_eq!(TraceContext::of_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_span_that_nothing_traces_has_no_place() {
        let span = tracing::info_span!("untraced");
        TraceContext::of_text(PARENT).unwrap().continue_in(&span);
        assert_eq!(TraceContext::of(&span), None);
    }
}
