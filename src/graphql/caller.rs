//! The caller whom an execution answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::Context;
use async_graphql::parser::types::OperationType;

use crate::accounts::{Live, Scope, Service};
use crate::error::Error;
use crate::log::Viewer;
use crate::messaging::{ConnectionId, Origin, UserId};
use crate::network::Network;
use crate::rates::Owner;
use crate::trace::TraceContext;

/// The sender of a request, as the transport identified them.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The session that they are signed in with, if any. Of a service that acts for somebody, the session in which it
    /// does.
    pub session: Option<Arc<Live>>,
    /// The service that calls, if it is one.
    pub service: Option<Arc<Service>>,
    /// The id of their connection, if they named it.
    pub connection: Option<ConnectionId>,
    /// Where the trace goes on that they named for this connection or operation, if any.
    pub trace: Option<TraceContext>,
    /// The address that they call from.
    pub address: IpAddr,
    /// Whether they use TLS.
    pub is_secure: bool,
}

impl Caller {
    /// Who a request counts for: the user, or the service that acts for nobody, or the network of the address when
    /// nobody is signed in.
    pub(crate) fn owner(&self) -> Owner {
        match (self.viewer(), &self.service) {
            (Ok(session), _) => Owner::User(session.user),
            (Err(_), Some(service)) => Owner::Service(service.id),
            (Err(_), None) => Owner::Network(Network::of(self.address)),
        }
    }

    /// Whether herald asks for itself, and for nobody.
    pub(crate) fn is_herald_itself(&self) -> bool {
        self.session.is_none() && self.service.as_ref().is_some_and(|service| service.is_herald_itself())
    }

    /// Whether it is a service that acts for nobody.
    pub(crate) fn is_service_alone(&self) -> bool {
        self.session.is_none() && self.service.is_some()
    }

    /// Fails unless a user or a service is signed in.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when nobody is, or when the session has ended or the key was revoked.
    pub(crate) fn identified(&self) -> Result<(), Error> {
        let is_in_use = match (&self.session, &self.service) {
            (Some(session), _) => !session.has_ended(),
            (None, Some(service)) => !service.has_ended(),
            (None, None) => false,
        };
        if is_in_use { Ok(()) } else { Err(Error::Unauthenticated) }
    }

    /// Returns when the session has ended or the key was revoked. Never when nobody is signed in.
    pub(crate) async fn ended(&self) {
        match (&self.session, &self.service) {
            (Some(session), _) => session.ended().await,
            (None, Some(service)) => service.ended().await,
            (None, None) => std::future::pending().await,
        }
    }

    /// Fails if a service acts for somebody and lacks the scope for operations of this kind.
    ///
    /// # Errors
    /// [`Error::Forbidden`], which names the scope.
    pub(crate) fn may(&self, kind: OperationType) -> Result<(), Error> {
        let (Some(service), Some(_)) = (&self.service, &self.session) else { return Ok(()) };
        service.require(match kind {
            OperationType::Mutation => Scope::Send,
            OperationType::Query | OperationType::Subscription => Scope::Read,
        })
    }

    /// The service that calls, which must have this scope.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a user, and for a service without the scope; [`Error::Unauthenticated`] when nobody is
    /// signed in.
    pub(crate) fn service_with(&self, scope: Scope) -> Result<&Arc<Service>, Error> {
        self.identified()?;
        let service = self.service.as_ref().ok_or_else(|| {
            Error::Forbidden(
                "This is for services only: send a key from `herald key add` as `Authorization: Bearer hsk_…`."
                    .into(),
            )
        })?;
        service.require(scope)?;
        Ok(service)
    }

    /// The origin of the events that they cause. `None` when nobody is signed in, or without a named connection.
    pub(crate) fn origin(&self) -> Option<Origin> {
        let session = match (&self.session, &self.service) {
            (Some(session), _) => session.id,
            (None, Some(service)) => service.session_for(None),
            (None, None) => return None,
        };
        Some(Origin { session, connection: self.connection.clone()? })
    }

    /// The session that they are signed in with, or in which a service acts for somebody.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when there is none, or when it has ended; [`Error::BadInput`] for a service that does
    /// not say for whom it acts.
    pub(crate) fn viewer(&self) -> Result<&Arc<Live>, Error> {
        self.identified()?;
        self.session.as_ref().ok_or_else(|| {
            Error::bad_input(
                "X-Act-As",
                "must say for whom the service acts: a user's id, handle:NAME or external:ID \
                 (over WebSocket `actAs` in the payload of `connection_init`)",
            )
        })
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

/// With whose eyes this execution looks: those of the viewer or, for a service with the scope `read` that acts for
/// nobody, with those of a service, which sees everything. A resolver that asks for it makes the rendering of an event
/// private.
///
/// # Errors
/// As [`viewer_of`], and as [`Caller::service_with`].
pub(super) fn sight_of(ctx: &Context<'_>) -> Result<Viewer, Error> {
    let caller = caller_of(ctx)?;
    if let Some(service) = &caller.service {
        // Also in the payload of a mutation, for which the scope `send` is enough.
        service.require(Scope::Read)?;
        if caller.session.is_none() {
            caller.identified()?;
            return Ok(Viewer::Service);
        }
    }
    Ok(Viewer::User(caller.viewer()?.user))
}

/// Fails if the caller is a service that may not read what `sender` wrote: it lacks the scope `read`, and acts for
/// somebody else or for nobody. It leaves the rendering of an event shared: whoever follows has the scope.
///
/// # Errors
/// [`Error::Forbidden`], which names the scope.
pub(super) fn may_read(ctx: &Context<'_>, sender: UserId) -> Result<(), Error> {
    let Some(Viewing::One(caller)) = ctx.data_opt::<Viewing>() else { return Ok(()) };
    let is_own = caller.session.as_ref().is_some_and(|session| session.user == sender);
    match &caller.service {
        Some(service) if !is_own => service.require(Scope::Read),
        _ => Ok(()),
    }
}

/// The service whom this execution answers, which must have this scope. A resolver that asks for it makes the rendering
/// of an event private.
///
/// # Errors
/// As [`Caller::service_with`] and [`caller_of`].
pub(super) fn service_with<'a>(ctx: &Context<'a>, scope: Scope) -> Result<&'a Arc<Service>, Error> {
    caller_of(ctx)?.service_with(scope)
}
