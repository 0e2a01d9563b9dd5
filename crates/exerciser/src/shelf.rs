//! The items that a worker has pended, until somebody completes them.
//!
//! Whoever configures an instance may leave it with items pended; closing it with `Close::CANCEL`, and removal, must not
//! wait for him. So the shelf can be cleared, and from then on keeps nothing.

use alloc::vec::Vec;

use queued_work_item::NtStatus;
use queued_work_item::kernel::SpinLock;
use queued_work_item::threaded::Pended;
use queued_work_item_ioctl::limits;

use crate::scratch::Scratch;

pub(crate) type Held = Pended<[u8], Scratch>;

pub(crate) struct Shelf(SpinLock<State>);

struct State {
    /// In the order in which they were pended, by their tags; its memory was taken when it was made.
    items: Vec<(u64, Held)>,
    room: usize,
    open: bool,
}

impl Shelf {
    /// A shelf for an instance of so many buffers. `None`: no memory.
    pub(crate) fn new(buffers: u32) -> Option<Self> {
        let room = usize::try_from(buffers.min(limits::PENDED)).ok()?;
        let mut items = Vec::new();
        items.try_reserve_exact(room).ok()?;
        Some(Self(SpinLock::new(State {
            items,
            room,
            open: true,
        })))
    }

    /// Keeps an item, or completes it: when there is no room, or once the shelf has been cleared.
    pub(crate) fn keep(&self, tag: u64, item: Held) {
        let refused = {
            let mut state = self.0.lock();
            if !state.open {
                Some((item, NtStatus::CANCELLED))
            } else if state.items.len() >= state.room {
                Some((item, NtStatus::INSUFFICIENT_RESOURCES))
            } else {
                state.items.push((tag, item));
                None
            }
        };
        // Outside the lock: a completion may come to this shelf again.
        if let Some((item, status)) = refused {
            item.complete(status);
        }
    }

    /// Takes out the first item with this tag.
    pub(crate) fn take(&self, tag: u64) -> Option<Held> {
        let mut state = self.0.lock();
        let at = state.items.iter().position(|(known, _)| *known == tag)?;
        Some(state.items.remove(at).1)
    }

    /// Completes everything with `STATUS_CANCELLED`, and keeps nothing from now on.
    pub(crate) fn clear(&self) {
        let items = {
            let mut state = self.0.lock();
            state.open = false;
            core::mem::take(&mut state.items)
        };
        for (_, item) in items {
            item.complete(NtStatus::CANCELLED);
        }
    }
}
