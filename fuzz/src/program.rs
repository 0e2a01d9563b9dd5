//! The language of the inputs.
//!
//! A byte string of any kind is a program: what is out of range is brought into it, what is incomplete at the end is left
//! out. So no input is wasted, and a small change to the bytes is a small change to what is done. The opposite direction,
//! [`Program::encode`], makes the seeds.

/// Longer inputs are cut: more steps find nothing that fewer do not, and take longer.
pub const MAX_LENGTH: usize = 8 * 1024;
const MAX_STEPS: usize = 96;
/// In a step's first byte: it is the second lane's.
const SECOND_LANE: u8 = 0x80;
const KIND: u8 = 0x0F;

/// What is done, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Each step, and whether it is the second lane's.
    pub steps: Vec<(bool, Step)>,
}

/// One thing that user mode, or the system, does. Handles and requests are counted from the lane's latest one, 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opens a handle with these rights, in the bits of a control code.
    Open {
        /// Read 1, write 2.
        rights: u8,
    },
    /// Closes a handle.
    Close {
        /// Which.
        handle: u8,
    },
    /// Sends a request.
    Send {
        /// Through which handle.
        handle: u8,
        /// A code by its place in the contract's list; from [`Step::ANY_CODE`] on, whatever `code` says.
        verb: u8,
        /// The code, where `verb` leaves it open.
        code: u32,
        /// Whether the input is first made what the code wants: lengthened, its version right, its fields within limits.
        mended: bool,
        /// Bytes of output that there is room for.
        room: u16,
        /// The input.
        input: Vec<u8>,
    },
    /// Cancels a request.
    Cancel {
        /// Which.
        request: u8,
    },
    /// Waits for a request's answer.
    Await {
        /// Which.
        request: u8,
        /// For how long at most.
        milliseconds: u8,
    },
    /// The device leaves D0.
    D0Exit,
    /// The device comes back.
    D0Entry,
    /// The device is removed by surprise.
    Remove,
    /// Whether threads for what blocks are to be had.
    DenyWorkers {
        /// They are not.
        deny: bool,
    },
    /// An allocation fails.
    FailAllocation {
        /// Which from now on; 0 for none.
        nth: u8,
    },
}

impl Step {
    /// See [`Step::Send`].
    pub const ANY_CODE: u8 = 0xF0;
}

const OPEN: u8 = 0;
const CLOSE: u8 = 1;
const SEND: u8 = 2;
const SEND_MENDED: u8 = 3;
const CANCEL: u8 = 4;
const AWAIT: u8 = 5;
const D0_EXIT: u8 = 6;
const D0_ENTRY: u8 = 7;
const REMOVE: u8 = 8;
const DENY_WORKERS: u8 = 9;
const FAIL_ALLOCATION: u8 = 10;

impl Program {
    /// Reads a program.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut reader = Reader(&bytes[..bytes.len().min(MAX_LENGTH)]);
        let mut steps = Vec::new();
        while steps.len() < MAX_STEPS {
            let Some(step) = reader.step() else { break };
            steps.push(step);
        }
        Self { steps }
    }

    /// Writes a program.
    ///
    /// # Panics
    /// An input longer than 65,535 bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (second, step) in &self.steps {
            let lane = if *second { SECOND_LANE } else { 0 };
            let mut put = |kind: u8, rest: &[u8]| {
                bytes.push(kind | lane);
                bytes.extend_from_slice(rest);
            };
            match step {
                Step::Open { rights } => put(OPEN, &[*rights]),
                Step::Close { handle } => put(CLOSE, &[*handle]),
                Step::Send {
                    handle,
                    verb,
                    code,
                    mended,
                    room,
                    input,
                } => {
                    put(if *mended { SEND_MENDED } else { SEND }, &[*handle, *verb]);
                    if *verb >= Step::ANY_CODE {
                        bytes.extend_from_slice(&code.to_le_bytes());
                    }
                    bytes.extend_from_slice(&room.to_le_bytes());
                    let length = u16::try_from(input.len()).expect("inputs are short");
                    bytes.extend_from_slice(&length.to_le_bytes());
                    bytes.extend_from_slice(input);
                }
                Step::Cancel { request } => put(CANCEL, &[*request]),
                Step::Await {
                    request,
                    milliseconds,
                } => put(AWAIT, &[*request, *milliseconds]),
                Step::D0Exit => put(D0_EXIT, &[]),
                Step::D0Entry => put(D0_ENTRY, &[]),
                Step::Remove => put(REMOVE, &[]),
                Step::DenyWorkers { deny } => put(DENY_WORKERS, &[u8::from(*deny)]),
                Step::FailAllocation { nth } => put(FAIL_ALLOCATION, &[*nth]),
            }
        }
        bytes
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn word(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// As many as there are, if there are not so many: a cut input is a short one.
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        head
    }

    fn step(&mut self) -> Option<(bool, Step)> {
        let first = self.byte()?;
        let step = match first & KIND {
            OPEN => Step::Open { rights: self.byte()? },
            CLOSE => Step::Close { handle: self.byte()? },
            CANCEL => Step::Cancel {
                request: self.byte()?,
            },
            AWAIT => Step::Await {
                request: self.byte()?,
                milliseconds: self.byte()?,
            },
            D0_EXIT => Step::D0Exit,
            D0_ENTRY => Step::D0Entry,
            REMOVE => Step::Remove,
            DENY_WORKERS => Step::DenyWorkers {
                deny: self.byte()? & 1 != 0,
            },
            FAIL_ALLOCATION => Step::FailAllocation { nth: self.byte()? },
            // What is left of the numbers sends: that is what there should be most of.
            kind => {
                let handle = self.byte()?;
                let verb = self.byte()?;
                let code = if verb >= Step::ANY_CODE {
                    self.array().map(u32::from_le_bytes)?
                } else {
                    0
                };
                let room = self.word()?;
                let length = self.word()?;
                Step::Send {
                    handle,
                    verb,
                    code,
                    mended: kind != SEND,
                    room,
                    input: self.bytes(usize::from(length)).to_vec(),
                }
            }
        };
        Some((first & SECOND_LANE != 0, step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let send = |verb, code, mended| Step::Send {
            handle: 3,
            verb,
            code,
            mended,
            room: 0x1234,
            input: vec![1, 2, 3],
        };
        let steps = [
            Step::Open { rights: 3 },
            Step::Close { handle: 1 },
            send(4, 0, false),
            send(Step::ANY_CODE, 0xDEAD_BEEF, true),
            Step::Cancel { request: 2 },
            Step::Await {
                request: 9,
                milliseconds: 8,
            },
            Step::D0Exit,
            Step::D0Entry,
            Step::Remove,
            Step::DenyWorkers { deny: true },
            Step::FailAllocation { nth: 7 },
        ];
        let program = Program {
            steps: steps
                .into_iter()
                .enumerate()
                .map(|(i, step)| (i % 2 == 1, step))
                .collect(),
        };
        assert_eq!(Program::decode(&program.encode()), program);
    }

    #[test]
    fn any_bytes_are_a_program() {
        for first in 0..=u8::MAX {
            for length in 0..32 {
                let mut bytes = vec![first; length];
                bytes.extend_from_slice(&[0xFF; 8]);
                let program = Program::decode(&bytes);
                // Decoding settles what was out of range: once written again, it stays as it is.
                assert_eq!(Program::decode(&program.encode()), program);
            }
        }
    }
}
