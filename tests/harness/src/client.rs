//! The contract's verbs, typed: structures in, structures out, every wait bounded.

mod pending;
mod tasks;
mod threaded;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use queued_work_item_ioctl::{
    self as ioctl, Batch, BatchItem, BatchReply, Benchmark, BenchmarkReply, CONTRACT_VERSION, CancelReply,
    Close, CloseReply, Configure, Enqueue, Header, LogEntry, LogReply, ReadLog, StatisticsReply, Stress,
    StressReply, VersionReply, WaitReply,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use self::pending::Pending;
use self::pending::{accepted, parse, wait};
use crate::{
    Error, NtStatus,
    device::{Access, Completion, Device, Request, Transport},
};

/// How long a verb is waited for, where the caller names nothing else.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

/// Log entries that one [`Client::read_log`] asks for.
const LOG_CHUNK: usize = 1024;

/// How `CLOSE` treats what is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseMode {
    /// Run it first.
    Drain,
    /// Drop what has not begun.
    Cancel,
}

/// A handle of the driver, speaking to one instance. Clones share the handle, which is closed with the last of them.
#[derive(Clone)]
pub struct Client {
    device: Arc<dyn Device>,
    instance: u32,
    timeout: Duration,
}

impl Client {
    /// Opens the device and makes sure that both sides speak one contract.
    ///
    /// # Errors
    /// Those of [`Transport::open`]; [`Error::Contract`].
    pub fn open(transport: &dyn Transport, access: Access, timeout: Duration) -> Result<Self, Error> {
        let client = Self {
            device: transport.open(access)?.into(),
            instance: 0,
            timeout,
        };
        let version = client.version()?;
        if version.contract == CONTRACT_VERSION {
            Ok(client)
        } else {
            Err(Error::Contract {
                driver: version.contract,
            })
        }
    }

    /// The same handle, speaking to another instance.
    #[must_use]
    pub fn at(&self, instance: u32) -> Self {
        Self {
            instance,
            ..self.clone()
        }
    }

    /// The instance that it speaks to.
    #[must_use]
    pub const fn instance(&self) -> u32 {
        self.instance
    }

    /// An item for this instance.
    #[must_use]
    pub const fn item(&self, tag: u64) -> Enqueue {
        Enqueue::new(self.instance, tag)
    }

    /// The header of this handle's inputs.
    #[must_use]
    pub const fn header(&self) -> Header {
        Header::new(self.instance)
    }

    /// How long this handle waits.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// `VERSION`
    ///
    /// # Errors
    /// As every verb here: [`Error::Refused`] with the driver's status, [`Error::TimedOut`], [`Error::BadReply`], or
    /// what kept the request from being sent.
    pub fn version(&self) -> Result<VersionReply, Error> {
        // Its length may change with the contract, but not its first field: there is room for a longer one, so that
        // another version is told from a bad reply.
        let verb = name(ioctl::VERSION);
        let output = self
            .complete(ioctl::VERSION, &[], 4 * size_of::<VersionReply>())?
            .output;
        if let Ok((contract, _)) = u32::read_from_prefix(&output)
            && contract != CONTRACT_VERSION
        {
            return Err(Error::Contract { driver: contract });
        }
        parse(verb, &output)
    }

    /// `CONFIGURE`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn configure(&self, buffer_count: u32, buffer_size: u32) -> Result<(), Error> {
        self.configure_as(&Configure::new(self.instance, buffer_count, buffer_size))
    }

    /// `CONFIGURE`, every field of it.
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn configure_as(&self, configure: &Configure) -> Result<(), Error> {
        self.run(ioctl::CONFIGURE, configure.as_bytes())
    }

    /// `ENQUEUE`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn enqueue(&self, item: &Enqueue, payload: &[u8]) -> Result<(), Error> {
        self.run(ioctl::ENQUEUE, &[item.as_bytes(), payload].concat())
    }

    /// `ENQUEUE_AND_WAIT`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn enqueue_and_wait(&self, item: &Enqueue, payload: &[u8]) -> Result<WaitReply, Error> {
        self.begin_wait(item, payload)?.wait(self.timeout)
    }

    /// `ENQUEUE_AND_WAIT`, not waited for yet.
    ///
    /// # Errors
    /// What kept the request from being sent.
    pub fn begin_wait(&self, item: &Enqueue, payload: &[u8]) -> Result<Pending<WaitReply>, Error> {
        self.begin(ioctl::ENQUEUE_AND_WAIT, &[item.as_bytes(), payload].concat())
    }

    /// `ENQUEUE_BATCH`: what an [`Client::enqueue`] of each item would be told.
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn enqueue_batch(&self, items: &[(Enqueue, &[u8])]) -> Result<Vec<NtStatus>, Error> {
        let verb = name(ioctl::ENQUEUE_BATCH);
        let input = self.batch(items);
        let room = size_of::<BatchReply>() + items.len() * size_of::<u32>();
        let output = self.complete(ioctl::ENQUEUE_BATCH, &input, room)?.output;
        let bad = Error::BadReply {
            verb,
            expected: room,
            got: output.len(),
        };
        let Ok((reply, rest)) = BatchReply::read_from_prefix(&output) else {
            return Err(bad);
        };
        let statuses: Vec<_> = rest
            .chunks_exact(size_of::<u32>())
            .filter_map(|bytes| u32::read_from_bytes(bytes).ok())
            .map(NtStatus)
            .collect();
        let accepted = statuses
            .iter()
            .filter(|status| **status == NtStatus::SUCCESS)
            .count();
        if output.len() != room || reply.count as usize != items.len() || reply.accepted as usize != accepted
        {
            return Err(bad);
        }
        Ok(statuses)
    }

    /// The input of an [`Client::enqueue_batch`].
    #[must_use]
    pub fn batch(&self, items: &[(Enqueue, &[u8])]) -> Vec<u8> {
        let fits = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let head = Batch {
            header: self.header(),
            count: fits(items.len()),
            reserved: 0,
        };
        let mut input = head.as_bytes().to_vec();
        for (item, payload) in items {
            let length = fits(size_of::<Enqueue>() + payload.len());
            input.extend_from_slice(BatchItem { length }.as_bytes());
            input.extend_from_slice(item.as_bytes());
            input.extend_from_slice(payload);
        }
        input
    }

    /// `CANCEL`: how many items it dropped.
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn cancel(&self) -> Result<u64, Error> {
        let reply: CancelReply = self
            .begin(ioctl::CANCEL, self.header().as_bytes())?
            .wait(self.timeout)?;
        Ok(reply.cancelled)
    }

    /// `FLUSH`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn flush(&self) -> Result<(), Error> {
        self.run(ioctl::FLUSH, self.header().as_bytes())
    }

    /// `FLUSH`, not waited for yet.
    ///
    /// # Errors
    /// What kept the request from being sent.
    pub fn begin_flush(&self) -> Result<Pending<()>, Error> {
        self.begin(ioctl::FLUSH, self.header().as_bytes())
    }

    /// `CLOSE`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn close(&self, mode: CloseMode) -> Result<CloseReply, Error> {
        self.begin_close(mode)?.wait(self.timeout)
    }

    /// `CLOSE`, not waited for yet.
    ///
    /// # Errors
    /// What kept the request from being sent.
    pub fn begin_close(&self, mode: CloseMode) -> Result<Pending<CloseReply>, Error> {
        let input = Close {
            header: self.header(),
            mode: match mode {
                CloseMode::Drain => Close::DRAIN,
                CloseMode::Cancel => Close::CANCEL,
            },
            reserved: 0,
        };
        self.begin(ioctl::CLOSE, input.as_bytes())
    }

    /// `GATE`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn gate(&self) -> Result<(), Error> {
        self.run(ioctl::GATE, self.header().as_bytes())
    }

    /// `RELEASE`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn release(&self) -> Result<(), Error> {
        self.run(ioctl::RELEASE, self.header().as_bytes())
    }

    /// `STATISTICS`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn statistics(&self) -> Result<StatisticsReply, Error> {
        self.begin(ioctl::STATISTICS, self.header().as_bytes())?
            .wait(self.timeout)
    }

    /// `STRESS`, not waited for yet.
    ///
    /// # Errors
    /// What kept the request from being sent.
    pub fn begin_stress(&self, load: &Stress) -> Result<Pending<StressReply>, Error> {
        self.begin(ioctl::STRESS, load.as_bytes())
    }

    /// `STRESS_PROGRESS`
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn stress_progress(&self) -> Result<StressReply, Error> {
        self.begin(ioctl::STRESS_PROGRESS, self.header().as_bytes())?
            .wait(self.timeout)
    }

    /// `BENCHMARK`, not waited for yet.
    ///
    /// # Errors
    /// What kept the request from being sent.
    pub fn begin_benchmark(&self, samples: u32) -> Result<Pending<BenchmarkReply>, Error> {
        let input = Benchmark {
            samples,
            ..Benchmark::new()
        };
        self.begin(ioctl::BENCHMARK, input.as_bytes())
    }

    /// `READ_LOG`: the entries from `from` on, as many as one request carries.
    ///
    /// # Errors
    /// As [`Client::version`].
    pub fn read_log(&self, from: u64) -> Result<LogPage, Error> {
        let verb = name(ioctl::READ_LOG);
        let input = ReadLog {
            header: self.header(),
            from,
        };
        let room = size_of::<LogReply>() + LOG_CHUNK * size_of::<LogEntry>();
        let output = self.complete(ioctl::READ_LOG, input.as_bytes(), room)?.output;
        let bad = |expected| Error::BadReply {
            verb,
            expected,
            got: output.len(),
        };
        let (reply, rest) = LogReply::read_from_prefix(&output).map_err(|_| bad(size_of::<LogReply>()))?;
        let count = reply.count as usize;
        let entries = rest
            .chunks_exact(size_of::<LogEntry>())
            .filter_map(|bytes| LogEntry::read_from_bytes(bytes).ok())
            .collect::<Vec<_>>();
        if entries.len() != count || rest.len() != count * size_of::<LogEntry>() {
            return Err(bad(
                size_of::<LogReply>() + count.saturating_mul(size_of::<LogEntry>())
            ));
        }
        Ok(LogPage {
            entries,
            next: reply.next,
            lost: reply.lost,
        })
    }

    /// `READ_LOG` from `from` to the log's end.
    ///
    /// # Errors
    /// As [`Client::version`]; [`Error::TimedOut`] where the log outgrows its reader.
    pub fn read_whole_log(&self, from: u64) -> Result<LogPage, Error> {
        let began = Instant::now();
        let mut whole = LogPage {
            entries: Vec::new(),
            next: from,
            lost: 0,
        };
        loop {
            let page = self.read_log(whole.next)?;
            whole.lost += page.lost;
            whole.next = page.next;
            if page.entries.is_empty() {
                return Ok(whole);
            }
            whole.entries.extend(page.entries);
            if began.elapsed() > self.timeout {
                return Err(Error::TimedOut {
                    verb: name(ioctl::READ_LOG),
                    after: self.timeout,
                });
            }
        }
    }

    /// Any bytes under any code: what a hostile caller sends.
    ///
    /// # Errors
    /// [`Error::TimedOut`], or what kept the request from being sent. What the driver says is in the [`Completion`].
    pub fn raw(&self, code: u32, input: &[u8], output: usize) -> Result<Completion, Error> {
        wait(&mut *self.device.submit(code, input, output)?, code, self.timeout)
    }

    /// Any bytes under any code, on its way.
    ///
    /// # Errors
    /// What kept the request from being sent.
    pub fn submit(&self, code: u32, input: &[u8], output: usize) -> Result<Box<dyn Request>, Error> {
        self.device.submit(code, input, output)
    }

    /// A verb with these bytes of input, not waited for yet.
    ///
    /// # Errors
    /// What kept the request from being sent.
    pub fn begin<R>(&self, code: u32, input: &[u8]) -> Result<Pending<R>, Error>
    where
        R: FromBytes + Immutable + KnownLayout,
    {
        let request = self.device.submit(code, input, size_of::<R>())?;
        Ok(Pending::new(request, code))
    }

    fn run(&self, code: u32, input: &[u8]) -> Result<(), Error> {
        self.begin::<()>(code, input)?.wait(self.timeout)
    }

    fn complete(&self, code: u32, input: &[u8], output: usize) -> Result<Completion, Error> {
        accepted(code, self.raw(code, input, output)?)
    }
}

/// What one `READ_LOG` gave.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// The entries, oldest first.
    pub entries: Vec<LogEntry>,
    /// Where to go on.
    pub next: u64,
    /// Entries that were overwritten before they were read.
    pub lost: u64,
}

/// The contract's name of a code.
#[must_use]
pub fn name(code: u32) -> &'static str {
    ioctl::ALL
        .iter()
        .find_map(|(known, name)| (*known == code).then_some(*name))
        .unwrap_or("a code of no contract")
}
