//! Sends traces to a collector, by OTLP over HTTP (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).

use std::time::Duration;
use std::{fmt, io};

use async_trait::async_trait;
use axum::body::Bytes;
use axum::http::{Request, Response, Uri};
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::HttpError;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tokio::runtime::Handle;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::http_client::HttpClient;
use crate::random;
use crate::trouble::{Trouble, causes};

/// Where a collector takes traces, below its endpoint.
const PATH: &str = "/v1/traces";

/// How long herald waits, when it stops, until the last traces are sent.
const LAST_TRACES: Duration = Duration::from_secs(5);

/// Traces cannot be sent.
static UNSENT: Trouble = Trouble::new("traces cannot be sent", "traces are sent again");

/// Why nothing can be traced.
#[derive(Debug, Error)]
pub enum ExporterError {
    /// The certificate authorities of the system cannot be read.
    #[error("the system's certificate authorities cannot be read")]
    Authorities(#[source] io::Error),
    /// The library does not take an environment variable of its own (`OTEL_…`).
    #[error("an environment variable of OpenTelemetry is wrong")]
    Environment(#[source] ExporterBuildError),
}

/// Sends what is traced, in batches, from a thread of its own. What a collector does not take in time is lost.
#[derive(Debug)]
pub struct Exporter {
    provider: SdkTracerProvider,
}

impl Exporter {
    /// Sends to this collector, on the runtime of the caller. Sampling is as `OTEL_TRACES_SAMPLER` says: by default a
    /// trace is kept if its client keeps it, or if it begins here.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn start(endpoint: &Uri) -> Result<Self, ExporterError> {
        let http = HttpClient::new().map_err(ExporterError::Authorities)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Courier { http, runtime: Handle::current() })
            .with_endpoint(format!("{}{PATH}", endpoint.to_string().trim_end_matches('/')))
            .build()
            .map_err(ExporterError::Environment)?;
        let resource = Resource::builder_empty()
            .with_service_name("herald")
            .with_attributes([
                opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                opentelemetry::KeyValue::new("service.instance.id", random::id().to_string()),
            ])
            .with_detector(Box::new(EnvResourceDetector::new()))
            .build();
        let provider =
            SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
        Ok(Self { provider })
    }

    /// Makes traces of herald's spans.
    pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(&self) -> impl Layer<S> + use<S> {
        let tracer = self.provider.tracer("herald");
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_filter(filter_fn(is_traced))
    }

    /// Sends what is not sent yet.
    pub async fn finish(self) {
        let ending = move || self.provider.shutdown_with_timeout(LAST_TRACES);
        // What goes wrong is noted where it is sent.
        let _ = tokio::task::spawn_blocking(ending).await;
    }
}

/// Spans of herald are, but for the one that comes each second.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("herald") && metadata.name() != "refresh"
}

/// Carries the batches. The library calls from a thread that has no runtime.
#[derive(Clone)]
struct Courier {
    http: HttpClient,
    runtime: Handle,
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}

#[async_trait]
impl opentelemetry_http::HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        match self.runtime.spawn(async move { http.send(request).await }).await? {
            Ok(answer) => {
                UNSENT.worked();
                Ok(Response::new(answer))
            }
            Err(error) => {
                UNSENT.note(&causes(&error));
                Err(error.into())
            }
        }
    }
}
