//! The caller whom an execution answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::Context;

use crate::accounts::Live;
use crate::error::Error;
use crate::messaging::{ConnectionId, Origin};
use crate::network::Network;
use crate::rates::Owner;

/// The sender of a request, as the transport identified them.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The session that they are signed in with, if any.
    pub session: Option<Arc<Live>>,
    /// The id of their connection, if they named it.
    pub connection: Option<ConnectionId>,
    /// The address that they call from.
    pub address: IpAddr,
    /// Whether they use TLS.
    pub is_secure: bool,
}

impl Caller {
    /// Who a request counts for: the user, or the network of the address when nobody is signed in.
    pub(crate) fn owner(&self) -> Owner {
        match self.viewer() {
            Ok(session) => Owner::User(session.user),
            Err(_) => Owner::Network(Network::of(self.address)),
        }
    }

    /// The origin of the events that they cause. `None` without a session or without a named connection.
    pub(crate) fn origin(&self) -> Option<Origin> {
        let (session, connection) = (self.session.as_ref()?, self.connection.as_ref()?);
        Some(Origin { session: session.id, connection: connection.clone() })
    }

    /// The session that they are signed in with.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when there is none, or when it has ended.
    pub(crate) fn viewer(&self) -> Result<&Arc<Live>, Error> {
        self.session.as_ref().filter(|session| !session.has_ended()).ok_or(Error::Unauthenticated)
    }
}

/// Who receives the answer of an execution.
#[derive(Debug, Clone)]
pub(super) enum Viewing {
    /// One caller.
    One(Arc<Caller>),
    /// Everyone with the same view of an event. The flag is set when a resolver asks for the caller. Then the answer
    /// depends on the caller, and is thrown away.
    Everyone(Arc<AtomicBool>),
}

/// The caller whom this execution answers. A resolver that asks for it makes the rendering of an event private.
///
/// # Errors
/// [`Error::Internal`] in a rendering for everyone, which is then thrown away.
pub(super) fn caller_of<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Caller>, Error> {
    match ctx.data_opt::<Viewing>() {
        Some(Viewing::One(caller)) => Ok(caller),
        Some(Viewing::Everyone(asked)) => {
            asked.store(true, Ordering::Relaxed);
            Err(Error::Internal)
        }
        None => {
            tracing::error!("an execution began without a caller");
            Err(Error::Internal)
        }
    }
}

/// The signed-in session of the caller whom this execution answers. A resolver that asks for it makes the rendering of
/// an event private.
///
/// # Errors
/// [`Error::Unauthenticated`] when nobody is signed in, or else as [`caller_of`].
pub(super) fn viewer_of<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Live>, Error> {
    caller_of(ctx)?.viewer()
}
