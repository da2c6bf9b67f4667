//! What is to happen at a certain byte: done by the proxy itself, the moment that byte was written.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Direction, ProxyHandle, Shared};

pub struct Tripwire {
    direction: Direction,
    /// Bytes of all connections in that direction.
    at: u64,
    act: Box<dyn FnOnce() + Send>,
}

impl Shared {
    fn counter(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::ToClient => &self.to_client,
            Direction::ToServer => &self.to_server,
        }
    }

    /// How many of `length` bytes may be written before the next tripwire is reached; at least one.
    pub fn up_to_tripwire(&self, direction: Direction, length: usize) -> usize {
        let carried = self.counter(direction).load(Ordering::Acquire);
        let tripwires = self.tripwires.lock().unwrap();
        let next = tripwires.iter().filter(|wire| wire.direction == direction).map(|wire| wire.at).min();
        let left = next.map_or(u64::MAX, |at| at.saturating_sub(carried));
        usize::try_from(left).unwrap_or(usize::MAX).clamp(1, length.max(1))
    }

    /// Counts what was written and sets off the tripwires it reached.
    pub fn carried(&self, direction: Direction, bytes: u64) {
        let carried = self.counter(direction).fetch_add(bytes, Ordering::AcqRel) + bytes;
        let mut tripwires = self.tripwires.lock().unwrap();
        while let Some(reached) =
            tripwires.iter().position(|wire| wire.direction == direction && wire.at <= carried)
        {
            (tripwires.swap_remove(reached).act)();
        }
    }
}

impl ProxyHandle {
    /// Does something once, when so many more bytes went that way, counted over all connections.
    pub fn after_bytes(&self, bytes: u64, direction: Direction, act: impl FnOnce() + Send + 'static) {
        let at = self.shared.counter(direction).load(Ordering::Acquire) + bytes;
        self.shared.tripwires.lock().unwrap().push(Tripwire { direction, at, act: Box::new(act) });
    }

    /// Takes all tripwires away; none is being set off any more when this returns.
    pub fn disarm(&self) {
        self.shared.tripwires.lock().unwrap().clear();
    }
}
