//! What the programs are made of.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any as arbitrary, prop_oneof};
use queued_work_item::Close;

/// Bytes of a buffer.
pub(crate) const BUFFER_SIZE: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Enqueue(usize),
    EnqueueWith(usize),
    /// By a thread of its own.
    Wait(usize),
    /// With a time that has run out.
    WaitNoTime(usize),
    ShutGate,
    OpenGate,
    /// The starts that are held.
    Release,
    /// By a thread of its own when it would wait.
    Flush,
    Cancel,
    Stop,
    /// By a thread of its own when it would wait.
    StopAndWait,
    Start,
    /// By a thread of its own when it would wait.
    Close(bool),
    /// Ends this instance and makes another.
    Recreate,
}

impl Verb {
    pub(crate) fn enqueues(self) -> bool {
        matches!(
            self,
            Self::Enqueue(_) | Self::EnqueueWith(_) | Self::Wait(_) | Self::WaitNoTime(_)
        )
    }

    pub(crate) fn how(cancels: bool) -> Close {
        if cancels { Close::Cancel } else { Close::Drain }
    }
}

/// What becomes of each start of the work item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Normal,
    Duplicated,
    /// Comes a second time with a [`Verb::Release`].
    Repeated,
    /// Comes only with a [`Verb::Release`].
    Held,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) buffers: u32,
    /// How many more may come from the pool.
    pub(crate) more: u32,
    pub(crate) plan: Plan,
    pub(crate) verbs: Vec<Verb>,
}

impl Program {
    pub(crate) fn capacity(&self) -> u32 {
        self.buffers + self.more
    }
}

/// From the plainest verb on, since shrinking goes that way.
fn verb() -> impl Strategy<Value = Verb> {
    let length = || prop_oneof![9 => 0..=BUFFER_SIZE, 1 => BUFFER_SIZE + 1..=BUFFER_SIZE + 8];
    prop_oneof![
        5 => length().prop_map(Verb::Enqueue),
        3 => length().prop_map(Verb::EnqueueWith),
        2 => length().prop_map(Verb::Wait),
        1 => length().prop_map(Verb::WaitNoTime),
        3 => Just(Verb::ShutGate),
        3 => Just(Verb::OpenGate),
        3 => Just(Verb::Release),
        2 => Just(Verb::Flush),
        2 => Just(Verb::Cancel),
        2 => Just(Verb::Stop),
        1 => Just(Verb::StopAndWait),
        3 => Just(Verb::Start),
        1 => arbitrary::<bool>().prop_map(Verb::Close),
        1 => Just(Verb::Recreate),
    ]
}

pub(crate) fn any() -> impl Strategy<Value = Program> {
    let plan = prop_oneof![
        Just(Plan::Normal),
        Just(Plan::Held),
        Just(Plan::Duplicated),
        Just(Plan::Repeated)
    ];
    (1..=3_u32, 0..=2_u32, plan, vec(verb(), 0..40)).prop_map(|(buffers, more, plan, verbs)| Program {
        buffers,
        more,
        plan,
        verbs,
    })
}
