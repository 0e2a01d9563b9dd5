//! The acceptance scenarios that run against a driver, each a named function that anyone can run alone.
//!
//! A scenario leaves nothing behind and assumes nothing: it begins by closing whatever instance an earlier, failed one
//! left open. It returns what is wrong instead of panicking, so that a runner of any kind can report it.

mod close;
mod context;
mod full;
mod handles;
mod hostile;
pub mod main_run;
mod order;
mod removal;
mod stress;
mod waiting;

pub use context::{Context, Failure, Options, Step};

/// Fails the scenario unless the condition holds.
macro_rules! check {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::scenarios::Failure::Wrong(format!($($message)+)));
        }
    };
}

/// Fails the scenario unless both are equal; the message says what they are.
macro_rules! check_eq {
    ($got:expr, $expected:expr, $($what:tt)+) => {
        let (got, expected) = (&$got, &$expected);
        if got != expected {
            let what = format!($($what)+);
            return Err($crate::scenarios::Failure::Wrong(format!(
                "{what}: got {got:?}, expected {expected:?}"
            )));
        }
    };
}

pub(crate) use check;
pub(crate) use check_eq;

/// One scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name, which begins with the acceptance scenario's id.
    pub id: &'static str,
    /// What it does and what must come of it.
    pub title: &'static str,
    /// Runs it.
    pub run: fn(&Context<'_>) -> Result<(), Failure>,
}

macro_rules! scenarios {
    ($($module:ident :: $name:ident, $title:literal;)*) => {
        /// Every scenario, in the order they run.
        pub const ALL: &[Scenario] = &[$(Scenario {
            id: stringify!($name),
            title: $title,
            run: $module::$name,
        }),*];
    };
}

scenarios! {
    main_run::main_scenario,
        "4 threads enqueue 2,500 distinct payloads each, half waiting: each once, in order, intact, its own status";
    order::w01_ten_thousand_in_order,
        "10,000 distinct payloads from one thread: each callback once, in order";
    stress::w02_producers_inside_the_driver,
        "8 threads of the driver enqueue 5,000 items each, at PASSIVE_LEVEL and at DISPATCH_LEVEL: each once, in order";
    full::w05_full_queue_refuses_and_recovers,
        "gate, fill every buffer: one more is refused, all run after the release, enqueue works again";
    full::w06_oversize_never_costs_a_buffer,
        "payloads one byte too long, by both verbs, ten times the buffers: refused each time, every buffer still there";
    order::w07_lengths_at_both_ends,
        "lengths 0, 1, BufferSize - 1 and BufferSize are accepted and seen as they are";
    waiting::w08_waiter_gets_the_callbacks_status,
        "success, informational, warning, error, and none set: the waiter gets the same 32 bits, the IRP succeeds";
    waiting::w09_one_buffer_a_thousand_waits,
        "one buffer, 1,000 waits back to back: none fails";
    waiting::w10_thirty_two_waiters,
        "32 threads wait on distinct payloads: each gets its own status";
    order::w11_flush_waits_for_what_was_before_it,
        "gate, enqueue, flush, release: flush returns after all ran, the queue stays usable";
    close::w13_cancelling_close_wakes_every_waiter,
        "gate, enqueue, 8 waiters, close with cancel: the running item finishes, the rest is cancelled and told so";
    close::w13_draining_close_runs_everything,
        "gate, enqueue, 8 waiters, close with drain: close holds until the release, then everything has run";
    close::w15_close_and_create_again,
        "close, create again with other sizes, enqueue: it runs, and the counters begin anew";
    order::w21_short_after_long_in_one_buffer,
        "a long payload, then short ones in the same buffer: no byte of the first is visible";
    hostile::w24_unknown_codes,
        "codes of no contract, and ours with other access or method bits, are refused by name";
    hostile::w24_short_and_long_input,
        "every length of input below its structure's, and one byte more, is refused";
    hostile::w24_short_output,
        "an output shorter than the reply is refused, and nothing was done";
    hostile::w24_wrong_version,
        "another version of the contract is refused under every code";
    hostile::w24_no_such_instance,
        "an instance that cannot be is refused under every code";
    hostile::w24_configure_out_of_limits,
        "an instance of no buffers, of too many, too large, or with a reserved field set is refused";
    hostile::w24_reserved_fields_and_limits,
        "an item or a close with a reserved field set, or a value out of its limits, is refused";
    hostile::w24_wrong_state,
        "every verb before configure and after close, and configure twice, is refused as documented";
    handles::w24_handle_without_write_access,
        "a handle opened for reading reads, and changes nothing";
    handles::w24_two_handles,
        "two handles share the instance; closing one leaves the other";
    handles::w24_gate_opens_with_its_handle,
        "the gate opens by itself when the handle that closed it is closed";
    handles::w24_gate_outlives_its_instance,
        "a gate closed before configure holds the new instance's items, and stays closed over a close";
    handles::w24_handle_closed_while_waiting,
        "a handle closed under a waiting request: it is cancelled, its item still runs, once";
    handles::w24_cancelled_wait,
        "a waiting request that is cancelled completes at once; its item still runs, once";
    handles::w24_cancelled_flush,
        "a flush that is cancelled completes at once; the queue is untouched";
    removal::w13_surprise_removal_wakes_every_waiter,
        "gate, enqueue, 8 waiters, the device vanishes: all are told in bounded time, and it comes back usable";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        for (i, scenario) in ALL.iter().enumerate() {
            assert!(
                ALL[i + 1..].iter().all(|other| other.id != scenario.id),
                "{}",
                scenario.id
            );
        }
    }
}
