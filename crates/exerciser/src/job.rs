//! What blocks, off the handler's thread.

use alloc::vec::Vec;
use core::time::Duration;

use queued_work_item::kernel::{Shared, SpinLock};
use queued_work_item::{Close, NtStatus, Passive, WaitError, WaitOutcome};
use queued_work_item_ioctl::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_NOT_FOUND, STATUS_SUCCESS, StopReply,
    StressReply,
};
use zerocopy::IntoBytes;

use crate::budget::{Charge, Solo};
use crate::life::Permit;
use crate::pending::Answer;
use crate::queue::Place;
use crate::record::Waiter;
use crate::slot::Instance;
use crate::stress::{self, Plan};
use crate::tally::Tally;
use crate::task::Errand;
use crate::{Dpcs, Exerciser, Platform, Ticket, benchmark};

/// A flush, a close, a bounded wait, a load or a task's errand that a request waits for: run it on a thread that it may
/// block.
///
/// A job that is dropped unrun leaves its request to be cancelled.
pub struct Job<P: Platform> {
    /// Declared first: the request is answered, then the queue is given up, then the device may go.
    pub(crate) waiter: Waiter<P::Ticket>,
    pub(crate) work: Work<P::Ticket>,
    pub(crate) exerciser: Exerciser<P>,
    pub(crate) permit: Permit,
}

pub(crate) enum Work<T: Ticket> {
    Flush(Shared<Instance<T>>),
    Close {
        slot: usize,
        instance: Shared<Instance<T>>,
        how: Close,
    },
    /// Enqueue these bytes, and wait for so long: the library's own bounded wait, whose waiter lives on this stack.
    Wait {
        instance: Shared<Instance<T>>,
        bytes: Vec<u8>,
        place: Place,
        timeout: Duration,
    },
    /// Make the instance's thread.
    Start(Shared<Instance<T>>),
    /// End it. Only for a request that is armed, as what follows.
    Stop(Shared<Instance<T>>),
    /// Complete a pended item in a DPC.
    CompleteInDpc {
        instance: Shared<Instance<T>>,
        tag: u64,
        status: NtStatus,
    },
    Task {
        slot: usize,
        errand: Errand,
    },
    Load {
        load: Load,
        /// To see whether the request still waits.
        ticket: T,
        charge: Charge,
        solo: Solo,
    },
}

/// What makes work of its own inside the driver.
pub(crate) enum Load {
    Stress { plan: Plan, tally: Shared<Tally> },
    Benchmark { samples: u32 },
}

impl Load {
    fn run<P: Platform>(
        self,
        platform: &P,
        stop: &(dyn Fn() -> bool + Sync),
        passive: &mut Passive,
    ) -> Result<Output, u32> {
        match self {
            Self::Stress { plan, tally } => {
                stress::run(platform, &plan, &tally, stop, passive).map(Output::Stress)
            }
            Self::Benchmark { samples } => {
                benchmark::run(platform, samples, stop, passive).map(Output::Benchmark)
            }
        }
    }
}

/// What a load has to say.
enum Output {
    Stress(StressReply),
    /// The bytes of its reply.
    Benchmark(Vec<u8>),
}

impl Output {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Stress(reply) => reply.as_bytes(),
            Self::Benchmark(bytes) => bytes,
        }
    }
}

impl<P: Platform> Job<P> {
    /// Does it, and answers the request. Blocks for as long as callbacks take, gates included.
    ///
    /// Removal waits until the result is dropped: drop it last, after what belongs to the thread.
    ///
    /// # IRQL
    /// `PASSIVE_LEVEL`, by its token; not in a callback of an instance.
    pub fn run(self, passive: &mut Passive) -> Finished<P> {
        let Self {
            waiter,
            work,
            exerciser,
            permit,
        } = self;
        let answer = match work {
            Work::Flush(instance) => match instance.queue.flush(passive) {
                Ok(()) => Answer::Status(STATUS_SUCCESS),
                Err(error) => Answer::Status(error.status().0.cast_unsigned()),
            },
            Work::Wait {
                instance,
                bytes,
                place,
                timeout,
            } => wait(&instance, &bytes, place, timeout, passive),
            Work::Start(instance) => match instance.queue.start_thread(passive) {
                Ok(()) => Answer::Status(STATUS_SUCCESS),
                Err(error) => Answer::Status(error.status().0.cast_unsigned()),
            },
            Work::Stop(instance) => match instance.queue.stop_thread(passive) {
                Ok(cancelled) => {
                    waiter.settle_with(StopReply { cancelled }.as_bytes());
                    return Finished {
                        _exerciser: exerciser,
                        _permit: permit,
                    };
                }
                Err(error) => Answer::Status(error.status().0.cast_unsigned()),
            },
            Work::CompleteInDpc {
                instance,
                tag,
                status,
            } => Answer::Status(complete_in_dpc(
                exerciser.platform(),
                &instance,
                tag,
                status,
                passive,
            )),
            Work::Close { slot, instance, how } => match exerciser
                .slot(slot)
                .map(|slot| slot.close(instance, how, passive))
            {
                Some(Ok(cancelled)) => Answer::Closed(cancelled),
                Some(Err(error)) => Answer::Status(error.0.cast_unsigned()),
                // Slots do not go away.
                None => Answer::Status(STATUS_INVALID_PARAMETER),
            },
            Work::Task { slot, errand } => match errand.run(&exerciser, slot, passive) {
                Ok(told) => {
                    waiter.settle_with(told.as_bytes());
                    return Finished {
                        _exerciser: exerciser,
                        _permit: permit,
                    };
                }
                Err(status) => Answer::Status(status),
            },
            Work::Load {
                load,
                ticket,
                charge,
                solo,
            } => {
                let request = ticket.pending();
                let stop = || !request.is_waiting() || exerciser.life().is_removed();
                let output = load.run(exerciser.platform(), &stop, passive);
                // The next one may come as soon as this one is answered.
                drop((charge, solo));
                match output {
                    Ok(output) => {
                        waiter.settle_with(output.as_bytes());
                        return Finished {
                            _exerciser: exerciser,
                            _permit: permit,
                        };
                    }
                    Err(status) => Answer::Status(status),
                }
            }
        };
        waiter.settle(answer);
        Finished {
            _exerciser: exerciser,
            _permit: permit,
        }
    }
}

/// Completes the pended item with this tag, in a DPC. What is to be answered.
fn complete_in_dpc<P: Platform>(
    platform: &P,
    instance: &Instance<P::Ticket>,
    tag: u64,
    status: NtStatus,
    passive: &mut Passive,
) -> u32 {
    // First, so that an item that is taken is completed.
    let Some(dpc) = platform.dpcs(1) else {
        return STATUS_INSUFFICIENT_RESOURCES;
    };
    let Some(item) = instance.queue.take_pended(tag) else {
        return STATUS_NOT_FOUND;
    };
    let item = SpinLock::new(Some(item));
    dpc.round(
        &|_| {
            // Its own statement: the lock is not held while the item is completed.
            let item = item.lock().take();
            if let Some(item) = item {
                item.complete(status);
            }
        },
        passive,
    );
    STATUS_SUCCESS
}

fn wait<T: Ticket>(
    instance: &Instance<T>,
    bytes: &[u8],
    place: Place,
    timeout: Duration,
    passive: &mut Passive,
) -> Answer {
    let queue = &instance.queue;
    let counters = &instance.record.counters;
    match counters.accept_wait(|| queue.enqueue_and_wait_timeout(passive, bytes, place, timeout)) {
        Ok(WaitOutcome::Ran(status)) => Answer::Ran(status.0.cast_unsigned()),
        Ok(WaitOutcome::TimedOut) => Answer::TimedOut,
        Err(WaitError::Cancelled) => Answer::Dropped,
        Err(error) => Answer::Status(error.status().0.cast_unsigned()),
    }
}

/// A job that is done. While it lives, the device is not gone.
#[must_use = "removal waits until it is dropped, which is for whoever owns the thread to choose"]
pub struct Finished<P: Platform> {
    /// Given up before the permit: the device may go with that.
    _exerciser: Exerciser<P>,
    _permit: Permit,
}
