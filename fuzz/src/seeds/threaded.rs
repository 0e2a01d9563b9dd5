//! Seeds of instances with a thread of their own.

use queued_work_item_ioctl::{
    CANCEL, COMPLETE, CONFIGURE, Close, Complete, Configure, ENQUEUE, ENQUEUE_AND_WAIT, Enqueue, GATE,
    Header, RELEASE, START, STATISTICS, STOP, limits,
};
use zerocopy::IntoBytes;

use super::{close, header, item, send, soon};
use crate::program::Step;

fn complete(tag: u64, at: u32) -> Step {
    let request = Complete {
        header: Header::new(0),
        tag,
        status: 0,
        at,
    };
    send(COMPLETE, request.as_bytes())
}

fn pend(tag: u64) -> Step {
    item(
        ENQUEUE_AND_WAIT,
        Enqueue::new(0, tag).with_flags(Enqueue::PEND),
        b"kept",
    )
}

pub(super) fn threaded() -> Vec<Step> {
    let shape = Configure {
        max_buffers: 12,
        context_size: 8,
        flags: Configure::REUSE_CLEANUP,
        ..Configure::new(0, 6, 16).threaded()
    };
    let mut steps = vec![
        send(CONFIGURE, shape.as_bytes()),
        item(ENQUEUE, Enqueue::new(0, 1), b"first"),
        item(
            ENQUEUE,
            Enqueue::new(0, 2).with_flags(Enqueue::AT_HEAD),
            b"before",
        ),
        header(START),
        soon(0),
    ];
    for (tag, at) in [
        (3, Complete::PASSIVE),
        (4, Complete::SPIN_LOCK),
        (5, Complete::DPC),
    ] {
        steps.extend([pend(tag), soon(0), complete(tag, at), soon(0), soon(1)]);
    }
    steps.extend([
        pend(6),
        item(
            ENQUEUE_AND_WAIT,
            Enqueue::new(0, 7)
                .with_flags(Enqueue::PEND | Enqueue::AT_HEAD)
                .with_timeout(900),
            &[],
        ),
        header(GATE),
        item(ENQUEUE_AND_WAIT, Enqueue::new(0, 8), &[]),
        header(CANCEL),
        header(STOP),
        header(RELEASE),
        soon(1),
        header(STATISTICS),
        header(START),
        soon(0),
        close(Close::DRAIN),
        complete(6, Complete::DPC),
        complete(7, Complete::PASSIVE),
        soon(1),
        close(Close::CANCEL),
        soon(0),
    ]);
    steps
}

pub(super) fn threaded_and_removed() -> Vec<Step> {
    let shape = Configure {
        flags: Configure::WAIT_FOR_PENDED,
        priority: limits::PRIORITY,
        ..Configure::new(0, 6, 16).threaded()
    };
    vec![
        send(CONFIGURE, shape.as_bytes()),
        header(START),
        pend(1),
        pend(2),
        item(ENQUEUE_AND_WAIT, Enqueue::new(0, 3), &[]),
        header(STOP),
        header(START),
        item(ENQUEUE, Enqueue::new(0, 4), &[]),
        close(Close::DRAIN),
        Step::D0Exit,
        Step::Remove,
    ]
}
