//! Accounting for the pool that a driver uses: leaks by tag, and failure of the i-th allocation on request.
//!
//! Two things are counted as allocations, in one sequence: what the driver takes from the pool itself (its imports are
//! patched, see [`crate::imports`]), and what the framework allocates on its behalf when it creates an object, a
//! context or a buffer. Blocks are kept in a table beside the memory, not in front of it, so that blocks of NT's own
//! which the driver frees, and blocks of the driver's which NT frees, do no harm.

use alloc::collections::BTreeMap;
use core::ffi::c_void;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::globals::Globals;
use crate::nt::ffi;
use crate::nt::registry::Controls;
use crate::nt::sync::Lock;
use crate::stop::stop;

const SHARDS: usize = 64;

#[derive(Clone, Copy)]
struct Block {
    tag: u32,
    size: usize,
}

/// One driver's account.
pub(crate) struct Pool {
    controls: Controls,
    /// How many allocations were asked for so far.
    asked: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    peak: AtomicU64,
    blocks: [Lock<BTreeMap<usize, Block>>; SHARDS],
}

/// What is left at unload.
#[derive(Clone, Copy, Default)]
pub(crate) struct Leaks {
    pub(crate) blocks: u64,
    pub(crate) bytes: u64,
}

impl Pool {
    pub(crate) fn new(controls: Controls) -> Self {
        Self {
            controls,
            asked: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            blocks: [const { Lock::new(BTreeMap::new()) }; SHARDS],
        }
    }

    /// Counts one allocation; false if it is to fail.
    pub(crate) fn may_allocate(&self) -> bool {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let fails = self.controls.fails(number);
        if fails {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        !fails
    }

    fn shard(&self, address: usize) -> &Lock<BTreeMap<usize, Block>> {
        &self.blocks[(address >> 4) % SHARDS]
    }

    /// Allocates for the driver; null if there is none or failure was asked for.
    pub(crate) fn allocate(&self, pool_type: i32, size: usize, tag: u32) -> *mut c_void {
        if !self.may_allocate() {
            return core::ptr::null_mut();
        }
        // SAFETY: any size, type and tag may be asked for.
        let block = unsafe { ffi::ExAllocatePoolWithTag(pool_type, size, tag) };
        if !block.is_null() {
            self.shard(block.addr())
                .lock()
                .insert(block.addr(), Block { tag, size });
            let bytes = self.bytes.fetch_add(size as u64, Ordering::Relaxed) + size as u64;
            self.peak.fetch_max(bytes, Ordering::Relaxed);
        }
        block
    }

    /// Frees a block; `tag` zero means any. Blocks that are not the driver's go to NT.
    pub(crate) fn free(&self, globals: &Globals, function: &str, block: *mut c_void, tag: u32) {
        let known = self.shard(block.addr()).lock().remove(&block.addr());
        if let Some(known) = known {
            if tag != 0 && tag != known.tag {
                stop!(
                    globals,
                    Pool,
                    "{function}: block {block:p} has tag '{}', not '{}'",
                    Tag(known.tag),
                    Tag(tag)
                );
            }
            self.bytes.fetch_sub(known.size as u64, Ordering::Relaxed);
            poison(block, known.size);
        }
        // SAFETY: it is a block of the pool by the driver's contract.
        unsafe { ffi::ExFreePoolWithTag(block, tag) };
    }

    /// Prints what is left, by tag, and sums it up.
    pub(crate) fn report(&self, name: &str) -> Leaks {
        let mut by_tag: BTreeMap<u32, Leaks> = BTreeMap::new();
        for shard in &self.blocks {
            for block in shard.lock().values() {
                let sum = by_tag.entry(block.tag).or_default();
                sum.blocks += 1;
                sum.bytes += block.size as u64;
            }
        }
        let mut total = Leaks::default();
        for (tag, sum) in by_tag {
            crate::nt::print::log!(
                "leak {name}: pool tag '{}': {} blocks {} bytes",
                Tag(tag),
                sum.blocks,
                sum.bytes
            );
            total.blocks += sum.blocks;
            total.bytes += sum.bytes;
        }
        total
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

/// Overwrites freed memory, so that a use after free shows.
fn poison(block: *mut c_void, size: usize) {
    // SAFETY: the block is the driver's, of this size, and just being freed.
    unsafe { core::ptr::write_bytes(block.cast::<u8>(), 0xdd, size) };
}

/// A tag as four characters.
pub(crate) struct Tag(pub(crate) u32);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_le_bytes().iter().try_for_each(|byte| match byte {
            b' '..=b'~' => write!(f, "{}", *byte as char),
            _ => f.write_str("."),
        })
    }
}
