//! GraphQL over WebSocket, in the subprotocol `graphql-transport-ws`. Each socket is one task with one queue and one
//! buffer.
//!
//! [`connection`] handles the events of a socket, [`state`] is what it has agreed with the client, [`operation`] runs
//! one operation, and [`message`] and [`close`] are the protocol as types.

mod close;
mod connection;
mod events;
mod message;
mod operation;
mod operations;
mod outbox;
mod state;

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use tracing::{Instrument, Span};

use self::connection::Connection;
use super::http::RequestError;
use super::listener::{ConnectionPlace, Intake, Place};
use super::{Shared, caller};
use crate::config::seconds;
use crate::metrics::{Counted, METRICS};
use crate::network::Network;

/// The name of the subprotocol.
const SUBPROTOCOL: &str = "graphql-transport-ws";

/// The buffer that each socket has for reading. It is small, because there are many sockets and clients send short
/// messages.
const READ_BUFFER_BYTES: usize = 1024;

/// The frames that a socket gathers before it writes them.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;

/// The frames that may wait to be written to a socket. The largest answer fits.
const MAX_WRITE_BUFFER_BYTES: usize = 16 * 1024 * 1024;

/// Opens a socket.
pub(super) async fn upgrade(shared: Arc<Shared>, request: Request) -> Result<Response, RequestError> {
    let (mut parts, _) = request.into_parts();
    if !offers_subprotocol(&parts.headers) {
        return Err(RequestError::NoSubprotocol(SUBPROTOCOL));
    }
    let caller = caller::identify(&shared, &parts.headers, &parts.extensions).await?;
    // A socket is anonymous before its `connection_init`, whatever the headers say.
    let account = shared.addresses.account(Network::of(caller.address));
    let anonymous = account.take_anonymous_socket().ok_or(RequestError::TooManyAnonymousSockets)?;
    let places = (
        parts.extensions.get::<Arc<ConnectionPlace>>().cloned(),
        parts.extensions.get::<Arc<Place>>().cloned(),
    );
    let intake = parts.extensions.get::<Arc<Intake>>().cloned();
    let upgrade =
        WebSocketUpgrade::from_request_parts(&mut parts, &()).await.map_err(RequestError::NotAnUpgrade)?;
    let max_bytes = shared.limits.max_body_bytes;
    // The log shows the socket under the id of the request that opened it.
    let span = Span::current();
    Ok(upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
        .max_message_size(max_bytes)
        .max_frame_size(max_bytes)
        .on_upgrade(move |socket| {
            let serving = async move {
                // The socket keeps the place of its connection, and of its request behind a proxy.
                let _places = places;
                let _counted = Counted::new(&METRICS.sockets);
                if let Some(intake) = &intake {
                    intake.begin_socket(seconds(shared.limits.request_timeout));
                }
                Connection::new(socket, shared, caller, anonymous, intake).serve().await;
            };
            serving.instrument(span)
        }))
}

fn offers_subprotocol(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim() == SUBPROTOCOL)
}
