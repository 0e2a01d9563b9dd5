//! Payloads that are all different and can be made again from a seed.
//!
//! An item is named by its producer and its number within it: that is its tag, and the first bytes of its payload, so
//! that no two payloads are equal and a hex dump tells where one came from.

use core::fmt;

/// The name of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId {
    /// The thread that enqueued it.
    pub producer: u32,
    /// Items of this thread before it.
    pub index: u32,
}

impl ItemId {
    /// The item's tag in the contract.
    #[must_use]
    pub const fn tag(self) -> u64 {
        (self.producer as u64) << 32 | self.index as u64
    }

    /// The item of a tag.
    #[must_use]
    pub const fn from_tag(tag: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the tag")]
        Self {
            producer: (tag >> 32) as u32,
            index: tag as u32,
        }
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "item {} of thread {} (tag {:#x})",
            self.index,
            self.producer,
            self.tag()
        )
    }
}

/// The bytes that name the item at the beginning of its payload.
pub const NAME_LENGTH: usize = size_of::<u64>();

/// The payload of `item`: its name, then noise, [`NAME_LENGTH`] to `longest` bytes together.
#[must_use]
pub fn distinct(seed: u64, item: ItemId, longest: usize) -> Vec<u8> {
    let mut random = SplitMix(seed ^ item.tag().wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let span = (longest.max(NAME_LENGTH) - NAME_LENGTH + 1) as u64;
    let noise = usize::try_from(random.next() % span).unwrap_or(0);
    let mut payload = Vec::with_capacity(NAME_LENGTH + noise + size_of::<u64>());
    payload.extend_from_slice(&item.tag().to_le_bytes());
    while payload.len() < NAME_LENGTH + noise {
        payload.extend_from_slice(&random.next().to_le_bytes());
    }
    payload.truncate(NAME_LENGTH + noise);
    payload
}

/// `SplitMix64`: enough noise for payloads, the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn payloads_are_distinct_bounded_and_reproducible() {
        let mut seen = HashSet::new();
        let mut lengths = HashSet::new();
        for producer in 0..4 {
            for index in 0..500 {
                let item = ItemId { producer, index };
                let payload = distinct(7, item, 64);
                assert!((NAME_LENGTH..=64).contains(&payload.len()));
                assert_eq!(payload, distinct(7, item, 64));
                lengths.insert(payload.len());
                assert!(seen.insert(payload), "{item}");
            }
        }
        assert_eq!(lengths.len(), 64 - NAME_LENGTH + 1, "every length occurs");
    }

    #[test]
    fn tags_name_their_item() {
        let item = ItemId {
            producer: 3,
            index: 2_499,
        };
        assert_eq!(ItemId::from_tag(item.tag()), item);
    }
}
