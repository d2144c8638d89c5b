//! The operations under way on a socket, by their id.

use std::collections::HashMap;

use futures_util::StreamExt;
use futures_util::stream::{self, AbortHandle, BoxStream, Stream};

use super::events::SocketEvent;
use super::message::OperationId;
use super::operation::OperationOutput;

#[derive(Default)]
pub(super) struct Operations {
    running: HashMap<OperationId, AbortHandle>,
    /// How many operations have begun on this socket.
    started: u64,
}

impl Operations {
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub(super) fn started(&self) -> u64 {
        self.started
    }

    pub(super) fn contains(&self, id: &OperationId) -> bool {
        self.running.contains_key(id)
    }

    /// Adds an operation, and returns its outputs as events. The events end when the operation is stopped.
    pub(super) fn start(
        &mut self,
        id: OperationId,
        outputs: impl Stream<Item = OperationOutput> + Send + 'static,
    ) -> BoxStream<'static, SocketEvent> {
        let key = id.clone();
        let events = outputs.map(move |output| SocketEvent::Output(key.clone(), output));
        let (events, handle) = stream::abortable(events);
        self.running.insert(id, handle);
        self.started += 1;
        events.boxed()
    }

    /// Removes an operation that has ended by itself.
    pub(super) fn remove(&mut self, id: &OperationId) {
        self.running.remove(id);
    }

    /// Stops an operation, if it is under way.
    pub(super) fn stop(&mut self, id: &OperationId) {
        if let Some(handle) = self.running.remove(id) {
            handle.abort();
        }
    }

    pub(super) fn stop_all(&mut self) {
        for (_, handle) in self.running.drain() {
            handle.abort();
        }
    }
}
