//! The two states of a socket: it waits for `connection_init`, and then it runs operations.

use std::sync::Arc;

use super::close::CloseReason;
use super::message::InitPayload;
use super::operations::Operations;
use crate::accounts::Credential;
use crate::config::Limits;
use crate::error::Error;
use crate::graphql::{BAD_REQUEST, Caller, Cursor, LIMIT_EXCEEDED, Params, Response, refusal};
use crate::messaging::ConnectionId;
use crate::random;
use crate::trace::TraceContext;
use crate::transport::Shared;
use crate::transport::caller::{act, parse_credential, sign_in};
use crate::transport::listener::Place;
use crate::transport::sockets::Slot;

pub(super) enum State {
    AwaitingInit(AwaitingInit),
    Ready(Ready),
}

impl State {
    pub(super) fn caller(&self) -> &Arc<Caller> {
        match self {
            Self::AwaitingInit(waiting) => &waiting.caller,
            Self::Ready(ready) => &ready.caller,
        }
    }
}

/// A socket before `connection_init`. Nobody is signed in on it, even if its upgrade carries a cookie.
pub(super) struct AwaitingInit {
    /// Whoever the headers of the upgrade name.
    pub(super) caller: Arc<Caller>,
    pub(super) place: Arc<Place>,
}

/// A socket after `connection_init`.
pub(super) struct Ready {
    pub(super) caller: Arc<Caller>,
    pub(super) operations: Operations,
    pub(super) seat: Seat,
}

/// The place that a socket takes up until it is dropped.
pub(super) enum Seat {
    /// A place among the address's sockets on which nobody is signed in.
    Anonymous { _place: Arc<Place> },
    /// A place among the sockets of the user or the service.
    Known { _slot: Slot },
}

impl AwaitingInit {
    /// Answers `connection_init`: finds the session and the connection id, and takes a place for the socket. The
    /// cursor is the end of the log at that moment.
    pub(super) async fn accept(
        &self,
        shared: &Shared,
        payload: InitPayload,
    ) -> Result<(Ready, Cursor), CloseReason> {
        let InitPayload { authorizations, act_as, connection_id, traceparent } = payload;
        let services = shared.engine.services();
        let mut caller = Caller::clone(&self.caller);
        if let Some(credential) = first_credential(authorizations)? {
            sign_in(&services.accounts, &credential, &mut caller).await.map_err(not_signed_in)?;
        }
        if let Some(user) = act_as {
            act(&services.accounts, &user, &mut caller).await.map_err(not_acting)?;
        }
        let connection = match (connection_id, caller.connection.take()) {
            (Some(id), _) => ConnectionId::parse(&id)
                .map_err(|invalid| CloseReason::InvalidMessage(format!("connectionId {}", invalid.0)))?,
            (None, Some(connection)) => connection,
            (None, None) => ConnectionId::trusted(format!("con_{}", random::id().simple())),
        };
        caller.connection = Some(connection);
        caller.trace = traceparent.as_deref().and_then(TraceContext::of_text);
        let seat = self.take_seat(shared, &caller)?;
        // The database has logged the cause.
        let head = services.database.head().await.map_err(|_| CloseReason::Unavailable)?;
        let ready = Ready { caller: Arc::new(caller), operations: Operations::default(), seat };
        Ok((ready, Cursor::new(head)))
    }

    fn take_seat(&self, shared: &Shared, caller: &Caller) -> Result<Seat, CloseReason> {
        if caller.identified().is_err() {
            return Ok(Seat::Anonymous { _place: Arc::clone(&self.place) });
        }
        let slot = shared.sockets.take(caller.owner()).ok_or(CloseReason::TooManySockets)?;
        Ok(Seat::Known { _slot: slot })
    }
}

/// The first credential that is not empty. Each value must be a credential or empty.
fn first_credential(authorizations: Vec<Result<String, String>>) -> Result<Option<Credential>, CloseReason> {
    let mut first = None;
    for text in authorizations {
        let credential =
            parse_credential(&text.map_err(CloseReason::InvalidToken)?).map_err(not_signed_in)?;
        first = first.or(credential);
    }
    Ok(first)
}

fn not_acting(error: Error) -> CloseReason {
    match error {
        Error::Unavailable => CloseReason::Unavailable,
        error => CloseReason::Forbidden(error.message()),
    }
}

fn not_signed_in(error: Error) -> CloseReason {
    match error {
        Error::Unavailable => CloseReason::Unavailable,
        error @ (Error::Jwt(_) | Error::Forbidden(_) | Error::AccountDisabled) => {
            CloseReason::Refused(error.message())
        }
        error => CloseReason::InvalidToken(error.message()),
    }
}

impl Ready {
    /// Checks whether an operation may begin, and returns for whom it runs.
    ///
    /// # Errors
    /// The errors that end the operation.
    pub(super) fn admit(
        &self,
        payload: Result<Box<Params>, String>,
        limits: &Limits,
    ) -> Result<(Arc<Caller>, Params), Box<Response>> {
        let refuse = |code: &str, message: String| Box::new(refusal(code, message));
        let params = payload.map_err(|reason| {
            refuse(BAD_REQUEST, format!("The payload is not a GraphQL request: {reason}."))
        })?;
        let max = limits.max_operations_per_socket;
        if self.operations.len() >= max {
            return Err(refuse(LIMIT_EXCEEDED, format!("A socket has at most {max} operations under way.")));
        }
        let (id, trace) = (params.connection_id(), params.trace());
        if id.is_none() && trace.is_none() {
            return Ok((Arc::clone(&self.caller), *params));
        }
        let mut caller = Caller::clone(&self.caller);
        if let Some(id) = id {
            let connection = ConnectionId::parse(id).map_err(|invalid| {
                refuse(BAD_REQUEST, format!("`extensions.connectionId` {}.", invalid.0))
            })?;
            caller.connection = Some(connection);
        }
        caller.trace = trace.or(caller.trace);
        Ok((Arc::new(caller), *params))
    }
}
