//! A device: it follows, loses its connection in every possible way, and comes back with its last cursor.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout};

use crate::history::{DevicePast, History, Scope, Start};
use crate::link::{Following, Link, Way};
use crate::person::Person;
use crate::phase::{Phase, Phases};
use crate::socket::Heard;
use crate::told::Told;

/// How long a device hears nothing, not even a ping, before it takes its connection for dead.
const SILENCE: Duration = Duration::from_secs(15);

/// Close codes after which a client is to come back: herald stops (1001, 1012), has no database (1013), or
/// did not hear `connection_init` in time (4408), which a network that holds bytes back can bring about.
const COME_BACK: [u16; 4] = [1001, 1012, 1013, 4408];

/// How a device behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temper {
    /// Keeps its connection, and reads at once.
    Steady,
    /// Hangs up after seconds.
    Restless,
    /// Often stops reading for a while, now and then until herald gives up on it.
    Slow,
}

/// What devices share.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The ports by which the nodes are reached.
    pub(crate) ports: Arc<[u16]>,
    pub(crate) history: Arc<History>,
    /// The key of a service.
    pub(crate) key: Arc<str>,
}

/// A device of somebody's.
pub(crate) struct Device {
    around: Surroundings,
    person: Arc<Person>,
    connection: String,
    scope: Scope,
    way: Way,
    temper: Temper,
    random: Rng,
    /// Its place in the history.
    index: usize,
    /// The cursor with which it began.
    first: Option<String>,
    /// The last cursor that it was shown.
    cursor: Option<String>,
    /// Whether it needs a new snapshot, since its cursor has expired.
    has_expired: bool,
}

impl Device {
    /// A device that follows from a cursor, or from where its first connection is acknowledged. `beginning`
    /// is the cursor of the empty log.
    pub(crate) fn new(
        around: &Surroundings,
        person: &Arc<Person>,
        connection: &str,
        scope: Scope,
        beginning: Option<&str>,
        mut random: Rng,
    ) -> Self {
        let start = if beginning.is_some() { Start::Beginning } else { Start::Nowhere };
        let past = DevicePast::new(connection.to_owned(), person.id.clone(), scope.clone(), start);
        let temper = match random.u32(0..6) {
            0 | 1 => Temper::Restless,
            2 => Temper::Slow,
            _ => Temper::Steady,
        };
        let way = Way::draw(&mut random);
        person.knowledge().connections.push(connection.to_owned());
        Self {
            around: around.clone(),
            person: Arc::clone(person),
            connection: connection.to_owned(),
            scope,
            way,
            temper,
            random,
            index: around.history.add_device(past),
            first: beginning.map(str::to_owned),
            cursor: beginning.map(str::to_owned),
            has_expired: false,
        }
    }

    /// Follows until the round is over.
    pub(crate) async fn run(mut self, mut phases: Phases) {
        while phases.now() != Phase::Over {
            let node = self.random.usize(0..self.around.ports.len());
            let mut ending = phases.clone();
            let ended = tokio::select! {
                () = ending.reach(Phase::Over) => return,
                ended = self.follow(node, &mut phases) => ended,
            };
            self.around.history.note(self.index, format!("node {node}: {ended}"));
            // A person who takes no part in the followed conversation may be added again.
            let pause = if self.scope == Scope::Everything { 20..300 } else { 100..500 };
            let pause = Duration::from_millis(self.random.u64(pause));
            phases.sleep(pause).await;
        }
    }

    /// Follows on one connection. The answer is why it ended.
    async fn follow(&mut self, node: usize, phases: &mut Phases) -> String {
        let port = self.around.ports[node];
        let has_none = self.cursor.is_none() && self.way.needs_cursor();
        if (self.has_expired || has_none)
            && let Err(why) = self.take_snapshot(port).await
        {
            return why;
        }
        let following = Following {
            token: &self.person.token,
            connection: &self.connection,
            scope: &self.scope,
            first: self.first.as_deref(),
            last: self.cursor.as_deref(),
        };
        let (mut link, offered) = match Link::open(self.way, port, following).await {
            Ok(opened) => opened,
            Err(heard) => return self.judge(heard),
        };
        // An `EventSource` that begins without a cursor was told nothing before.
        let mut begins = self.way == Way::EventStream && self.cursor.is_none();
        let after = self.after(&offered);
        if after != offered {
            let what = format!("asked to go on after {after}, it goes on after {offered}");
            return self.judge(Heard::Strange(what));
        }
        self.around.history.device(self.index, |device| device.subscribed += 1);
        self.around.history.note(self.index, format!("node {node}: follows after {after}, by {}", self.way));
        let patience = self.patience();
        let leaves = Instant::now() + patience;
        loop {
            let heard = tokio::select! {
                () = sleep_until(leaves), if phases.now() == Phase::Acting => return "hung up".into(),
                heard = timeout(SILENCE, link.hear()) => heard,
            };
            match heard.unwrap_or_else(|_| Heard::Lost("silence".into())) {
                Heard::Alive => {}
                Heard::Next(payload) => match self.take(&payload, std::mem::take(&mut begins)) {
                    Ok(()) => self.dawdle(phases).await,
                    Err(why) => return why,
                },
                heard => return self.judge(heard),
            }
        }
    }

    /// The cursor from which it follows now.
    fn after(&mut self, offered: &str) -> String {
        let cursor = self.cursor.get_or_insert_with(|| {
            let (start, began) = (Start::After(offered.to_owned()), self.around.history.now());
            self.around.history.device(self.index, |device| (device.start, device.began) = (start, began));
            offered.to_owned()
        });
        cursor.clone()
    }

    /// Begins anew at the end of the log.
    async fn take_snapshot(&mut self, port: u16) -> Result<(), String> {
        let cursor =
            timeout(SILENCE, self.person.cursor(port)).await.map_err(|_| "no snapshot in time")??;
        self.after(&cursor);
        self.first = Some(cursor);
        self.has_expired = false;
        Ok(())
    }

    /// How long it keeps a connection of its own accord.
    fn patience(&mut self) -> Duration {
        Duration::from_millis(match self.temper {
            Temper::Restless => self.random.u64(200..5_000),
            Temper::Steady | Temper::Slow => self.random.u64(8_000..60_000),
        })
    }

    /// Takes in an answer, which names what the device was told before. If it `begins` without a cursor, that is nothing.
    fn take(&mut self, payload: &Value, begins: bool) -> Result<(), String> {
        let event = payload.get("errors").is_none().then(|| Told::read(&payload["data"]["event"])).flatten();
        let Some(told) = event else {
            // Until a node has noticed that the log went back, it may deliver messages that are gone.
            let is_gone = payload["errors"][0]["extensions"]["code"] == "NOT_FOUND";
            if !is_gone || self.around.history.past().turn.is_none() {
                self.strange(&format!("was told {payload}"));
            }
            return Err(format!("no event: {payload}"));
        };
        let before = if begins { None } else { self.cursor.as_deref() };
        if payload["data"]["event"]["previous"].as_str() != before {
            self.strange(&format!("was told {payload} after {before:?}"));
        }
        self.cursor = Some(told.cursor.clone());
        self.person.learn(&told);
        self.around.history.tell(self.index, told);
        Ok(())
    }

    /// Does not read for a while, where that is its temper.
    async fn dawdle(&mut self, phases: &mut Phases) {
        if self.temper != Temper::Slow || phases.now() != Phase::Acting {
            return;
        }
        let pause = match self.random.u32(0..1_000) {
            0 => 9_000,
            1..=8 => self.random.u64(100..2_000),
            _ => return,
        };
        self.around.history.note(self.index, format!("does not read for {pause} ms"));
        phases.sleep(Duration::from_millis(pause)).await;
    }

    /// What the end of a connection was; what should never be is noted.
    fn judge(&mut self, heard: Heard) -> String {
        let follows_one = self.scope != Scope::Everything;
        let (said, is_expected) = match heard {
            Heard::Refused(errors) => {
                let code = errors[0]["extensions"]["code"].as_str().unwrap_or_default();
                let is_expected = match code {
                    "UNAVAILABLE" => true,
                    // The request came too late.
                    "REQUEST_TIMEOUT" => self.way != Way::WebSocket,
                    "NOT_FOUND" => follows_one,
                    "CURSOR_EXPIRED" => self.expire(),
                    _ => false,
                };
                (format!("refused: {errors}"), is_expected)
            }
            // A person who left the followed conversation receives nothing more of it.
            Heard::Complete => ("complete".to_owned(), follows_one),
            Heard::Closed(code, reason) => {
                let is_expected = code.is_none_or(|code| COME_BACK.contains(&code));
                (format!("closed with {code:?} {reason:?}"), is_expected)
            }
            Heard::Lost(why) => (format!("lost: {why}"), true),
            Heard::Strange(what) => (what, false),
            Heard::Next(payload) => (format!("an answer to nothing: {payload}"), false),
            Heard::Alive => ("alive".to_owned(), true),
        };
        if !is_expected {
            self.strange(&said);
        }
        said
    }

    /// Has no cursor any more. The answer is whether there was a reason: the log went back.
    fn expire(&mut self) -> bool {
        let history = &self.around.history;
        self.index = history.expire(self.index);
        (self.first, self.cursor, self.has_expired) = (None, None, true);
        history.past().turn.is_some()
    }

    fn strange(&self, what: &str) {
        let Self { connection, person, .. } = self;
        self.around.history.strange(format!("device {connection} of {}: {what}", person.handle));
    }
}
