//! A way to the driver that is wrong about one item.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use queued_work_item_harness::{
    Error, NtStatus,
    device::{Access, Completion, Device, Process, Request, Transport},
    payload::ItemId,
};
use queued_work_item_ioctl::{ENQUEUE, ENQUEUE_AND_WAIT, Enqueue, WaitReply};
use zerocopy::{FromBytes, IntoBytes};

/// What is done to the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is accepted and never reaches the queue.
    Lost,
    /// It reaches the queue twice.
    Twice,
    /// It reaches the queue after its successor.
    Swapped,
    /// A bit of its payload flips.
    BitFlipped,
    /// Its payload loses its last byte.
    Truncated,
    /// Its callback is told another status.
    Status,
    /// Its waiter is told another status.
    ReplyStatus,
    /// Its waiter is told of another item.
    ReplyTag,
    /// Its waiter is told that it was dropped.
    ReplyOutcome,
    /// Its waiter is told nothing.
    NoReply,
}

/// A fault, and what the verdict must say.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) wrong: Wrong,
    pub(crate) item: ItemId,
    pub(crate) verdict: &'static [&'static str],
}

/// Enqueued and left alone: the main scenario waits for none of a thread's first 10.
const LEFT: ItemId = ItemId {
    producer: 2,
    index: 5,
};
/// Waited for.
const WAITED: ItemId = ItemId {
    producer: 1,
    index: 15,
};
const LEFT_NAME: &str = "item 5 of thread 2";
const WAITED_NAME: &str = "item 15 of thread 1";

macro_rules! fault {
    ($name:literal, $wrong:ident, left, $words:literal) => {
        Fault {
            name: $name,
            wrong: Wrong::$wrong,
            item: LEFT,
            verdict: &[LEFT_NAME, $words],
        }
    };
    ($name:literal, $wrong:ident, waited, $words:literal) => {
        Fault {
            name: $name,
            wrong: Wrong::$wrong,
            item: WAITED,
            verdict: &[WAITED_NAME, $words],
        }
    };
}

/// Every fault.
pub(crate) const FAULTS: &[Fault] = &[
    fault!("lost", Lost, left, "never ran"),
    fault!("twice", Twice, left, "ran again"),
    fault!("waited_for_twice", Twice, waited, "ran again"),
    fault!("swapped", Swapped, left, "which was enqueued later"),
    fault!("bit_flipped", BitFlipped, left, "other bytes"),
    fault!("waited_for_with_a_bit_flipped", BitFlipped, waited, "other bytes"),
    fault!("truncated", Truncated, left, "bytes of payload where"),
    fault!("another_status", Status, left, "was asked for"),
    fault!("waiter_told_another_status", ReplyStatus, waited, "the waiter of"),
    fault!("waiter_told_of_another_item", ReplyTag, waited, "the waiter of"),
    fault!(
        "waiter_told_it_was_dropped",
        ReplyOutcome,
        waited,
        "the waiter of"
    ),
    fault!("waiter_told_nothing", NoReply, waited, "no answer within"),
];

/// A transport with a fault.
pub(crate) struct Faulty<T> {
    inner: T,
    fault: &'static Fault,
    held: Held,
}

/// The swapped item, on its way.
type Held = Arc<Mutex<Option<Vec<u8>>>>;

impl<T> Faulty<T> {
    pub(crate) fn new(inner: T, fault: &'static Fault) -> Self {
        Self {
            inner,
            fault,
            held: Arc::default(),
        }
    }
}

impl<T: Transport> Transport for Faulty<T> {
    fn open(&self, access: Access) -> Result<Box<dyn Device>, Error> {
        Ok(Box::new(FaultyDevice {
            inner: self.inner.open(access)?,
            fault: self.fault,
            held: Arc::clone(&self.held),
        }))
    }

    fn surprise_remove(&self) -> Result<(), Error> {
        self.inner.surprise_remove()
    }

    fn restore(&self) -> Result<(), Error> {
        self.inner.restore()
    }

    fn unload(&self) -> Result<(), Error> {
        self.inner.unload()
    }

    fn second(&self) -> Result<Box<dyn Transport + '_>, Error> {
        self.inner.second()
    }

    fn process(&self) -> Result<Box<dyn Process + '_>, Error> {
        self.inner.process()
    }
}

struct FaultyDevice {
    inner: Box<dyn Device>,
    fault: &'static Fault,
    held: Held,
}

impl FaultyDevice {
    fn tamper(&self, code: u32, input: &[u8], output: usize) -> Result<Box<dyn Request>, Error> {
        let mut input = input.to_vec();
        let head = size_of::<Enqueue>();
        let done = |output| {
            Answer::boxed(Completion {
                status: NtStatus::SUCCESS,
                output,
            })
        };
        match self.fault.wrong {
            Wrong::Lost => return Ok(done(Vec::new())),
            Wrong::Twice => {
                let first = answer(self.inner.submit(code, &input, output)?)?;
                if first.status != NtStatus::SUCCESS {
                    return Ok(Answer::boxed(first));
                }
            }
            Wrong::Swapped => {
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(input);
                return Ok(done(Vec::new()));
            }
            Wrong::BitFlipped => input[head] ^= 1,
            Wrong::Truncated => drop(input.pop()),
            Wrong::Status => {
                let (mut item, _) = Enqueue::read_from_prefix(&input).expect("an item");
                item.status ^= 1;
                input[..head].copy_from_slice(item.as_bytes());
            }
            Wrong::NoReply => return Ok(Box::new(Answer(None))),
            Wrong::ReplyStatus | Wrong::ReplyTag | Wrong::ReplyOutcome => {
                let mut completion = answer(self.inner.submit(code, &input, output)?)?;
                let Ok(mut reply) = WaitReply::read_from_bytes(&completion.output) else {
                    // Refused: the item is not in yet.
                    return Ok(Answer::boxed(completion));
                };
                match self.fault.wrong {
                    Wrong::ReplyStatus => reply.status ^= 1,
                    Wrong::ReplyTag => reply.tag += 1,
                    _ => reply.outcome = WaitReply::CANCELLED,
                }
                completion.output = reply.as_bytes().to_vec();
                return Ok(Answer::boxed(completion));
            }
        }
        self.inner.submit(code, &input, output)
    }
}

impl Device for FaultyDevice {
    fn submit(&self, code: u32, input: &[u8], output: usize) -> Result<Box<dyn Request>, Error> {
        if code != ENQUEUE && code != ENQUEUE_AND_WAIT {
            return self.inner.submit(code, input, output);
        }
        let (item, _) = Enqueue::read_from_prefix(input).expect("an item");
        let item = ItemId::from_tag(item.tag);
        if item == self.fault.item {
            return self.tamper(code, input, output);
        }
        let successor = item.producer == self.fault.item.producer && item.index == self.fault.item.index + 1;
        if self.fault.wrong != Wrong::Swapped || !successor {
            return self.inner.submit(code, input, output);
        }
        let completion = answer(self.inner.submit(code, input, output)?)?;
        if completion.status == NtStatus::SUCCESS
            && let Some(held) = self.held.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            loop {
                match answer(self.inner.submit(ENQUEUE, &held, 0)?)?.status {
                    NtStatus::INSUFFICIENT_RESOURCES => thread::yield_now(),
                    status => break assert_eq!(status, NtStatus::SUCCESS),
                }
            }
        }
        Ok(Answer::boxed(completion))
    }
}

/// The answer to a request that is right.
fn answer(mut request: Box<dyn Request>) -> Result<Completion, Error> {
    Ok(request.wait(Duration::from_mins(1))?.expect("an answer"))
}

/// An answer that is there already, or never comes.
pub(crate) struct Answer(Option<Completion>);

impl Answer {
    pub(crate) fn boxed(completion: Completion) -> Box<dyn Request> {
        Box::new(Self(Some(completion)))
    }
}

impl Request for Answer {
    fn wait(&mut self, timeout: Duration) -> Result<Option<Completion>, Error> {
        if self.0.is_none() {
            thread::sleep(timeout);
        }
        Ok(self.0.take())
    }

    fn cancel(&self) -> Result<(), Error> {
        Ok(())
    }
}
