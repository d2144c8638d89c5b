//! What Prometheus' own libraries tell of every process, under the names that they give it
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>). Read when it is asked for, from
//! `/proc`; where there is none, nothing is told.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads the numbers of this process.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let numbers = [
            ("process_resident_memory_bytes", "Memory in use, in bytes", resident_bytes()),
            ("process_open_fds", "Open file handles", open_handles()),
            ("process_max_fds", "File handles that may be open", most_handles()),
        ];
        for (name, help, number) in numbers {
            let Some(number) = number else { continue };
            let gauge = ConstGauge::new(number);
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

fn open_handles() -> Option<i64> {
    i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

fn most_handles() -> Option<i64> {
    let (soft, _) = rlimit::Resource::NOFILE.get().ok()?;
    i64::try_from(soft).ok()
}
