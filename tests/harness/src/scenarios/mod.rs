//! The acceptance scenarios that run against a driver, each a named function that anyone can run alone.
//!
//! A scenario leaves nothing behind and assumes nothing: it begins by closing whatever instance an earlier, failed one
//! left open. It returns what is wrong instead of panicking, so that a runner of any kind can report it.

mod again;
mod batch;
mod bounded;
mod cancel;
mod close;
mod context;
mod exact;
mod full;
pub mod fuzz;
mod handles;
mod hostile;
mod instances;
mod kill;
pub mod main_run;
mod order;
mod removal;
mod requests;
mod shape;
pub mod stress;
mod tasks;
mod threaded;
mod waiting;
mod whole;

pub use context::{Context, Failure, Options, Step};
pub(crate) use context::{invariants, number};

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
    /// What it needs beyond a driver.
    pub needs: &'static [Need],
    /// Runs it.
    pub run: fn(&Context<'_>) -> Result<(), Failure>,
}

impl Scenario {
    /// Whether it needs that.
    #[must_use]
    pub fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }
}

/// What a scenario may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The driver's INF: it removes or adds devices.
    Inf,
    /// Minutes.
    Time,
}

macro_rules! scenarios {
    ($($module:ident :: $name:ident $([$($need:ident),*])?, $title:literal;)*) => {
        /// Every scenario, in the order they run.
        pub const ALL: &[Scenario] = &[$(Scenario {
            id: stringify!($name),
            title: $title,
            needs: &[$($(Need::$need),*)?],
            run: $module::$name,
        }),*];
    };
}

scenarios! {
    main_run::main_scenario,
        "4 threads enqueue 2,500 distinct payloads each, half waiting: each once, in order, intact, its own status";
    order::w01_ten_thousand_in_order,
        "10,000 distinct payloads from one thread: each callback once, in order";
    batch::w01_batches_in_order,
        "batches of 4,096 items: each callback once, in order";
    shape::w01_paged_buffers,
        "buffers of paged pool: they work, or are refused as not supported";
    stress::w02_producers_inside_the_driver,
        "8 threads of the driver enqueue 5,000 items each, at PASSIVE_LEVEL and at DISPATCH_LEVEL: each once, in order";
    stress::w02_a_million_at_dispatch_level,
        "4 threads of the driver enqueue 250,000 items each at DISPATCH_LEVEL: counts exact, order kept";
    stress::w02_producers_are_dpcs,
        "4 DPCs of the driver enqueue 5,000 items each at DISPATCH_LEVEL: each once, in order";
    stress::w02_threads_of_user_mode,
        "4 threads enqueue 2,000 items each one by one, waiting, and in batches: each once, in order, intact";
    stress::w02_progress_is_told,
        "a load inside the driver tells how far it has come, and nothing that it takes back";
    stress::w02_cancelled_load_ends,
        "a load inside the driver ends when it is cancelled, and gives up its place";
    again::w04_callback_enqueues_its_item_again,
        "the callback enqueues its item 5,000 times again: as many runs more, and a row without a buffer ends";
    batch::w05_batch_tells_each_item_its_own,
        "a batch of good and bad items: each is told its own; one that is not whole enqueues nothing";
    shape::w05_lookaside_grows_and_shrinks,
        "gate, fill up to the most buffers, release, 5 times: one more is refused, all run";
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
    cancel::w12_cancel_drops_what_has_not_begun,
        "gate, enqueue, 8 waiters, cancel: the running item finishes, the rest is dropped and told so, all buffers free";
    close::w13_cancelling_close_wakes_every_waiter,
        "gate, enqueue, 8 waiters, close with cancel: the running item finishes, the rest is cancelled and told so";
    close::w13_draining_close_runs_everything,
        "gate, enqueue, 8 waiters, close with drain: close holds until the release, then everything has run";
    close::w15_close_and_create_again,
        "close, create again with other sizes, enqueue: it runs, and the counters begin anew";
    order::w21_short_after_long_in_one_buffer,
        "a long payload, then short ones in the same buffer: no byte of the first is visible";
    shape::w21_contexts_are_clean,
        "buffers' contexts show nothing of an earlier run, and their cleanups are counted";
    bounded::w23_bounded_wait_under_a_gate,
        "waits shorter than the gate: their time is up, their items run once; one that suffices gets its status";
    bounded::w23_bounded_waits_race_their_items,
        "200 waits with a time-out near their item's end: each is told one or the other, each item runs once";
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
    kill::w24_process_killed_in_mid_load,
        "a process that loads the driver is killed, 50 times: nothing is left pending, and the next run works";
    fuzz::w24_fuzz,
        "5,000 random and mutated requests: documented statuses, sane counters, and nothing is missing afterwards";
    fuzz::w24_fuzz_long [Time],
        "100,000 random and mutated requests: documented statuses, sane counters, and nothing is missing afterwards";
    instances::instances_do_not_disturb_each_other,
        "all instances at once: each its own order, log, counters, buffers and gate";
    instances::instances_share_one_bound,
        "instances together get no more memory than the bound, and give back all of it";
    exact::statistics_are_exact,
        "a program whose every outcome is known: every counter, to the item";
    again::log_counts_what_it_lost,
        "more runs than the log keeps: what was overwritten is counted, what is left has its numbers";
    threaded::x01_a_hundred_thousand_begin_in_order,
        "100,000 items through a queue with a thread of its own: each once, intact, in order";
    threaded::x01_a_million_finish_in_order,
        "1,000,000 items through one, from 4 producers at DISPATCH_LEVEL: they begin and finish in order";
    threaded::x01_an_item_at_the_head_is_next,
        "items at the head, without a thread: they run first once there is one";
    threaded::x02_pended_items_stall_nobody,
        "8 pended items, and others beside them; then a queue that waits for what it has pended";
    threaded::x03_stop_and_start_under_load,
        "stop and start, 1,000 times under 2 threads: each item ran or was dropped, to the item";
    threaded::x04_stop_tells_every_waiter,
        "stop with 8 waiters, 5 times: all STATUS_CANCELLED while an item runs, and the queue goes on";
    threaded::x05_completion_from_a_dpc,
        "pended items completed in a DPC and under a spin lock: each its own status, every buffer home";
    threaded::x05_pended_items_hold_up_no_cancel,
        "items pended, a drain and a cancel: the drain waits, the cancel completes them";
    tasks::x06_each_result_at_each_moment,
        "every result at every moment of a task, in place and deferred: it runs as often as documented";
    tasks::x06_each_result_on_demand,
        "every result of a task that is asked for, also at DISPATCH_LEVEL: it runs as often as documented";
    tasks::x06_retries_keep_their_times,
        "a delayed task that retries: no run comes early, none a quarter of the time limit late";
    tasks::x06_calls_from_inside,
        "a callback that cancels, closes or executes its own task: an error, no hang";
    tasks::x07_cancel_and_restart,
        "cancel before the first run, and during one: zero runs, all that is dropped is told; restart: it runs";
    tasks::x08_persistent_over_three_loads [Inf],
        "two persistent tasks over three loads of the driver: each runs once, independently of the other";
    tasks::x09_retry_over_d0_exit,
        "a task that retries, out of D0 and back, 5 times: held meanwhile, and goes on";
    removal::w24_two_devices [Inf],
        "two devices of the driver: neither knows the other's items, and one goes while the other works";
    removal::w13_surprise_removal_wakes_every_waiter [Inf],
        "gate, enqueue, 8 waiters, the device vanishes: all are told in bounded time, and it comes back usable";
    removal::w25_removed_and_unloaded_under_load [Inf],
        "1,000 items and 8 waiters, the device vanishes, every second time the driver too, 20 times: all are told";
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
