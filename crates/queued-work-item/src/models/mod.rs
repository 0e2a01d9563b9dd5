//! Models of the lock-free protocols: every interleaving of a few threads, and every value that the memory model lets
//! a load return. `RUSTFLAGS="--cfg loom" cargo test --release -p queued-work-item --lib`.
//!
//! Each protocol has variants that are wrong on purpose, and a test that the model catches each: a model that cannot
//! fail shows nothing. The acceptance ids stand in the names of the models of the whole queue.

extern crate std;

mod again;
mod buffers;
mod claim;
mod drain;
mod free;
mod pending;
mod queue;
mod rundown;
mod scheduled_task;
mod stop;
mod threaded;
mod waiter;

/// Runs a model with at most `preemptions` switches away from a thread that could go on: what finds nearly every
/// fault and keeps the whole within minutes. `LOOM_MAX_PREEMPTIONS` overrides it.
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 20_000;
    builder.check(model);
}
