//! One round: people act during faults. Then everything is repaired, every device catches up, and the rules are
//! checked.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::cast::Cast;
use crate::checker::{self, Broken, Evidence, Ledger};
use crate::device::Surroundings;
use crate::ending::{come_and_go, end_sessions};
use crate::fresh::follow_everywhere;
use crate::history::{History, Past};
use crate::nemesis::torment;
use crate::options::{Options, Setting};
use crate::person::Person;
use crate::phase::{Phase, Phases};
use crate::receipts::read_everywhere;
use crate::record;
use crate::rolling::roll;
use crate::summary::Summary;
use crate::world::{SMALL_CONVERSATION, World};

/// How long everything may take to come back once nothing is broken any more. Seconds, but the machine may be busy.
const CONVERGENCE: Duration = Duration::from_secs(40);

/// Pause between two looks whether everyone has caught up.
const LOOK: Duration = Duration::from_millis(500);

/// People who follow from the beginning at every node in the end.
const FRESH: usize = 3;

/// How a round ended.
pub(crate) struct Verdict {
    pub(crate) broken: Option<Broken>,
    /// In words.
    pub(crate) summary: String,
    pub(crate) past: Past,
}

/// Plays a round. The error is that it could not be played.
pub(crate) async fn play(
    options: &Options,
    setting: Setting,
    seed: u64,
    folder: &Path,
) -> Result<Verdict, String> {
    if setting == Setting::Rolling {
        let (broken, summary) = Box::pin(roll(options, seed, folder)).await?;
        return Ok(Verdict { broken, summary, past: Past::default() });
    }
    let mut world = Box::pin(World::start(options, setting, seed, folder)).await?;
    for left_out in &world.left_out {
        crate::say(&format!("  left out: {left_out}"));
    }
    if let Some(broken) = world.broken.take() {
        let summary = "  the nodes did not start".to_owned();
        return Ok(Verdict { broken: Some(broken), summary, past: Past::default() });
    }
    let history = Arc::new(History::begin());
    let key = world.key().await?.into();
    let around = Surroundings { ports: world.ports(), history, key };
    let mut random = Rng::with_seed(seed);
    let cast = Cast::register(&around, options.people, random.fork()).await?;
    let outsider = Arc::new(Person::register(around.ports[0], "outsider").await?);
    let round = Round { world, around, cast, outsider, random };
    Box::pin(round.play(Duration::from_secs(options.seconds))).await
}

struct Round {
    world: World,
    around: Surroundings,
    cast: Cast,
    /// Somebody who takes part in nothing, and whose sessions are ended.
    outsider: Arc<Person>,
    random: Rng,
}

impl Round {
    async fn play(mut self, time: Duration) -> Result<Verdict, String> {
        let (phase, phases) = Phases::begin();
        let mut devices = JoinSet::new();
        self.cast.open_devices(&mut devices, &phases);
        let mut actors = JoinSet::new();
        for actor in self.cast.begin(&mut devices, &phases).await? {
            actors.spawn(actor.run(phases.clone()));
        }
        self.cast.open_doors(&mut actors, &phases).await?;
        let outsider = Arc::clone(&self.outsider);
        actors.spawn(come_and_go(self.around.clone(), outsider, phases.clone(), self.random.fork()));
        let (faults, ()) = tokio::join!(
            torment(&self.world, &self.around.history, self.random.fork(), time),
            self.cast.open_new_devices(&mut devices, &phases, time),
        );
        let faults = faults?;

        phase.send_replace(Phase::Quiet);
        let healed = Instant::now();
        self.settle(actors).await;
        let converged = self.converge(healed).await?;
        let (mut fresh, mut receipts, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
        if converged.is_some() {
            fresh = self.follow_afresh().await?;
            receipts = read_everywhere(&self.around, &self.cast.people[0]).await;
            sessions = end_sessions(&self.around, &self.outsider).await?;
        }
        for ended in self.world.ended().await {
            self.around.history.strange(ended);
        }

        phase.send_replace(Phase::Over);
        while let Some(followed) = devices.join_next().await {
            self.note_panic(followed);
        }
        let mut evidence = self.evidence().await?;
        (evidence.fresh, evidence.receipts, evidence.sessions) = (fresh, receipts, sessions);
        let mut broken = checker::check(&evidence);
        if broken.is_none() {
            broken = self.world.check().await?;
        }
        let summary = Summary::of(&evidence, faults, converged).to_string();
        Ok(Verdict { broken, summary, past: evidence.past })
    }

    /// Waits until everybody has brought to an end what they were about, and every node is ready.
    async fn settle(&self, mut actors: JoinSet<()>) {
        let ended = async {
            while let Some(acted) = actors.join_next().await {
                self.note_panic(acted);
            }
            while !self.world.is_ready().await {
                sleep(LOOK).await;
            }
        };
        if timeout(CONVERGENCE, ended).await.is_err() {
            let what = if actors.is_empty() { "a node is not ready" } else { "a message is not answered" };
            let seconds = CONVERGENCE.as_secs();
            self.around.history.strange(format!("{what} {seconds} s after everything was mended"));
        }
    }

    /// Waits until every device is at the end of the log. The answer is how many seconds that took, from
    /// `healed`.
    async fn converge(&self, healed: Instant) -> Result<Option<f64>, String> {
        let began = Instant::now();
        loop {
            let evidence = self.evidence().await?;
            if checker::behind(&evidence).is_empty() {
                return Ok(Some(healed.elapsed().as_secs_f64()));
            }
            // A device that received a wrong event never catches up.
            if checker::has_told_wrongly(&evidence) || began.elapsed() > CONVERGENCE {
                return Ok(None);
            }
            sleep(LOOK).await;
        }
    }

    /// A fault of this test itself must not look like a quiet person.
    fn note_panic(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended {
            self.around.history.strange(format!("this test itself broke: {error}"));
        }
    }

    async fn follow_afresh(&self) -> Result<Vec<checker::Fresh>, String> {
        let evidence = self.evidence().await?;
        let ledger = Ledger::of(&evidence.log, SMALL_CONVERSATION);
        let (cursor, after) = match &evidence.past.turn {
            None => (self.cast.beginning.clone(), 0),
            Some(_) => match checker::earliest(&evidence, &ledger) {
                Some((cursor, after)) => (cursor.to_owned(), after),
                // There were no events after everyone began again.
                None => (self.cast.people[0].cursor(self.around.ports[0]).await?, evidence.log.head),
            },
        };
        let people = self.cast.people.iter().take(FRESH);
        let due: Vec<(&Person, usize)> =
            people.map(|person| (person.as_ref(), checker::visible(&ledger, &person.id, after))).collect();
        Ok(follow_everywhere(&self.around, &due, &cursor, after).await)
    }

    /// All that is known by now.
    async fn evidence(&self) -> Result<Evidence, String> {
        // The received events are read before the log. So the log has all of them.
        let past = self.around.history.past().clone();
        Ok(Evidence {
            past,
            log: record::read(&self.world.database()).await?,
            users: self.cast.ids(),
            small_conversation: SMALL_CONVERSATION,
            ..Evidence::default()
        })
    }
}
