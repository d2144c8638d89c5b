//! Every request, answer, event and fault, in the order in which they happened in this process.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use crate::act::{Act, Outcome};
use crate::record::Log;
use crate::told::Told;

/// A mutation, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Who asked, by id.
    pub(crate) user: String,
    pub(crate) node: usize,
    /// The connection that was named.
    pub(crate) connection: Option<String>,
    pub(crate) act: Act,
    pub(crate) began: u64,
    /// Absent when the run ended before.
    pub(crate) ended: Option<(u64, Outcome)>,
}

impl Call {
    /// What came of it, if anything.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.ended.as_ref().map(|(_, outcome)| outcome)
    }
}

/// What a device follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// `events`, everywhere.
    Everything,
    /// `messageSent` in one conversation.
    MessagesIn(String),
}

/// From where a device follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// The cursor of the empty log.
    Beginning,
    /// The cursor with which its first connection was acknowledged.
    After(String),
    /// It was never connected.
    Nowhere,
}

/// A device, and everything that it was told in one epoch of the log.
#[derive(Debug, Clone)]
pub(crate) struct DevicePast {
    /// Its connection id, which it keeps in the next epoch, and no other device has.
    pub(crate) connection: String,
    /// Whose it is, by id.
    pub(crate) user: String,
    pub(crate) scope: Scope,
    pub(crate) start: Start,
    /// When that was.
    pub(crate) began: u64,
    pub(crate) told: Vec<Told>,
    /// When each of `told` arrived.
    pub(crate) times: Vec<u64>,
    /// Its connections: made, lost, closed.
    pub(crate) notes: Vec<(u64, String)>,
    /// How often it subscribed.
    pub(crate) subscribed: u64,
    /// Whether it was told that its cursor has expired. What it was told from then on is another one's past.
    pub(crate) has_expired: bool,
}

impl DevicePast {
    pub(crate) fn new(connection: String, user: String, scope: Scope, start: Start) -> Self {
        Self {
            connection,
            user,
            scope,
            start,
            began: 0,
            told: Vec::new(),
            times: Vec::new(),
            notes: Vec::new(),
            subscribed: 0,
            has_expired: false,
        }
    }
}

/// How the log went back to what it was, and another future began. Times are milliseconds since the history began.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    /// What was answered before this is in both.
    pub(crate) kept: u64,
    /// What was answered before this is in the log that is lost.
    pub(crate) since: u64,
    /// What was asked after this is in the log that goes on.
    pub(crate) until: u64,
    /// The log that is lost, all of it; absent when the log that goes on has everything that was answered.
    pub(crate) lost: Option<Log>,
}

/// All that happened. Times are milliseconds since the history began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    pub(crate) calls: Vec<Call>,
    pub(crate) devices: Vec<DevicePast>,
    pub(crate) faults: Vec<(u64, String)>,
    /// Absent when the log never went back.
    pub(crate) turn: Option<Turn>,
    /// What herald should never have said or done, whatever went on.
    pub(crate) strange: Vec<(u64, String)>,
}

/// The history while it is being made.
#[derive(Debug)]
pub(crate) struct History {
    began: Instant,
    past: Mutex<Past>,
}

impl History {
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), past: Mutex::default() }
    }

    /// Milliseconds since it began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// All that has happened so far.
    pub(crate) fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something is asked. The answer is its place in the list of calls.
    pub(crate) fn invoke(&self, user: &str, node: usize, connection: Option<&str>, act: &Act) -> usize {
        let call = Call {
            user: user.to_owned(),
            node,
            connection: connection.map(str::to_owned),
            act: act.clone(),
            began: self.now(),
            ended: None,
        };
        let mut past = self.past();
        past.calls.push(call);
        past.calls.len() - 1
    }

    /// Notes what came of a call.
    pub(crate) fn complete(&self, call: usize, outcome: Outcome) {
        let now = self.now();
        if let Some(call) = self.past().calls.get_mut(call) {
            call.ended = Some((now, outcome));
        }
    }

    /// Adds a device. The answer is its place in the list of devices.
    pub(crate) fn add_device(&self, device: DevicePast) -> usize {
        let mut past = self.past();
        past.devices.push(device);
        past.devices.len() - 1
    }

    /// Changes what is known of a device.
    pub(crate) fn device<T>(&self, device: usize, change: impl FnOnce(&mut DevicePast) -> T) -> T {
        change(&mut self.past().devices[device])
    }

    /// Notes that a device was told something.
    pub(crate) fn tell(&self, device: usize, told: Told) {
        let now = self.now();
        self.device(device, |device| {
            device.told.push(told);
            device.times.push(now);
        });
    }

    /// Notes something about a device's connections.
    pub(crate) fn note(&self, device: usize, note: impl Into<String>) {
        let now = self.now();
        self.device(device, |device| device.notes.push((now, note.into())));
    }

    /// Notes a fault, or its end.
    pub(crate) fn fault(&self, fault: impl Into<String>) {
        let now = self.now();
        self.past().faults.push((now, fault.into()));
    }

    /// Notes that the log goes back.
    pub(crate) fn turn(&self, turn: Turn) {
        self.past().turn = Some(turn);
    }

    /// Notes that a device's cursor has expired. The answer is its place in the list of devices from now on.
    pub(crate) fn expire(&self, device: usize) -> usize {
        let expired = self.device(device, |device| {
            device.has_expired = true;
            DevicePast::new(
                device.connection.clone(),
                device.user.clone(),
                device.scope.clone(),
                Start::Nowhere,
            )
        });
        self.add_device(expired)
    }

    /// Notes what should never have been.
    pub(crate) fn strange(&self, what: impl Into<String>) {
        let now = self.now();
        self.past().strange.push((now, what.into()));
    }
}

impl Past {
    /// Whether a device has still to be told that the log went back.
    pub(crate) fn must_expire(&self, device: &DevicePast) -> bool {
        let turned = self.turn.as_ref().map_or(0, |turn| turn.since);
        !device.has_expired && device.start != Start::Nowhere && device.began < turned
    }

    /// Writes everything as JSON lines, in the order of time.
    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut lines = Vec::new();
        for (number, call) in self.calls.iter().enumerate() {
            let act = format!("{:?}", call.act);
            lines.push((
                call.began,
                json!({ "call": number, "user": call.user, "node": call.node,
                    "connection": call.connection, "act": act }),
            ));
            if let Some((ended, outcome)) = &call.ended {
                lines.push((*ended, json!({ "call": number, "outcome": format!("{outcome:?}") })));
            }
        }
        for device in &self.devices {
            for (told, time) in device.told.iter().zip(&device.times) {
                let what = format!("{:?}", told.what);
                lines.push((
                    *time,
                    json!({ "device": device.connection, "user": device.user, "cursor": told.cursor,
                        "conversation": told.conversation, "at": told.at, "told": what }),
                ));
            }
            for (time, note) in &device.notes {
                lines.push((*time, json!({ "device": device.connection, "note": note })));
            }
        }
        lines.extend(self.faults.iter().map(|(time, fault)| (*time, json!({ "fault": fault }))));
        lines.extend(self.strange.iter().map(|(time, what)| (*time, json!({ "strange": what }))));
        lines.sort_by_key(|(time, _)| *time);
        write_lines(path, lines)
    }
}

fn write_lines(path: &Path, lines: Vec<(u64, Value)>) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for (time, mut line) in lines {
        line["ms"] = time.into();
        writeln!(file, "{line}")?;
    }
    file.flush()
}
