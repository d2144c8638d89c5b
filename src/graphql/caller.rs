//! Who an execution answers to.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::Context;

use crate::accounts::Live;
use crate::error::Error;
use crate::messaging::{ConnectionId, Origin};
use crate::network::Network;
use crate::rates::Owner;

/// Whoever sent a request, as the transport found out.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The session they are signed in with, if any.
    pub session: Option<Arc<Live>>,
    /// The connection that they speak through, where it has a name.
    pub connection: Option<ConnectionId>,
    /// The address they come from.
    pub address: IpAddr,
    /// Whether they came over TLS.
    pub is_secure: bool,
}

impl Caller {
    /// Whose what is asked is: the user's, or where nobody is signed in the address's.
    pub(crate) fn owner(&self) -> Owner {
        match self.viewer() {
            Ok(session) => Owner::User(session.user.id),
            Err(_) => Owner::Network(Network::of(self.address)),
        }
    }

    /// The origin of what they cause. Without a session or a named connection there is none.
    pub(crate) fn origin(&self) -> Option<Origin> {
        let (session, connection) = (self.session.as_ref()?, self.connection.as_ref()?);
        Some(Origin { session: session.id, connection: connection.clone() })
    }

    /// The session they are signed in with.
    pub(crate) fn viewer(&self) -> Result<&Arc<Live>, Error> {
        self.session.as_ref().filter(|session| !session.has_ended()).ok_or(Error::Unauthenticated)
    }
}

/// Whom an execution is for.
#[derive(Debug, Clone)]
pub(super) enum Viewing {
    /// One caller.
    One(Arc<Caller>),
    /// Everyone with the same view of an event. Set once a resolver asks who looks: then the answer is not
    /// everyone's after all, and is thrown away.
    Everyone(Arc<AtomicBool>),
}

/// Whoever this execution answers to. Asking makes the rendering of an event private.
pub(super) fn caller<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Caller>, Error> {
    match ctx.data_opt::<Viewing>() {
        Some(Viewing::One(caller)) => Ok(caller),
        Some(Viewing::Everyone(asked)) => {
            asked.store(true, Ordering::Relaxed);
            Err(Error::Internal)
        }
        None => {
            tracing::error!("an execution was begun for nobody");
            Err(Error::Internal)
        }
    }
}

/// The signed-in session that this execution answers to. Asking makes the rendering of an event private.
pub(super) fn viewer<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Live>, Error> {
    caller(ctx)?.viewer()
}
