//! The memory of an instance: one slab of buffers, and a table of places for the buffers that it may grow by.
//!
//! ```text
//! slab:   | control | head | payload |  x buffer_count      one allocation, with the table
//! table:  | control | -> block |        x (max - count)     block = | head | payload |, from the pool while in use
//! ```
//!
//! A control is what other threads may look at although the buffer is not theirs (links, the waiter's place), so the
//! controls of lookaside buffers are in the table, which is never freed before the instance is. The head is the
//! owner's: completion and context.
//!
//! Where heads and payloads may be paged out, they are an allocation of their own, and the slab is controls alone:
//! ```text
//! nonpaged: | control | x buffer_count, and the table       paged: | head | payload | x buffer_count
//! ```
//! What is looked at under a spin lock, or by a thread at `DISPATCH_LEVEL`, is controls only. Whoever asks for a head or
//! a payload is their owner, at `PASSIVE_LEVEL`, which debug builds check here.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::free::{FreeStack, Missed, NIL, PopError};
use crate::kernel::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::kernel::cell::UnsafeCell;
use crate::kernel::{Block, Irql, Pool, check_irql};
use crate::waiter::WaiterSlot;
use crate::{Config, CreateError};

/// The alignment of every payload in bytes, or more where its type asks for more: what nonpaged pool guarantees, and what a
/// framework structure or an SSE register needs.
pub const PAYLOAD_ALIGNMENT: usize = 16;

/// The shared part of a slot.
pub(crate) struct Control {
    /// The next slot of whatever list this one is in. On the free stack it is read by threads that lost a race.
    pub(crate) link: AtomicU32,
    /// The payload's length. The model checker watches this cell in the place of the whole payload: both are written
    /// and read together.
    pub(crate) length: UnsafeCell<u32>,
    pub(crate) waiter: WaiterSlot,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Control>() == 16);

impl Control {
    fn new(next: u32) -> Self {
        Self {
            link: AtomicU32::new(next),
            length: UnsafeCell::new(0),
            waiter: WaiterSlot::new(),
        }
    }
}

/// A place for a lookaside buffer.
struct Extra {
    control: Control,
    /// The block, while the place is in use: written by its owner.
    block: AtomicPtr<u8>,
}

/// The owner's part of a slot.
pub(crate) struct Head<K, C> {
    pub(crate) completion: Option<K>,
    pub(crate) context: C,
}

/// A slot that the holder of this value owns, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

impl Slot {
    pub(crate) const fn index(self) -> u32 {
        self.0
    }

    pub(crate) const fn from_index(index: u32) -> Option<Self> {
        if index == NIL { None } else { Some(Self(index)) }
    }
}

/// A buffer that was free and is the holder's now: its slot, and where its parts lie.
pub(crate) struct Room<'a, K, C> {
    pub(crate) slot: Slot,
    pub(crate) control: &'a Control,
    pub(crate) head: NonNull<Head<K, C>>,
    pub(crate) payload: NonNull<u8>,
}

/// The slots of an instance.
///
/// # Invariants
/// - `free` holds slots of the slab, `spare` places of the table.
/// - A slot of the slab has a valid head as long as this value lives. A place of the table has one, in its block, from
///   [`acquire`](Self::acquire) to [`release`](Self::release).
/// - A slot belongs to the free stack, or to one owner: whoever acquired it, then the pending list, the ready list, the
///   drainer or a canceller. Only the owner touches head and payload.
/// - The payload bytes of a free slot are zero, if they are plain bytes.
pub(crate) struct Slots<K, C> {
    slab: NonNull<u8>,
    table: NonNull<Extra>,
    count: u32,
    max: u32,
    stride: usize,
    /// The first slot's head. The others follow, `body_stride` apart.
    bodies: NonNull<u8>,
    body_stride: usize,
    payload_offset: usize,
    /// Head and payload of a lookaside block.
    block: Layout,
    free: FreeStack,
    spare: FreeStack,
    owns: core::marker::PhantomData<Head<K, C>>,
    /// What heads and payloads lie in.
    pool: Pool,
    _memory: Block,
    _bodies: Option<Block>,
}

// SAFETY: the slots are shared by protocol (see the invariants); completions and contexts move between threads.
unsafe impl<K: Send, C: Send> Send for Slots<K, C> {}
// SAFETY: as above; no shared access to a completion or context is ever given out.
unsafe impl<K: Send, C: Send> Sync for Slots<K, C> {}

impl<K, C: Default> Slots<K, C> {
    /// The slots that `config` asks for, all free, their payloads zero. IRQL `PASSIVE_LEVEL`.
    pub(crate) fn new(config: &Config, payload: Layout) -> Result<Self, CreateError> {
        const INVALID: CreateError = CreateError::InvalidConfig;
        let max = config.max_buffers()?;
        let count = config.buffer_count;
        let payload = payload.align_to(PAYLOAD_ALIGNMENT).map_err(|_| INVALID)?;
        let head = Layout::new::<Head<K, C>>();
        let (block, block_payload_offset) = head.extend(payload).map_err(|_| INVALID)?;
        let body = block.pad_to_align();
        let control = Layout::new::<Control>();
        let (slot, head_offset) = match config.pool {
            Pool::NonPaged => control.extend(body).map_err(|_| INVALID)?,
            Pool::Paged => (control, 0),
        };
        let slot = slot.pad_to_align();
        let stride = slot.size();
        let slab = array(slot, count).ok_or(INVALID)?;
        let extras = array(Layout::new::<Extra>(), max - count).ok_or(INVALID)?;
        let (whole, table_offset) = slab.extend(extras).map_err(|_| INVALID)?;

        let memory = Block::zeroed(whole).ok_or(CreateError::OutOfMemory)?;
        let slab = memory.start();
        // SAFETY: the offset lies inside the allocation.
        let table = unsafe { slab.add(table_offset) }.cast::<Extra>();
        let (bodies, body_stride, apart) = match config.pool {
            Pool::Paged => {
                let bodies = array(body, count).ok_or(INVALID)?;
                let apart = Block::zeroed_in(Pool::Paged, bodies).ok_or(CreateError::OutOfMemory)?;
                (apart.start(), body.size(), Some(apart))
            }
            Pool::NonPaged if count == 0 => (slab, stride, None),
            // SAFETY: the offset lies inside the first slot.
            Pool::NonPaged => (unsafe { slab.add(head_offset) }, stride, None),
        };
        let slots = Self {
            slab,
            table,
            count,
            max,
            stride,
            bodies,
            body_stride,
            payload_offset: block_payload_offset,
            block,
            free: FreeStack::new(if count == 0 { NIL } else { 0 }),
            spare: FreeStack::new(if max == count { NIL } else { count }),
            owns: core::marker::PhantomData,
            pool: config.pool,
            _memory: memory,
            _bodies: apart,
        };
        for index in 0..count {
            let next = if index + 1 == count { NIL } else { index + 1 };
            // SAFETY: slot `index` lies inside the slab, and nothing uses it yet.
            unsafe { slots.slab_control(index).write(Control::new(next)) };
            // SAFETY: as above, and the offset is that of its head.
            unsafe {
                slots.head(Slot(index)).write(Head {
                    completion: None,
                    context: C::default(),
                });
            };
        }
        for index in count..max {
            let next = if index + 1 == max { NIL } else { index + 1 };
            let extra = Extra {
                control: Control::new(next),
                block: AtomicPtr::new(core::ptr::null_mut()),
            };
            // SAFETY: place `index - count` lies inside the table, and nothing uses it yet.
            unsafe { slots.extra(index).write(extra) };
        }
        Ok(slots)
    }

    /// Takes a free slot, or grows by one if that was configured. IRQL `<= DISPATCH_LEVEL`.
    pub(crate) fn acquire(&self) -> Result<Slot, Refusal> {
        match self.pop_slot() {
            Ok(slot) => Ok(slot),
            Err(PopError::Empty) => self.grow(),
            Err(PopError::Closed) => Err(Refusal::Closed),
        }
    }

    /// Takes a free slot of the slab.
    pub(crate) fn pop_slot(&self) -> Result<Slot, PopError> {
        // SAFETY: what is on this stack is of the slab, and controls live as long as `self`.
        let link = |index| unsafe { &self.slab_control(index).as_ref().link };
        self.free.pop(link).map(Slot)
    }

    /// One attempt to take a free slot of the slab, to fill it. IRQL as for its payload.
    #[inline]
    pub(crate) fn try_pop(&self) -> Result<Room<'_, K, C>, Missed> {
        // Without asking where it lies: what is on this stack is of the slab.
        let (index, control) = self.free.try_pop(
            |index| self.slab_control(index),
            // SAFETY: in range, and controls live as long as `self`.
            |control| unsafe { &control.as_ref().link },
        )?;
        self.check_pageable();
        let body = self.slab_body(index);
        Ok(Room {
            slot: Slot(index),
            // SAFETY: as above.
            control: unsafe { control.as_ref() },
            head: body.cast(),
            // SAFETY: the offset lies inside the body, which has a head and a payload.
            payload: unsafe { body.add(self.payload_offset) },
        })
    }

    /// The parts of a slot that the caller owns.
    pub(crate) fn room(&self, slot: Slot) -> Room<'_, K, C> {
        Room {
            slot,
            control: self.control(slot),
            head: self.head(slot),
            payload: self.payload(slot),
        }
    }

    /// Takes a place for growth and its memory, if that was configured. IRQL `<= DISPATCH_LEVEL`.
    #[cold]
    pub(crate) fn grow(&self) -> Result<Slot, Refusal> {
        if self.max == self.count {
            return Err(Refusal::Full);
        }
        let slot = match self.spare.pop(|index| &self.control_at(index).link) {
            Ok(index) => Slot(index),
            Err(PopError::Empty) => return Err(Refusal::Full),
            Err(PopError::Closed) => return Err(Refusal::Closed),
        };
        let Some(block) = Block::zeroed_in(self.pool, self.block) else {
            let late = self.spare.push(slot.0, &self.control(slot).link);
            return Err(if late { Refusal::ClosedLate } else { Refusal::Full });
        };
        // SAFETY: the place is this caller's since the pop.
        let extra = unsafe { self.extra(slot.0).as_ref() };
        // Relaxed: only the place's owner looks at it, and ownership passes through stronger words.
        extra.block.store(block.into_base().as_ptr(), Ordering::Relaxed);
        // SAFETY: the block begins with room for a head, aligned for it.
        unsafe {
            self.head(slot).write(Head {
                completion: None,
                context: C::default(),
            });
        };
        Ok(slot)
    }

    /// Makes the context of a slot what a fresh one has.
    ///
    /// # Safety
    /// The caller owns the slot, and nobody has a reference into its head.
    pub(crate) unsafe fn reset_context(&self, slot: Slot) {
        // SAFETY: the head is valid, and the caller's.
        let context = unsafe { &raw mut (*self.head(slot).as_ptr()).context };
        let fresh = C::default();
        // SAFETY: valid, and dropped once: it is overwritten below without another drop.
        unsafe { context.drop_in_place() };
        // The bytes between a context's fields too.
        // SAFETY: a context's bytes, which nothing lives in now.
        unsafe { context.write_bytes(0, 1) };
        // SAFETY: aligned for a context, and the caller's.
        unsafe { context.write(fresh) };
    }
}

impl<K, C> Slots<K, C> {
    /// Gives a slot back, its payload cleared, its completion taken and its context reset. `true` when the slots have
    /// been closed: then the caller has to report one more slot at home.
    ///
    /// # Safety
    /// The caller owns the slot, and does not afterwards.
    pub(crate) unsafe fn release(&self, slot: Slot) -> bool {
        let link = &self.control(slot).link;
        if slot.0 < self.count {
            return self.free.push(slot.0, link);
        }
        // SAFETY: the place is the caller's.
        unsafe { self.free_block(slot) };
        self.spare.push(slot.0, link)
    }

    /// Gives back slots of the slab together, in the state that [`release`](Self::release) asks for. How many of them the
    /// caller has to report: all, when the slots have been closed, or none.
    ///
    /// # Safety
    /// The caller owns the slots, and does not afterwards.
    pub(crate) unsafe fn release_all(&self, slots: impl Iterator<Item = Slot>) -> u32 {
        let mut count = 0;
        let mut chain: Option<(Slot, &AtomicU32)> = None;
        for slot in slots {
            debug_assert!(self.is_of_slab(slot), "places for growth go home one by one");
            let link = &self.control(slot).link;
            let last = match chain {
                None => link,
                Some((first, last)) => {
                    // Relaxed: published by the push.
                    link.store(first.0, Ordering::Relaxed);
                    last
                }
            };
            chain = Some((slot, last));
            count += 1;
        }
        match chain {
            Some((first, last)) if self.free.push_chain(first.0, last) => count,
            _ => 0,
        }
    }

    /// Does it lie in the slab, rather than in a block of its own?
    pub(crate) const fn is_of_slab(&self, slot: Slot) -> bool {
        slot.0 < self.count
    }

    /// # Safety
    /// The caller owns the slot, which is one of the table and in use.
    unsafe fn free_block(&self, slot: Slot) {
        // SAFETY: the head is valid and the caller's, and nothing uses it after this.
        unsafe { self.head(slot).drop_in_place() };
        // SAFETY: a place of the table, the caller's.
        let extra = unsafe { self.extra(slot.0).as_ref() };
        let base = extra.block.swap(core::ptr::null_mut(), Ordering::Relaxed);
        let Some(base) = NonNull::new(base) else {
            unreachable!("a place in use has a block")
        };
        // SAFETY: from `Block::into_base` in `grow`, and taken out of the place, so freed once.
        unsafe { Block::free_base(base) };
    }

    /// Closes the slots: nothing is acquired from now on. Returns how many were at home, or `None` when they had been
    /// closed before. Takes time with the number of slots; IRQL `PASSIVE_LEVEL`.
    pub(crate) fn close(&self) -> Option<u32> {
        let free = self.free.close(|index| &self.control_at(index).link)?;
        let spare = self.spare.close(|index| &self.control_at(index).link)?;
        Some(free + spare)
    }

    /// How many buffers there can be at once.
    pub(crate) const fn max(&self) -> u32 {
        self.max
    }

    pub(crate) fn control(&self, slot: Slot) -> &Control {
        self.control_at(slot.0)
    }

    fn control_at(&self, index: u32) -> &Control {
        debug_assert!(index < self.max, "no such slot");
        if index < self.count {
            // SAFETY: the index is in range; controls are written in `new` and live as long as `self`.
            unsafe { self.slab_control(index).as_ref() }
        } else {
            // SAFETY: as above.
            unsafe { &self.extra(index).as_ref().control }
        }
    }

    /// May heads and payloads be paged out?
    pub(crate) const fn is_pageable(&self) -> bool {
        matches!(self.pool, Pool::Paged)
    }

    /// What begins with the slot's head, and has its payload `payload_offset` further on.
    fn body(&self, slot: Slot) -> NonNull<u8> {
        self.check_pageable();
        if slot.0 < self.count {
            self.slab_body(slot.0)
        } else {
            self.block_start(slot)
        }
    }

    #[inline]
    fn check_pageable(&self) {
        if cfg!(debug_assertions) && self.is_pageable() {
            check_irql(Irql::APC, "pageable memory");
        }
    }

    fn slab_body(&self, index: u32) -> NonNull<u8> {
        // SAFETY: `index < count`, and there are `count` bodies.
        unsafe { self.bodies.add(index as usize * self.body_stride) }
    }

    /// The head of a slot. Valid as the invariants say; for its owner to follow.
    pub(crate) fn head(&self, slot: Slot) -> NonNull<Head<K, C>> {
        self.body(slot).cast()
    }

    /// The payload bytes of a slot, for its owner to follow.
    pub(crate) fn payload(&self, slot: Slot) -> NonNull<u8> {
        // SAFETY: the offset lies inside the body, which has a head and a payload.
        let payload = unsafe { self.body(slot).add(self.payload_offset) };
        debug_assert!(
            payload.addr().get().is_multiple_of(PAYLOAD_ALIGNMENT),
            "a payload at {payload:p}"
        );
        payload
    }

    fn slab_control(&self, index: u32) -> NonNull<Control> {
        // SAFETY: `index < count`, so the offset lies inside the slab.
        unsafe { self.slab.add(index as usize * self.stride) }.cast()
    }

    fn extra(&self, index: u32) -> NonNull<Extra> {
        // SAFETY: `count <= index < max`, so the offset lies inside the table.
        unsafe { self.table.add((index - self.count) as usize) }
    }

    fn block_start(&self, slot: Slot) -> NonNull<u8> {
        // SAFETY: a place of the table; the reference ends here.
        let extra = unsafe { self.extra(slot.0).as_ref() };
        let base = extra.block.load(Ordering::Relaxed);
        let Some(base) = NonNull::new(base) else {
            unreachable!("a place in use has a block")
        };
        // SAFETY: the block was allocated for this layout.
        unsafe { Block::start_of(base, self.block) }
    }
}

impl<K, C> Drop for Slots<K, C> {
    fn drop(&mut self) {
        for index in 0..self.count {
            // SAFETY: the slab's heads are valid as long as `self` lives, and are dropped once, here.
            unsafe { self.head(Slot(index)).drop_in_place() };
            #[cfg(loom)]
            // SAFETY: written in `new`. Only the model checker's atomics have anything to drop.
            unsafe {
                self.slab_control(index).drop_in_place();
            }
        }
        for index in self.count..self.max {
            // SAFETY: written in `new`; the exclusive borrow shows that nobody else looks.
            let extra = unsafe { self.extra(index).as_ref() };
            if !extra.block.load(Ordering::Relaxed).is_null() {
                // SAFETY: in use, and the exclusive borrow shows that its owner has forgotten it.
                unsafe { self.free_block(Slot(index)) };
            }
            #[cfg(loom)]
            // SAFETY: as for the slab.
            unsafe {
                self.extra(index).drop_in_place();
            }
        }
    }
}

/// Why no slot was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Closed,
    /// As `Closed`, and a slot came home meanwhile that the caller has to report.
    ClosedLate,
}

fn array(element: Layout, count: u32) -> Option<Layout> {
    let size = element.size().checked_mul(usize::try_from(count).ok()?)?;
    Layout::from_size_align(size, element.align()).ok()
}
