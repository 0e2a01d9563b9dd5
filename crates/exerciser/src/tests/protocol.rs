//! Every order in which handler, completion, closed handle and cancel routine can meet over one request.
//!
//! Each party's steps are atomic, so that an interleaving is a placement of the other parties' steps between them. A
//! request whose hooks fire at those places is put through all placements, under the rules of KMDF's verifier.

use std::sync::{Arc, Mutex, PoisonError};
use std::vec::Vec;

use queued_work_item_ioctl::STATUS_CANCELLED;

use crate::Ticket;
use crate::pending::{Answer, Pending, Turn, arm, cancelled, settle, settle_with};

/// Where other parties may step in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    BeforeArm,
    BeforeMark,
    AfterMark,
    AfterArm,
    BeforeUnmark,
    AfterUnmark,
    End,
    Never,
}

const POINTS: [Point; 8] = [
    Point::BeforeArm,
    Point::BeforeMark,
    Point::AfterMark,
    Point::AfterArm,
    Point::BeforeUnmark,
    Point::AfterUnmark,
    Point::End,
    Point::Never,
];

/// What another party does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The item ran.
    Complete,
    /// What ran once the request was armed has its output.
    Report,
    /// The handle was closed.
    CloseHandle,
    /// The system cancels the request: from here on it cannot be unmarked.
    Take,
    /// The cancel routine is called.
    Routine,
}

/// Whose output an answer carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Nobody,
    /// [`Step::Complete`]'s: a `WaitReply`.
    Item,
    /// [`Step::Report`]'s.
    Report,
}

const RAN: u32 = 0x1234;
const REPORT: &[u8] = b"report";

#[derive(Default)]
struct Script {
    pending: Pending,
    state: Mutex<State>,
}

#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what the system keeps of a request is that many flags"
)]
struct State {
    steps: Vec<(Point, Step)>,
    cancel: bool,
    marked: bool,
    cancelable: bool,
    taken: bool,
    called: bool,
    /// The status, and whose output there was.
    answer: Option<(u32, Output)>,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Script>);

impl Scripted {
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer(&self) -> Option<(u32, Output)> {
        self.with(|state| state.answer)
    }

    fn fire(&self, point: Point) {
        let next = || {
            self.with(|state| {
                let at = state.steps.iter().position(|(when, _)| *when == point)?;
                Some(state.steps.remove(at).1)
            })
        };
        while let Some(step) = next() {
            self.step(step);
        }
    }

    fn step(&self, step: Step) {
        match step {
            Step::Complete => settle(self, Answer::Ran(RAN)),
            Step::Report => settle_with(self, REPORT),
            Step::CloseHandle => settle(self, Answer::Status(STATUS_CANCELLED)),
            Step::Take => self.with(|state| {
                state.cancel = true;
                state.taken |= state.cancelable;
            }),
            Step::Routine => {
                // The system calls it once, and only when it has taken the request.
                if self.with(|state| state.taken && !std::mem::replace(&mut state.called, state.taken)) {
                    cancelled(self);
                }
            }
        }
    }
}

impl Ticket for Scripted {
    fn pending(&self) -> &Pending {
        &self.0.pending
    }

    fn mark_cancelable(&self, _: Turn) -> bool {
        self.fire(Point::BeforeMark);
        let marked = self.with(|state| {
            assert!(state.answer.is_none(), "marked after it was completed");
            assert!(!std::mem::replace(&mut state.marked, true), "marked twice");
            state.cancelable = !state.cancel;
            state.cancelable
        });
        if marked {
            self.fire(Point::AfterMark);
        }
        marked
    }

    fn unmark_cancelable(&self, _: Turn) -> bool {
        self.fire(Point::BeforeUnmark);
        let unmarked = self.with(|state| {
            assert!(state.answer.is_none(), "unmarked after it was completed");
            assert!(state.cancelable, "unmarked while not cancellable");
            state.cancelable = state.taken;
            !state.taken
        });
        self.fire(Point::AfterUnmark);
        unmarked
    }

    fn complete(&self, status: u32, output: &[u8], _: Turn) {
        self.with(|state| {
            assert!(state.answer.is_none(), "completed twice");
            assert!(!state.cancelable || state.called, "completed while cancellable");
            let whose = match output {
                [] => Output::Nobody,
                REPORT => Output::Report,
                _ => Output::Item,
            };
            state.answer = Some((status, whose));
        });
    }
}

/// Plays one placement; the answer.
fn play(steps: &[(Point, Step)]) -> (u32, Output) {
    let ticket = Scripted::default();
    ticket.with(|state| state.steps = steps.to_vec());
    ticket.fire(Point::BeforeArm);
    arm(&ticket);
    ticket.fire(Point::AfterArm);
    ticket.fire(Point::End);
    // What the places did not reach happens in the end: every item ends, and the system keeps its promise.
    ticket.step(Step::Complete);
    ticket.step(Step::Routine);
    ticket.answer().expect("nobody answered")
}

#[test]
fn every_meeting_ends_in_one_answer() {
    let mut answers = [0_u32; 2];
    for complete in POINTS {
        for close in POINTS {
            for take in POINTS {
                for routine in POINTS {
                    let mut steps = [
                        (complete, Step::Complete),
                        (close, Step::CloseHandle),
                        (take, Step::Take),
                        (routine, Step::Routine),
                    ];
                    // Where they share a place, either may be first.
                    for _ in 0..steps.len() {
                        steps.rotate_left(1);
                        let (status, whose) = play(&steps);
                        assert!(whose != Output::Report, "{steps:?}");
                        assert_eq!(whose == Output::Item, status == 0, "{steps:?}");
                        assert!(status == 0 || status == STATUS_CANCELLED, "{steps:?}");
                        if close == Point::Never && take == Point::Never {
                            assert_eq!(status, 0, "{steps:?}");
                        }
                        answers[usize::from(status == 0)] += 1;
                    }
                }
            }
        }
    }
    // Both ways of ending were met, or the placements miss the point.
    assert!(answers.iter().all(|count| *count > 500), "{answers:?}");
}

#[test]
fn every_meeting_with_a_report_ends_in_one_answer() {
    let mut answers = [0_u32; 2];
    for report in [Point::AfterArm, Point::End] {
        for close in POINTS {
            for take in POINTS {
                for routine in POINTS {
                    let mut steps = [
                        (report, Step::Report),
                        (close, Step::CloseHandle),
                        (take, Step::Take),
                        (routine, Step::Routine),
                    ];
                    for _ in 0..steps.len() {
                        steps.rotate_left(1);
                        let (status, whose) = play(&steps);
                        // The item's end, which comes after the report, finds the request answered: by the report, or
                        // by whoever was quicker.
                        assert!(whose != Output::Item, "{steps:?}");
                        assert_eq!(whose == Output::Report, status == 0, "{steps:?}");
                        assert!(status == 0 || status == STATUS_CANCELLED, "{steps:?}");
                        if close == Point::Never && take == Point::Never {
                            assert_eq!(status, 0, "{steps:?}");
                        }
                        answers[usize::from(status == 0)] += 1;
                    }
                }
            }
        }
    }
    assert!(answers.iter().all(|count| *count > 100), "{answers:?}");
}

#[test]
fn a_completion_before_the_handler_is_done_waits_for_it() {
    let ticket = Scripted::default();
    settle(&ticket, Answer::Ran(RAN));
    assert_eq!(ticket.answer(), None);
    arm(&ticket);
    assert_eq!(ticket.answer(), Some((0, Output::Item)));
}

#[test]
fn a_request_cancelled_before_it_could_wait_is_answered_by_its_handler() {
    let ticket = Scripted::default();
    ticket.step(Step::Take);
    arm(&ticket);
    assert_eq!(ticket.answer(), Some((STATUS_CANCELLED, Output::Nobody)));
    settle(&ticket, Answer::Ran(RAN));
}
