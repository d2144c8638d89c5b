//! What herald is to the router of a federation: a subgraph, which answers `_service` and `_entities`
//! (<https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec>).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use async_graphql::{Any, Context, Object, Result, Union, Value};
use futures_util::future::join_all;

use super::services::services_of;
use super::types::{Conversation, Message, User, visible_conversation, visible_message};
use crate::error::Error;
use crate::graphql::budget::budget_of;
use crate::graphql::caller::{caller_of, sight_of};
use crate::log::Viewer;
use crate::messaging::{ConversationId, ExternalId, MessageId, UserId};

/// The federation that the subgraph is written for, and the directives that it uses.
const LINK: &str = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.5\", import: [\"@key\", \
     \"@shareable\"])\n";

/// The types that have directives in the subgraph.
const DIRECTIVES: [(&str, &str); 4] = [
    ("User", "@key(fields: \"id\") @key(fields: \"externalId\")"),
    ("Conversation", "@key(fields: \"id\")"),
    ("Message", "@key(fields: \"id\")"),
    // Every subgraph with pages after Relay defines it, and it is the same in all of them.
    ("PageInfo", "@shareable"),
];

/// How errors call the argument of `_entities`.
const FIELD: &str = "representations";

static SUBGRAPH: LazyLock<String> = LazyLock::new(|| subgraph(&super::sdl()));

/// The schema definition that a router composes its own of: herald's, with the directives of a federation.
pub fn subgraph_sdl() -> &'static str {
    &SUBGRAPH
}

fn subgraph(sdl: &str) -> String {
    let mut subgraph = LINK.to_owned();
    for line in sdl.lines() {
        let defined = line.strip_prefix("type ").and_then(|rest| rest.split(' ').next());
        let directives = DIRECTIVES.iter().find(|(ty, _)| Some(*ty) == defined);
        match (directives, line.strip_suffix('{')) {
            (Some((_, directives)), Some(line)) => subgraph.extend([line, directives, " {"]),
            _ => subgraph.push_str(line),
        }
        subgraph.push('\n');
    }
    subgraph
}

/// What a router can ask beside the queries.
#[derive(Debug)]
pub(crate) struct Federation;

/// What a router can ask beside the queries.
#[Object]
impl Federation {
    /// What the router of a federation composes its schema of.
    #[graphql(name = "_service")]
    async fn service(&self) -> Subgraph {
        Subgraph
    }

    /// Things by their keys, for the router of a federation: in the same order, null for each that there is not or that
    /// the viewer may not see. A representation that is none is null with an error of its own.
    #[graphql(name = "_entities")]
    async fn entities(
        &self,
        ctx: &Context<'_>,
        representations: Vec<Any>,
    ) -> Result<Vec<Option<Result<Entity, Error>>>> {
        let sight = sight_of(ctx)?;
        let most = services_of(ctx)?.limits.max_page_size;
        if representations.len() > most {
            return Err(Error::bad_input(FIELD, format!("must be at most {most}")).into());
        }
        budget_of(ctx)?.pay_elements(representations.len()).await;
        let parse = |(index, Any(value)): (usize, &Any)| Key::parse(index, value);
        let keys: Vec<_> = representations.iter().enumerate().map(parse).collect();
        let external = external(ctx, sight, keys.iter().flatten()).await?;
        let found = keys.into_iter().map(async |key| key?.find(ctx, &external).await);
        Ok(join_all(found).await.into_iter().map(Result::transpose).collect())
    }
}

/// A subgraph, as a router asks for it.
struct Subgraph;

/// A subgraph, as the router of a federation asks for it.
#[Object(name = "_Service")]
impl Subgraph {
    /// Its schema definition.
    async fn sdl(&self, ctx: &Context<'_>) -> Result<&'static str> {
        let sdl = subgraph_sdl();
        if let Some(rates) = &services_of(ctx)?.rates {
            rates.introspect(caller_of(ctx)?.owner())?;
        }
        budget_of(ctx)?.pay(sdl.len()).await;
        Ok(sdl)
    }
}

/// What the router of a federation can find by a key.
#[derive(Debug, Clone, Union)]
#[graphql(name = "_Entity")]
enum Entity {
    User(User),
    Conversation(Conversation),
    Message(Message),
}

/// The key that a representation names something by.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    User(UserId),
    External(ExternalId),
    Conversation(ConversationId),
    Message(MessageId),
}

impl Key {
    /// Reads the representation at this index. What else it says of the thing is of no importance.
    ///
    /// # Errors
    /// [`Error::BadInput`], which says what the representation lacks, and repeats nothing of it.
    fn parse(index: usize, representation: &Value) -> Result<Self, Error> {
        let refuse =
            |member: &str, reason: &str| Error::bad_input(format!("{FIELD}[{index}]{member}"), reason);
        let Value::Object(fields) = representation else {
            return Err(refuse("", "must be an object with a `__typename` and a key"));
        };
        let text = |name: &str| match fields.get(name) {
            Some(Value::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let (key, reason) = match (text("__typename"), text("id")) {
            (Some("User"), Some(id)) => (id.parse().ok().map(Self::User), "must begin with `usr_`"),
            (Some("User"), None) => {
                let id = text("externalId").ok_or_else(|| refuse("", "must have `id` or `externalId`"))?;
                return ExternalId::parse(id)
                    .map(Self::External)
                    .map_err(Error::invalid(format!("{FIELD}[{index}].externalId")));
            }
            (Some("Conversation"), Some(id)) => {
                (id.parse().ok().map(Self::Conversation), "must begin with `cnv_`")
            }
            (Some("Message"), Some(id)) => (id.parse().ok().map(Self::Message), "must begin with `msg_`"),
            (Some("Conversation" | "Message"), None) => return Err(refuse("", "must have `id`")),
            _ => return Err(refuse(".__typename", "must be User, Conversation or Message")),
        };
        key.ok_or_else(|| refuse(".id", reason))
    }

    /// The thing with this key; `None` when there is none or the viewer may not see it. `external` has the users with
    /// an external id.
    async fn find(
        self,
        ctx: &Context<'_>,
        external: &HashMap<ExternalId, User>,
    ) -> Result<Option<Entity>, Error> {
        Ok(match self {
            Self::User(id) => services_of(ctx)?.user(id).await?.map(User::from).map(Entity::User),
            Self::External(id) => external.get(&id).cloned().map(Entity::User),
            Self::Conversation(id) => visible_conversation(ctx, id).await?.map(Entity::Conversation),
            Self::Message(id) => visible_message(ctx, id).await?.map(Entity::Message),
        })
    }
}

/// The users whom another system knows under these of the keys. An external id is for services and for its own user, so
/// a viewer finds nobody else by it.
async fn external(
    ctx: &Context<'_>,
    sight: Viewer,
    keys: impl Iterator<Item = &Key>,
) -> Result<HashMap<ExternalId, User>, Error> {
    let ids: Vec<_> = keys
        .filter_map(|key| match key {
            Key::External(id) => Some(id),
            _ => None,
        })
        .collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let services = services_of(ctx)?;
    let is_service = caller_of(ctx)?.service.is_some();
    let rows = match sight {
        Viewer::User(id) if !is_service => services.user(id).await?.into_iter().collect(),
        Viewer::User(_) | Viewer::Service => {
            let found = services.database.users_by_external_id(ids).await?;
            found.into_iter().map(Arc::new).collect::<Vec<_>>()
        }
    };
    let named = rows.into_iter().filter_map(|row| Some((row.external_id.clone()?, User::from(row))));
    Ok(named.collect())
}
