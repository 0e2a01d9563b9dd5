//! Load made inside the driver.

use queued_work_item_ioctl::{Stress, StressReply};

use super::{Context, Failure, check, check_eq};

const PRODUCERS: u32 = 8;
const ITEMS: u32 = 5_000;

pub(super) fn w02_producers_inside_the_driver(context: &Context<'_>) -> Result<(), Failure> {
    let client = context.without_instance()?;
    for (mode, irql, level) in [
        (Stress::PASSIVE, 0, "PASSIVE_LEVEL"),
        (Stress::SPIN_LOCK, 2, "DISPATCH_LEVEL"),
    ] {
        context.step(format!(
            "{PRODUCERS} threads enqueue {ITEMS} items each at {level}"
        ));
        let load = Stress {
            header: client.header(),
            producers: PRODUCERS,
            items: ITEMS,
            payload: 64,
            buffer_count: 1_024,
            mode,
            reserved: 0,
        };
        let reply = client.begin_stress(&load)?.wait(client.timeout())?;
        let total = u64::from(PRODUCERS) * u64::from(ITEMS);
        let expected = StressReply {
            accepted: total,
            executed: total,
            completed: total,
            enqueue_irql: irql,
            refused_full: reply.refused_full,
            elapsed_ns: reply.elapsed_ns,
            high_water: reply.high_water,
            ..StressReply::default()
        };
        check_eq!(reply, expected, "what the load at {level} came to");
        check!(
            (1..=load.buffer_count).contains(&reply.high_water),
            "{} items at once in {} buffers",
            reply.high_water,
            load.buffer_count
        );
    }
    Ok(())
}
