//! Nodes of two versions on one Postgres. While people talk, each node of the older version is replaced. Then an older
//! node tries to start again. Clients connect as through a proxy, only to nodes that are ready.
//!
//! What never lives here: the rules of the other settings. Two versions may render one event differently.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use herald_processes::{Herald, HeraldOptions, Scratch, free_port};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::act::{Act, Outcome};
use crate::checker::Broken;
use crate::history::Scope;
use crate::http::{post, status};
use crate::link::{Following, Link, Way};
use crate::options::Options;
use crate::person::Person;
use crate::phase::{Phase, Phases};
use crate::record::{self, Log};
use crate::servers::Servers;
use crate::socket::Heard;
use crate::world::flags;

/// People, each of whom talks and follows.
const PEOPLE: u16 = 6;

/// How long an older node may go on to say that it is ready once the schema is newer.
const STEPPING_DOWN: Duration = Duration::from_secs(10);

/// How long everyone may take to come to the end of the log.
const CONVERGENCE: Duration = Duration::from_secs(20);

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(4);

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// What everyone shares.
struct Stage {
    ports: Vec<u16>,
    conversation: String,
    /// The messages that were answered, by key.
    answered: Mutex<HashMap<String, String>>,
    /// What should never have been answered.
    strange: Mutex<Vec<String>>,
}

/// One person, and the messages that they were told, in order.
struct Member {
    person: Person,
    told: Mutex<Vec<String>>,
    beginning: String,
}

/// Rolls from the older version to the one of now. The answer is the first rule that was broken, and what happened.
pub(crate) async fn roll(
    options: &Options,
    seed: u64,
    logs: &Path,
) -> Result<(Option<Broken>, String), String> {
    let older = options.older.as_ref().ok_or("the setting `rolling` needs --older FILE")?;
    let scratch = Scratch::create("torture")?;
    let servers = Servers::start(scratch.path()).await?;
    let mut nodes = Vec::new();
    for number in 0..options.nodes {
        let log = logs.join(format!("node-{number}.log"));
        nodes.push(Herald::start(node(older, free_port()?, servers.now().url(), log)).await?);
    }
    let ports: Vec<u16> = nodes.iter().map(Herald::port).collect();
    let (stage, members) = open_stage(ports).await?;
    let (phase, phases) = Phases::begin();
    let mut random = Rng::with_seed(seed);
    let (mut talkers, mut followers) = (JoinSet::new(), JoinSet::new());
    for member in &members {
        let (stage, member) = (Arc::clone(&stage), Arc::clone(member));
        talkers.spawn(talk(Arc::clone(&stage), Arc::clone(&member), random.fork(), phases.clone()));
        followers.spawn(follow(stage, member, random.fork(), phases.clone()));
    }
    let pause = Duration::from_secs(options.seconds) / u32::from(options.nodes + 1);
    let mut broken = replace(&mut nodes, &options.herald, pause).await?;
    if broken.is_none() {
        broken = try_to_go_back(&mut nodes[0], older).await?;
    }
    phase.send_replace(Phase::Quiet);
    while talkers.join_next().await.is_some() {}
    let log = record::read(&servers.now().url()).await?;
    let until = Instant::now() + CONVERGENCE;
    while members.iter().any(|member| lock(&member.told).len() < log.messages.len()) && Instant::now() < until
    {
        sleep(LOOK).await;
    }
    phase.send_replace(Phase::Over);
    while followers.join_next().await.is_some() {}
    let told = format!("  messages    {} answered, to {} people", lock(&stage.answered).len(), members.len());
    Ok((broken.or_else(|| check(&stage, &members, &log)), told))
}

fn node(binary: &Path, port: u16, database: String, log: PathBuf) -> HeraldOptions {
    HeraldOptions {
        binary: binary.to_owned(),
        port,
        database,
        feed: None,
        flags: flags(),
        env: Vec::new(),
        log,
    }
}

/// Everybody in one conversation.
async fn open_stage(ports: Vec<u16>) -> Result<(Arc<Stage>, Vec<Arc<Member>>), String> {
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(Person::register(ports[0], &format!("person-{number}")).await?);
    }
    let beginning = people[0].cursor(ports[0]).await?;
    let handles = people[1..].iter().map(|person| person.handle.clone()).collect();
    let start = Act::Start { handles, title: "rolling".into() };
    let posted = post(ports[0], Some(&people[0].token), None, &start.request(), PATIENCE).await;
    let (Outcome::Answered(answer), None) = start.outcome(posted) else {
        return Err("a conversation cannot be started, before anything breaks".into());
    };
    let conversation = answer.conversation.unwrap_or_default();
    let members = people
        .into_iter()
        .map(|person| Arc::new(Member { person, told: Mutex::default(), beginning: beginning.clone() }));
    let (answered, strange) = (Mutex::default(), Mutex::default());
    Ok((Arc::new(Stage { ports, conversation, answered, strange }), members.collect()))
}

/// Replaces every node by one of the version of now. What is left of the older ones then is not ready.
async fn replace(nodes: &mut [Herald], herald: &Path, pause: Duration) -> Result<Option<Broken>, String> {
    sleep(pause).await;
    for replaced in 0..nodes.len() {
        exchange(&mut nodes[replaced], herald).await?.map_err(|why| format!("a newer node: {why}"))?;
        for older in &nodes[replaced + 1..] {
            let changed = Instant::now();
            while status(older.port(), "/readyz", PATIENCE).await == Some(200) {
                if changed.elapsed() > STEPPING_DOWN {
                    return Ok(Some(Broken {
                        rule: "older-steps-down",
                        sentence: "A node of an older version is not ready once the schema is newer.",
                        details: format!("the node on port {} is still ready", older.port()),
                    }));
                }
                sleep(LOOK).await;
            }
        }
        sleep(pause).await;
    }
    Ok(None)
}

/// Has an older herald take the place of a newer one, which it must refuse, with the reason.
async fn try_to_go_back(node: &mut Herald, older: &Path) -> Result<Option<Broken>, String> {
    let herald = node.options().binary.clone();
    let refused = exchange(node, older).await?;
    exchange(node, &herald).await?.map_err(|why| format!("a newer node: {why}"))?;
    let details = match refused {
        Ok(()) => "it started".to_owned(),
        // The refusal names the unknown migrations. The names of their files begin with `m20`.
        Err(why) if why.contains("m20") => return Ok(None),
        Err(why) => format!("it says nothing of the schema: {why}"),
    };
    let sentence = "A herald of an older version refuses to start on a newer schema, and names it.";
    Ok(Some(Broken { rule: "older-refuses", sentence, details }))
}

/// Ends a node, and starts another binary on its port. The second error is why it does not start.
async fn exchange(node: &mut Herald, binary: &Path) -> Result<Result<(), String>, String> {
    if node.id().is_some() {
        node.terminate().await?;
    }
    let options = HeraldOptions { binary: binary.to_owned(), ..node.options().clone() };
    match Herald::start(options.clone()).await {
        Ok(started) => {
            *node = started;
            Ok(Ok(()))
        }
        Err(why) => Ok(Err(why)),
    }
}

impl Stage {
    /// A node that is ready, as a proxy chooses.
    async fn ready(&self, random: &mut Rng) -> Option<u16> {
        let mut ports = self.ports.clone();
        random.shuffle(&mut ports);
        for port in ports {
            if status(port, "/readyz", PATIENCE).await == Some(200) {
                return Some(port);
            }
        }
        None
    }

    fn strange(&self, what: String) {
        lock(&self.strange).push(what);
    }
}

/// Sends one message after the other, each until it is answered.
async fn talk(stage: Arc<Stage>, member: Arc<Member>, mut random: Rng, mut phases: Phases) {
    let mut count = 0;
    while phases.now() == Phase::Acting {
        count += 1;
        let text = format!("{} {count}", member.person.handle);
        let act = Act::Send {
            conversation: stage.conversation.clone(),
            body: text.clone(),
            key: Some(text.clone()),
        };
        loop {
            phases.sleep(Duration::from_millis(random.u64(20..200))).await;
            if phases.now() == Phase::Over {
                return;
            }
            let Some(port) = stage.ready(&mut random).await else { continue };
            let posted = post(port, Some(&member.person.token), None, &act.request(), PATIENCE).await;
            let (outcome, strange) = act.outcome(posted);
            if let Some(strange) = strange {
                stage.strange(strange);
            }
            match outcome {
                Outcome::Answered(answer) => {
                    lock(&stage.answered).insert(text, answer.message.unwrap_or_default());
                    break;
                }
                Outcome::Refused(code) => return stage.strange(format!("{text}: refused with {code}")),
                Outcome::Unknown(_) => {}
            }
        }
    }
}

/// Follows until the round is over, and comes back after the last cursor.
async fn follow(stage: Arc<Stage>, member: Arc<Member>, mut random: Rng, mut phases: Phases) {
    let (scope, mut cursor) = (Scope::MessagesIn(stage.conversation.clone()), member.beginning.clone());
    while phases.now() != Phase::Over {
        let mut ending = phases.clone();
        let following = Following {
            token: &member.person.token,
            connection: "device",
            scope: &scope,
            first: Some(&member.beginning),
            last: Some(&cursor.clone()),
        };
        tokio::select! {
            () = ending.reach(Phase::Over) => return,
            heard = hear(&stage, &member, &mut cursor, following, &mut random) => {
                if !matches!(heard, Heard::Lost(_) | Heard::Closed(..)) {
                    stage.strange(format!("{}: {heard:?}", member.person.handle));
                }
            }
        }
        phases.sleep(Duration::from_millis(random.u64(50..300))).await;
    }
}

/// Follows on one connection. The answer is how it ended.
async fn hear(
    stage: &Stage,
    member: &Member,
    cursor: &mut String,
    following: Following<'_>,
    random: &mut Rng,
) -> Heard {
    let Some(port) = stage.ready(random).await else { return Heard::Lost("no node is ready".into()) };
    let mut link = match Link::open(Way::draw(random), port, following).await {
        Ok((link, _)) => link,
        Err(heard) => return heard,
    };
    loop {
        let heard = timeout(CONVERGENCE, link.hear()).await;
        match heard.unwrap_or_else(|_| Heard::Lost("silence".into())) {
            Heard::Alive => {}
            Heard::Next(payload) => {
                let event = &payload["data"]["event"];
                match (event["message"]["id"].as_str(), event["cursor"].as_str()) {
                    (Some(id), Some(after)) => {
                        lock(&member.told).push(id.to_owned());
                        after.clone_into(cursor);
                    }
                    _ => return Heard::Strange(format!("no message: {payload}")),
                }
            }
            heard => return heard,
        }
    }
}

fn check(stage: &Stage, members: &[Arc<Member>], log: &Log) -> Option<Broken> {
    let broken = |rule, sentence, details| Some(Broken { rule, sentence, details });
    if let Some(first) = lock(&stage.strange).first() {
        let sentence = "Whatever is replaced, herald answers as documented.";
        return broken("only-known-errors", sentence, first.clone());
    }
    for (key, id) in lock(&stage.answered).iter() {
        let stored: Vec<&str> = log
            .messages
            .iter()
            .filter(|message| message.key.as_ref() == Some(key))
            .map(|message| message.id.as_str())
            .collect();
        if stored != [id.as_str()] {
            let details = format!("under {key} was answered {id}, and the log has {stored:?}");
            return broken("answered-is-durable", "What was answered is in the log, exactly once.", details);
        }
    }
    let sent: Vec<&str> = log.messages.iter().map(|message| message.id.as_str()).collect();
    for member in members {
        let told = lock(&member.told);
        if *told != sent {
            let differs = told.iter().zip(&sent).position(|(told, sent)| told != sent);
            let (handle, told, sent) = (&member.person.handle, told.len(), sent.len());
            let details =
                format!("{handle} was told {told} of {sent} messages; the first difference: {differs:?}");
            let sentence =
                "Everyone is told every message, in order, once, whatever versions the nodes have.";
            return broken("lossless", sentence, details);
        }
    }
    None
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
