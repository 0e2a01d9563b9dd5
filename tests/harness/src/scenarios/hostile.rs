//! What user mode can send: every request that is not one, and the documented answer to it.
//!
//! After each the driver must be as it was: an item goes through it.

use queued_work_item_ioctl::{
    self as ioctl, Close, CloseReply, Configure, Enqueue, Header, TaskEvent, WaitReply, limits,
};
use zerocopy::IntoBytes;

use super::{
    Context, Failure, check_eq,
    context::refused,
    requests::{Request, close, configure, requests},
};
use crate::{
    Client, Error, NtStatus,
    client::{self, CloseMode},
    device::Completion,
    ledger::{Expected, Ledger},
    payload::ItemId,
};

/// Sends it and wants exactly `due`, without a byte of output.
fn expect(
    client: &Client,
    code: u32,
    input: &[u8],
    output: usize,
    due: NtStatus,
    what: &str,
) -> Result<(), Failure> {
    let Completion { status, output } = client.raw(code, input, output)?;
    check_eq!(status, due, "{} with {what}", client::name(code));
    check_eq!(
        output.len(),
        0,
        "bytes of output of a refused {}",
        client::name(code)
    );
    Ok(())
}

/// Nothing that was refused has left a trace, and the driver works.
fn still_usable(context: &Context<'_>, client: &Client) -> Result<(), Failure> {
    context.step("the driver is still usable");
    let item = ItemId {
        producer: 0,
        index: 0,
    };
    client.enqueue_and_wait(&Enqueue::new(0, item.tag()), b"alive")?;
    let mut ledger = Ledger::new();
    ledger.accept(Expected::new(item, b"alive", NtStatus::SUCCESS));
    context.settle(client, &ledger)
}

pub(super) fn w24_unknown_codes(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(4, 64)?;
    let known = |code: u32| ioctl::ALL.iter().any(|(other, _)| *other == code);
    let ours = ioctl::ALL.iter().flat_map(|(code, _)| {
        // The same function with another method, other access bits, another device type.
        [
            code ^ 1,
            code ^ 2,
            code ^ 3,
            code ^ 0x4000,
            code ^ 0x8000,
            code ^ 0xC000,
            code ^ 0x0001_0000,
        ]
    });
    let strangers = [
        0,
        4,
        0x0022_0000,
        0x0022_2000,
        0x0022_3FFC,
        0x0022_60FC,
        0x0022_A0FC,
        0xFFFF_FFFC,
    ];
    for code in ours.chain(strangers).filter(|code| !known(*code)) {
        context.step(format!("code {code:#010x}"));
        let header = client.header();
        let Completion { status, .. } = client.raw(code, header.as_bytes(), 64)?;
        check_eq!(status, NtStatus::INVALID_DEVICE_REQUEST, "code {code:#010x}");
    }
    still_usable(context, &client)
}

pub(super) fn w24_short_and_long_input(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(4, 64)?;
    for request in requests(client.header()) {
        let Request {
            code,
            input,
            output,
            open_ended,
        } = request;
        for length in 0..input.len() {
            context.step(format!("{} with {length} bytes", client::name(code)));
            expect(
                &client,
                code,
                &input[..length],
                output,
                NtStatus::INVALID_BUFFER_SIZE,
                "short input",
            )?;
        }
        if !open_ended {
            let long = [input.as_slice(), &[0]].concat();
            context.step(format!("{} with {} bytes", client::name(code), long.len()));
            expect(
                &client,
                code,
                &long,
                output,
                NtStatus::INVALID_BUFFER_SIZE,
                "a byte too many",
            )?;
        }
    }
    context.step("an item of 1 MiB");
    let huge = [Enqueue::new(0, 0).as_bytes(), &vec![0; 1 << 20]].concat();
    expect(
        &client,
        ioctl::ENQUEUE,
        &huge,
        0,
        NtStatus::INVALID_BUFFER_SIZE,
        "1 MiB of payload",
    )?;
    still_usable(context, &client)
}

pub(super) fn w24_short_output(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(4, 64)?;
    for Request {
        code, input, output, ..
    } in requests(client.header())
    {
        for length in 0..output {
            context.step(format!("{} with {length} bytes of output", client::name(code)));
            expect(
                &client,
                code,
                &input,
                length,
                NtStatus::BUFFER_TOO_SMALL,
                "short output",
            )?;
        }
    }
    context.step("nothing was done");
    let counters = client.statistics()?;
    check_eq!(counters.accepted, 0, "items accepted");
    check_eq!(
        counters.capacity,
        4,
        "buffers of the instance, which no refused close closed"
    );
    still_usable(context, &client)
}

pub(super) fn w24_wrong_version(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(4, 64)?;
    for version in [0, ioctl::CONTRACT_VERSION + 1, u32::MAX] {
        let header = Header { version, instance: 0 };
        for Request {
            code, input, output, ..
        } in requests(header)
        {
            if code == ioctl::VERSION {
                continue;
            }
            context.step(format!("{} of contract {version}", client::name(code)));
            expect(
                &client,
                code,
                &input,
                output,
                NtStatus::REVISION_MISMATCH,
                "another version",
            )?;
        }
    }
    still_usable(context, &client)
}

pub(super) fn w24_no_such_instance(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(4, 64)?;
    for instance in [limits::INSTANCES, u32::MAX] {
        for Request {
            code, input, output, ..
        } in requests(Header::new(instance))
        {
            if code == ioctl::VERSION {
                continue;
            }
            context.step(format!("{} to instance {instance}", client::name(code)));
            expect(
                &client,
                code,
                &input,
                output,
                NtStatus::INVALID_PARAMETER,
                "no such instance",
            )?;
        }
    }
    still_usable(context, &client)
}

pub(super) fn w24_configure_out_of_limits(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_instance()?;
    let header = client.header();
    let good = configure(header, 4, 64);
    let too_many =
        u32::try_from(limits::INSTANCE_BYTES / u64::from(limits::BUFFER_SIZE)).unwrap_or(u32::MAX) + 1;
    let configures = [
        ("no such pool", Configure { pool: 2, ..good }),
        ("no such kind", Configure { kind: 2, ..good }),
        ("a priority of no thread", Configure { priority: 1, ..good }),
        (
            "a thread and paged pool",
            Configure {
                pool: Configure::PAGED,
                ..good.threaded()
            },
        ),
        (
            "a real-time thread",
            Configure {
                priority: limits::PRIORITY + 1,
                ..good.threaded()
            },
        ),
        (
            "a flag of none",
            Configure {
                flags: 1 << 31,
                ..good
            },
        ),
        (
            "fewer buffers at most than at first",
            Configure {
                max_buffers: 3,
                ..good
            },
        ),
        (
            "too large contexts",
            Configure {
                context_size: limits::CONTEXT_SIZE + 1,
                ..good
            },
        ),
        ("no buffers", configure(header, 0, 64)),
        ("too many buffers", configure(header, limits::BUFFER_COUNT + 1, 1)),
        ("all the buffers there are", configure(header, u32::MAX, u32::MAX)),
        ("too large buffers", configure(header, 1, limits::BUFFER_SIZE + 1)),
        ("too many bytes", configure(header, too_many, limits::BUFFER_SIZE)),
    ];
    for (what, input) in configures {
        context.step(format!("CONFIGURE with {what}"));
        expect(
            &client,
            ioctl::CONFIGURE,
            input.as_bytes(),
            0,
            NtStatus::INVALID_PARAMETER,
            what,
        )?;
    }
    context.step("no refused configure created anything");
    check_eq!(client.statistics()?.capacity, 0, "buffers of the instance");
    client.configure(4, 64)?;
    still_usable(context, &client)
}

pub(super) fn w24_reserved_fields_and_limits(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.configured(4, 64)?;
    let header = client.header();
    let item = Enqueue::new(0, 0);
    let items = [
        ("reserved", Enqueue { reserved: 1, ..item }),
        ("a flag of none", Enqueue { flags: 16, ..item }),
        (
            "every flag",
            Enqueue {
                flags: u32::MAX,
                ..item
            },
        ),
        (
            "too long a time to spend",
            Enqueue {
                spend_us: limits::SPEND_US + 1,
                ..item
            },
        ),
    ];
    for (what, input) in items {
        context.step(format!("an item with {what}"));
        expect(
            &client,
            ioctl::ENQUEUE,
            input.as_bytes(),
            0,
            NtStatus::INVALID_PARAMETER,
            what,
        )?;
        let output = size_of::<WaitReply>();
        expect(
            &client,
            ioctl::ENQUEUE_AND_WAIT,
            input.as_bytes(),
            output,
            NtStatus::INVALID_PARAMETER,
            what,
        )?;
    }

    let closes = [
        (
            "reserved",
            Close {
                reserved: 1,
                ..close(header)
            },
        ),
        (
            "a mode of none",
            Close {
                mode: 2,
                ..close(header)
            },
        ),
    ];
    for (what, input) in closes {
        context.step(format!("CLOSE with {what}"));
        let output = size_of::<CloseReply>();
        expect(
            &client,
            ioctl::CLOSE,
            input.as_bytes(),
            output,
            NtStatus::INVALID_PARAMETER,
            what,
        )?;
    }
    still_usable(context, &client)
}

pub(super) fn w24_wrong_state(context: &Context<'_>) -> Result<(), Failure> {
    drop(context.without_any_task()?);
    let client = context.without_instance()?;
    let none = |when: &str| -> Result<(), Failure> {
        context.step(format!("every verb {when}"));
        let item = Enqueue::new(0, 0);
        let due = NtStatus::DEVICE_NOT_READY;
        refused(client.enqueue(&item, &[]), due, "ENQUEUE")?;
        refused(client.enqueue_and_wait(&item, &[]), due, "ENQUEUE_AND_WAIT")?;
        refused(client.flush(), due, "FLUSH")?;
        refused(client.close(CloseMode::Drain), due, "CLOSE")?;
        refused(client.close(CloseMode::Cancel), due, "CLOSE")?;
        refused(client.start(), due, "START")?;
        refused(client.stop(), due, "STOP")?;
        refused(client.complete_pended(0, NtStatus::SUCCESS, 0), due, "COMPLETE")?;
        // Whatever an instance of their number is.
        refused(client.task_close(), due, "TASK_CLOSE")?;
        refused(client.task_execute_now(), due, "TASK_EXECUTE")?;
        refused(client.task_execute_deferred(true, true), due, "TASK_EXECUTE")?;
        refused(client.task_event(TaskEvent::D0_EXIT, 0), due, "TASK_EVENT")?;
        refused(client.task_cancel(), due, "TASK_CANCEL")?;
        refused(client.task_restart(), due, "TASK_RESTART")?;
        refused(client.task_set_times_run(1), due, "TASK_SET_TIMES_RUN")
    };
    none("without an instance")?;
    context.step("configure twice");
    client.configure(4, 64)?;
    refused(
        client.configure(4, 64),
        NtStatus::DEVICE_ALREADY_ATTACHED,
        "CONFIGURE of an open instance",
    )?;
    still_usable(context, &client)?;
    none("after the close")?;
    context.step("a payload for no instance at all is refused the same");
    let result: Result<(), Error> = client.enqueue(&Enqueue::new(0, 0), &[0; 4096]);
    refused(result, NtStatus::DEVICE_NOT_READY, "ENQUEUE of 4096 bytes")
}
