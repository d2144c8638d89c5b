//! Counts what happened in a round.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::act::Outcome;
use crate::checker::Evidence;
use crate::history::{Call, Past};

/// The numbers of a round.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    answered: usize,
    refused: usize,
    unknown: usize,
    events: usize,
    /// Times that somebody came back to a conversation, and the most of one person in one conversation.
    returns: (usize, usize),
    devices: usize,
    deliveries: usize,
    resumes: u64,
    faults: BTreeMap<&'static str, u64>,
    /// Events of a log that went back; absent when it never did.
    lost: Option<usize>,
    /// Seconds from the last repair until every device was at the end of the log.
    converged: Option<f64>,
}

impl Summary {
    pub(crate) fn of(
        evidence: &Evidence,
        faults: BTreeMap<&'static str, u64>,
        converged: Option<f64>,
    ) -> Self {
        let Past { calls, devices, turn, .. } = &evidence.past;
        let count = |is: fn(&Outcome) -> bool| {
            calls.iter().filter_map(Call::outcome).filter(|outcome| is(outcome)).count()
        };
        let answered = count(|outcome| matches!(outcome, Outcome::Answered(_)));
        let refused = count(|outcome| matches!(outcome, Outcome::Refused(_)));
        Self {
            answered,
            refused,
            unknown: calls.len() - answered - refused,
            events: evidence.log.events.len(),
            returns: returns(evidence),
            devices: devices.len(),
            deliveries: devices.iter().map(|device| device.told.len()).sum(),
            resumes: devices.iter().map(|device| device.subscribed.saturating_sub(1)).sum(),
            faults,
            lost: turn.as_ref().map(|turn| turn.lost.as_ref().map_or(0, |lost| lost.beyond(&evidence.log))),
            converged,
        }
    }
}

fn returns(evidence: &Evidence) -> (usize, usize) {
    let mut stays: HashMap<(&str, &str), usize> = HashMap::new();
    for part in &evidence.log.parts {
        *stays.entry((&part.conversation, &part.user)).or_default() += 1;
    }
    let returns = || stays.values().map(|stays| stays - 1);
    (returns().sum(), returns().max().unwrap_or(0))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, refused, unknown, events, devices, deliveries, resumes, .. } = self;
        writeln!(f, "  mutations   {answered} answered, {refused} refused, {unknown} unknown")?;
        let (returns, most) = self.returns;
        writeln!(f, "  events      {events}")?;
        writeln!(f, "  returns     {returns}, at most {most} of one person")?;
        writeln!(f, "  deliveries  {deliveries} to {devices} devices, which resumed {resumes} times")?;
        let faults: Vec<String> = self.faults.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(f, "  faults      {}", faults.join(", "))?;
        if let Some(lost) = self.lost {
            writeln!(f, "  lost        {lost} events")?;
        }
        match self.converged {
            Some(seconds) => write!(f, "  converged   {seconds:.1} s after the last repair"),
            None => write!(f, "  converged   never"),
        }
    }
}
