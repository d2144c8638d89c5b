//! The arguments about how long herald keeps what people said.

use clap::Args;

use super::DAY;
use crate::log::Keep;

/// How long herald keeps what people said.
#[derive(Debug, Clone, Args)]
pub struct RetentionArgs {
    /// Days after which a message is redacted, as if its sender had done it. Its text and metadata are then gone for good.
    /// By default herald keeps them.
    #[arg(long, env = "HERALD_RETAIN_MESSAGES", value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub retain_messages: Option<u32>,
    /// Days after which the log is trimmed: a cursor that is older is refused with CURSOR_EXPIRED. What goes is that
    /// messages were sent and redacted, and by which connections everything came. What people see stays as it is. By
    /// default herald keeps all of it.
    #[arg(long, env = "HERALD_RETAIN_LOG", value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub retain_log: Option<u32>,
}

impl RetentionArgs {
    /// How long to keep what; `None` when everything is kept for ever.
    pub(crate) fn keep(&self) -> Option<Keep> {
        let days = |days: Option<u32>| days.map(|days| DAY * days);
        let keep = Keep { messages: days(self.retain_messages), events: days(self.retain_log) };
        (keep.messages.is_some() || keep.events.is_some()).then_some(keep)
    }
}
