//! One thread of user mode: its handles, and the requests that it has sent.

use std::time::Duration;

use queued_work_item_exerciser::testing::{Answered, Client, Device, Pended, Rights, STATUS_ACCESS_DENIED};
use queued_work_item_ioctl::{ALL, STATUS_DELETE_PENDING};

use crate::oracle;
use crate::play::Report;
use crate::program::Step;
use crate::request::{mend, tame};

/// Longer than anything that a tamed request does takes, on a machine that does much else and under sanitizers.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Handles and requests that a lane may hold at once.
const HANDLES: usize = 8;
const REQUESTS: usize = 96;

pub(crate) struct Lane<'a> {
    device: &'a Device,
    /// Everything that the program sends.
    bytes: &'a [u8],
    handles: Vec<(u64, Client<'a>)>,
    opened: u64,
    requests: Vec<Sent>,
    report: Report,
}

struct Sent {
    handle: u64,
    code: u32,
    room: usize,
    pended: Pended,
    checked: bool,
}

impl Sent {
    fn check(&mut self, bytes: &[u8], report: &mut Report, answered: &Answered) {
        if !self.checked {
            self.checked = true;
            oracle::check(self.code, self.room, bytes, answered);
            report.add(self.code, answered.status);
        }
    }
}

impl<'a> Lane<'a> {
    /// A lane with one handle that may do everything.
    pub(crate) fn new(device: &'a Device, bytes: &'a [u8]) -> Self {
        let mut lane = Self {
            device,
            bytes,
            handles: Vec::new(),
            opened: 0,
            requests: Vec::new(),
            report: Report::default(),
        };
        lane.open(Rights::BOTH);
        lane
    }

    fn open(&mut self, rights: Rights) {
        if self.handles.len() < HANDLES {
            self.opened += 1;
            self.handles.push((self.opened, self.device.open(rights)));
        }
    }

    /// Takes a step that is user mode's; `removed`: the device was removed before.
    pub(crate) fn take(&mut self, step: &Step, removed: bool) {
        match step {
            Step::Open { rights } => self.open(Rights(u32::from(rights & 3))),
            Step::Close { handle } => {
                if let Some(at) = from_last(self.handles.len(), *handle) {
                    self.close(at);
                }
            }
            Step::Send {
                handle,
                verb,
                code,
                mended,
                room,
                input,
            } => {
                let code = if *verb >= Step::ANY_CODE {
                    *code
                } else {
                    ALL[usize::from(*verb) % ALL.len()].0
                };
                let mut input = input.clone();
                if *mended {
                    mend(code, &mut input);
                }
                tame(code, &mut input);
                self.send(*handle, code, &input, usize::from(*room), removed);
            }
            Step::Cancel { request } => {
                if let Some(at) = from_last(self.requests.len(), *request) {
                    let sent = &mut self.requests[at];
                    sent.pended.cancel();
                    let answered = sent
                        .pended
                        .wait_for(PATIENCE)
                        .expect("a cancelled request was never answered");
                    sent.check(self.bytes, &mut self.report, &answered);
                }
            }
            Step::Await {
                request,
                milliseconds,
            } => {
                if let Some(at) = from_last(self.requests.len(), *request) {
                    let sent = &mut self.requests[at];
                    if let Some(answered) = sent
                        .pended
                        .wait_for(Duration::from_millis(u64::from(*milliseconds)))
                    {
                        sent.check(self.bytes, &mut self.report, &answered);
                    }
                }
            }
            // The system's.
            _ => {}
        }
    }

    fn send(&mut self, handle: u8, code: u32, input: &[u8], room: usize, removed: bool) {
        let (Some(at), true) = (
            from_last(self.handles.len(), handle),
            self.requests.len() < REQUESTS,
        ) else {
            return;
        };
        let (handle, client) = &self.handles[at];
        let mut sent = Sent {
            handle: *handle,
            code,
            room,
            pended: client.send(code, input, room),
            checked: false,
        };
        if let Some(answered) = sent.pended.answered() {
            sent.check(self.bytes, &mut self.report, &answered);
        }
        if removed {
            let status = sent.pended.answered().map(|answered| answered.status);
            assert!(
                matches!(status, Some(STATUS_DELETE_PENDING | STATUS_ACCESS_DENIED)),
                "a device that was removed answers {status:x?}"
            );
        }
        self.requests.push(sent);
    }

    fn close(&mut self, at: usize) {
        let (handle, client) = self.handles.remove(at);
        drop(client);
        for sent in self.requests.iter_mut().filter(|sent| sent.handle == handle) {
            let answered = sent
                .pended
                .wait_for(PATIENCE)
                .expect("a request outlives its handle");
            sent.check(self.bytes, &mut self.report, &answered);
        }
    }

    /// The device was removed: whatever waited was told, before that returned.
    pub(crate) fn device_removed(&mut self) {
        for sent in &mut self.requests {
            let answered = sent.pended.answered().expect("a request outlives its device");
            sent.check(self.bytes, &mut self.report, &answered);
        }
    }

    /// Closes every handle, with all that this has to bring about.
    pub(crate) fn end(mut self) -> Report {
        while !self.handles.is_empty() {
            self.close(0);
        }
        self.report
    }
}

/// The place of what is counted from the last one.
fn from_last(length: usize, back: u8) -> Option<usize> {
    (length > 0).then(|| length - 1 - usize::from(back) % length)
}
