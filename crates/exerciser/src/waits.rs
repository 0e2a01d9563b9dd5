//! The requests that wait on an instance, so that those of a closed handle can be found.

use alloc::vec::Vec;

use crate::Handle;

/// A table of tickets by index, with a free list through its holes: taking and giving back an index costs the same
/// however many wait, and its memory is taken when it is made.
pub(crate) struct Waits<T> {
    entries: Vec<Entry<T>>,
    /// The most recently freed index.
    free: Option<u32>,
    capacity: u32,
}

enum Entry<T> {
    Free { next: Option<u32> },
    Waiting { handle: Handle, ticket: T },
}

/// What a look through part of the table gave.
pub(crate) enum Found<T> {
    /// One of the handle's; go on looking at `next`.
    Ticket { ticket: T, next: usize },
    /// None yet; go on looking at `next`.
    Nothing { next: usize },
    /// No more.
    End,
}

impl<T: Clone> Waits<T> {
    /// Room for `capacity` tickets. `None`: no memory.
    pub(crate) fn new(capacity: u32) -> Option<Self> {
        let mut entries = Vec::new();
        entries.try_reserve_exact(usize::try_from(capacity).ok()?).ok()?;
        Some(Self {
            entries,
            free: None,
            capacity,
        })
    }

    /// Keeps the ticket. It is given back when there is no room.
    pub(crate) fn insert(&mut self, handle: Handle, ticket: T) -> Result<u32, T> {
        let Some(index) = self.free else {
            return match u32::try_from(self.entries.len()) {
                // Below the capacity that was reserved, so that this does not allocate.
                Ok(index) if index < self.capacity => {
                    self.entries.push(Entry::Waiting { handle, ticket });
                    Ok(index)
                }
                _ => Err(ticket),
            };
        };
        let Some(place) = self.entries.get_mut(index as usize) else {
            return Err(ticket);
        };
        if let Entry::Free { next } = *place {
            self.free = next;
        }
        *place = Entry::Waiting { handle, ticket };
        Ok(index)
    }

    /// Takes the ticket out. `None`: there is none at this index.
    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let place = self.entries.get_mut(index as usize)?;
        match core::mem::replace(place, Entry::Free { next: self.free }) {
            Entry::Waiting { ticket, .. } => {
                self.free = Some(index);
                Some(ticket)
            }
            hole @ Entry::Free { .. } => {
                *place = hole;
                None
            }
        }
    }

    /// Looks at up to `limit` entries from `start` on for one of `handle`. The caller holds a lock meanwhile, hence the
    /// limit.
    pub(crate) fn find(&self, handle: Handle, start: usize, limit: usize) -> Found<T> {
        let rest = self.entries.get(start..).unwrap_or_default();
        for (offset, entry) in rest.iter().take(limit).enumerate() {
            if let Entry::Waiting {
                handle: owner,
                ticket,
            } = entry
                && *owner == handle
            {
                return Found::Ticket {
                    ticket: ticket.clone(),
                    next: start + offset + 1,
                };
            }
        }
        if rest.len() > limit {
            Found::Nothing { next: start + limit }
        } else {
            Found::End
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Handle = Handle(1);
    const B: Handle = Handle(2);

    #[test]
    fn indices_are_used_again_and_never_twice() {
        let mut waits = Waits::new(2).expect("there is memory");
        let (one, two) = (waits.insert(A, 1), waits.insert(A, 2));
        assert_eq!((one, two), (Ok(0), Ok(1)));
        assert_eq!(waits.insert(A, 3), Err(3));
        assert_eq!(waits.remove(0), Some(1));
        assert_eq!(waits.remove(0), None);
        assert_eq!(waits.insert(B, 4), Ok(0));
        assert_eq!(waits.insert(B, 5), Err(5));
        assert_eq!(
            (waits.remove(1), waits.remove(0), waits.remove(2)),
            (Some(2), Some(4), None)
        );
    }

    #[test]
    fn a_search_finds_all_of_one_handle() {
        let mut waits = Waits::new(10).expect("there is memory");
        for value in 0..10 {
            waits
                .insert(if value % 3 == 0 { A } else { B }, value)
                .expect("there is room");
        }
        let (mut at, mut found) = (0, Vec::new());
        loop {
            match waits.find(A, at, 2) {
                Found::Ticket { ticket, next } => {
                    found.push(ticket);
                    at = next;
                }
                Found::Nothing { next } => at = next,
                Found::End => break,
            }
        }
        assert_eq!(found, [0, 3, 6, 9]);
    }
}
