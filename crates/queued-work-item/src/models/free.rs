//! Pop and push on the free stack, and closing it.

extern crate std;

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU32;

use super::explore;
use crate::free::{FreeStack, NIL, PopError, UNTAGGED};

const SLOTS: u32 = 3;

struct Stack<const VARIANT: u8> {
    stack: FreeStack<VARIANT>,
    links: [AtomicU32; SLOTS as usize],
    /// The owner's: two owners of a slot fail the model.
    slots: [UnsafeCell<u32>; SLOTS as usize],
}

impl<const VARIANT: u8> Stack<VARIANT> {
    /// 0, 1, 2 from the top.
    fn new() -> Arc<Self> {
        Arc::new(Self {
            stack: FreeStack::new(0),
            links: [AtomicU32::new(1), AtomicU32::new(2), AtomicU32::new(NIL)],
            slots: core::array::from_fn(|_| UnsafeCell::new(0)),
        })
    }

    fn pop(&self) -> Result<u32, PopError> {
        let slot = self.stack.pop(|slot| &self.links[slot as usize])?;
        self.slots[slot as usize].with_mut(|owned| {
            // SAFETY: popped, so this thread's; the cell checks it.
            unsafe { *owned += 1 };
        });
        Ok(slot)
    }

    fn push(&self, slot: u32) -> bool {
        self.slots[slot as usize].with_mut(|owned| {
            // SAFETY: as above.
            unsafe { *owned -= 1 };
        });
        self.stack.push(slot, &self.links[slot as usize])
    }
}

/// One thread pops; the other takes two and brings the first back: the classic.
fn aba<const VARIANT: u8>() {
    explore(3, || {
        let stack = Stack::<VARIANT>::new();
        let other = Arc::clone(&stack);
        let popper = loom::thread::spawn(move || other.pop().expect("three slots, three takers"));
        let first = stack.pop().expect("as above");
        let second = stack.pop().expect("as above");
        stack.push(first);
        let popped = popper.join().expect("popper");
        assert_ne!(popped, second, "one slot, two owners");
        let last = stack.pop().expect("one is left");
        assert!(last != popped && last != second, "one slot, two owners");
        assert_eq!(stack.pop(), Err(PopError::Empty));
    });
}

#[test]
fn a_slot_has_one_owner() {
    aba::<0>();
}

#[test]
#[should_panic(expected = "one slot, two owners")]
fn a_stack_without_a_tag_is_caught() {
    aba::<UNTAGGED>();
}

/// Condition 5: closing knows of every slot, whether it was home, or comes home later.
#[test]
fn w14_closing_counts_every_slot_once() {
    explore(3, || {
        let stack = Stack::<0>::new();
        let other = Arc::clone(&stack);
        let producer = loom::thread::spawn(move || match other.pop() {
            Ok(slot) => u32::from(other.push(slot)),
            Err(error) => {
                assert_eq!(error, PopError::Closed);
                0
            }
        });
        let home = stack
            .stack
            .close(|slot| &stack.links[slot as usize])
            .expect("the first to close");
        assert_eq!(stack.pop(), Err(PopError::Closed));
        assert_eq!(stack.stack.close(|slot| &stack.links[slot as usize]), None);
        let late = producer.join().expect("producer");
        assert_eq!(home + late, SLOTS);
    });
}
