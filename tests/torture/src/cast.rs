//! The people in a round, their devices, and their first conversations.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;

use crate::acting::Actor;
use crate::device::{Device, Surroundings};
use crate::history::Scope;
use crate::person::Person;
use crate::phase::{Phase, Phases};
use crate::returning::Door;

/// Of how many people one gets a device that follows one conversation only.
const SCOPED: usize = 4;

/// Of how many people one gets a new device while things break.
const NEWCOMERS: usize = 3;

/// Conversations that somebody leaves and comes back to all the time.
const DOORS: usize = 3;

/// People at such a conversation who do so, or bring them back.
const AT_DOOR: usize = 3;

/// People who just take part in the first of them: enough that not everyone is told of every mark.
const ONLOOKERS: usize = 6;

/// Everyone.
pub(crate) struct Cast {
    pub(crate) people: Vec<Arc<Person>>,
    /// The cursor of the empty log.
    pub(crate) beginning: String,
    around: Surroundings,
    handles: Arc<[String]>,
    random: Rng,
}

impl Cast {
    /// Registers so many people. Nothing must be in the log yet.
    pub(crate) async fn register(around: &Surroundings, people: u16, random: Rng) -> Result<Self, String> {
        let mut registered = Vec::new();
        for number in 0..people {
            let port = around.ports[usize::from(number) % around.ports.len()];
            registered.push(Arc::new(Person::register(port, &format!("person-{number}")).await?));
        }
        let handles = registered.iter().map(|person| person.handle.clone()).collect();
        let beginning = match registered.first() {
            Some(first) => first.cursor(around.ports[0]).await?,
            None => return Err("nobody takes part".into()),
        };
        Ok(Self { people: registered, beginning, around: around.clone(), handles, random })
    }

    /// The ids of people, by handle.
    pub(crate) fn ids(&self) -> HashMap<String, String> {
        self.people.iter().map(|person| (person.handle.clone(), person.id.clone())).collect()
    }

    /// Gives everybody one or two devices that follow everything from the beginning.
    pub(crate) fn open_devices(&mut self, devices: &mut JoinSet<()>, phases: &Phases) {
        for (number, person) in self.people.iter().enumerate() {
            for which in 0..self.random.usize(1..=2) {
                let connection = format!("device-{number}-{which}");
                let random = self.random.fork();
                let device = Device::new(
                    &self.around,
                    person,
                    &connection,
                    Scope::Everything,
                    Some(&self.beginning),
                    random,
                );
                devices.spawn(device.run(phases.clone()));
            }
        }
    }

    /// Has everybody start a conversation: one of all, and small ones. Some follow one of them alone.
    pub(crate) async fn begin(
        &mut self,
        devices: &mut JoinSet<()>,
        phases: &Phases,
    ) -> Result<Vec<Actor>, String> {
        let mut actors = Vec::new();
        let mut everyones = None;
        for number in 0..self.people.len() {
            let person = &self.people[number];
            let mut actor = Actor::new(&self.around, person, &self.handles, "", self.random.fork());
            let others = if number == 0 { self.people.len() - 1 } else { self.random.usize(1..4) };
            let own = actor
                .start(others)
                .await
                .ok_or("a conversation cannot be started, before anything breaks")?;
            let everyones: &String = everyones.get_or_insert_with(|| own.clone());
            if number % SCOPED == 1 {
                let conversation = if number % (2 * SCOPED) == 1 { everyones.clone() } else { own };
                let connection = format!("scoped-{number}");
                let scope = Scope::MessagesIn(conversation);
                let (beginning, random) = (Some(self.beginning.as_str()), self.random.fork());
                let device = Device::new(&self.around, person, &connection, scope, beginning, random);
                devices.spawn(device.run(phases.clone()));
            }
            actors.push(actor);
        }
        Ok(actors)
    }

    /// Has some people leave a conversation and come back all the time, while others talk and mark there.
    pub(crate) async fn open_doors(
        &mut self,
        actors: &mut JoinSet<()>,
        phases: &Phases,
    ) -> Result<(), String> {
        let people = self.people.clone();
        for (number, three) in people.chunks_exact(AT_DOOR).take(DOORS).enumerate() {
            let onlookers = people.iter().skip(AT_DOOR).take(if number == 0 { ONLOOKERS } else { 0 });
            let handles = three[1..].iter().chain(onlookers).map(|person| person.handle.clone()).collect();
            let mut actor = |person: &Arc<Person>, role: &str| {
                let role = format!(" as {role} {number}");
                Actor::new(&self.around, person, &self.handles, &role, self.random.fork())
            };
            let mut goer = actor(&three[0], "guest");
            let hosts = [actor(&three[1], "host"), actor(&three[2], "host")];
            let talkers = [actor(&three[1], "talker"), actor(&three[2], "talker")];
            let conversation = goer.start_with(handles).await;
            let conversation =
                conversation.ok_or("a conversation cannot be started, before anything breaks")?;
            let door = Arc::new(Door::new(conversation));
            for talker in talkers {
                let (door, phases) = (Arc::clone(&door), phases.clone());
                actors.spawn(async move { door.talk(talker, phases).await });
            }
            let phases = phases.clone();
            actors.spawn(async move { door.come_and_go(goer, hosts, phases).await });
        }
        Ok(())
    }

    /// Gives some people a new device, spread over this time, which follows from where it is first
    /// acknowledged.
    pub(crate) async fn open_new_devices(
        &mut self,
        devices: &mut JoinSet<()>,
        phases: &Phases,
        time: Duration,
    ) {
        let count = self.people.len() / NEWCOMERS;
        let pause = time / u32::try_from(count + 1).unwrap_or(u32::MAX);
        let mut phases = phases.clone();
        for number in 0..count {
            phases.sleep(pause).await;
            if phases.now() != Phase::Acting {
                return;
            }
            let person = &self.people[number * NEWCOMERS];
            let connection = format!("new-{number}");
            let random = self.random.fork();
            let device = Device::new(&self.around, person, &connection, Scope::Everything, None, random);
            devices.spawn(device.run(phases.clone()));
        }
    }
}
