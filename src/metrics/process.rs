//! The metrics that Prometheus' own libraries have for every process, under the same names
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>). Each is read from `/proc` when it
//! is asked for. A system without `/proc` shows none of them.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

/// Collects the metrics of this process.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let metrics = [
            ("process_resident_memory_bytes", "Memory in use, in bytes", resident_bytes()),
            ("process_open_fds", "Open file descriptors", open_descriptors()),
            ("process_max_fds", "File descriptors that may be open", max_descriptors()),
        ];
        for (name, help, value) in metrics {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    kibibytes.parse::<i64>().ok().map(|kibibytes| kibibytes * 1_024)
}

fn open_descriptors() -> Option<i64> {
    i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

fn max_descriptors() -> Option<i64> {
    let (soft, _) = rlimit::Resource::NOFILE.get().ok()?;
    i64::try_from(soft).ok()
}
