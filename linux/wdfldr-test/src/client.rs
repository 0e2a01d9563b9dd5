//! The driver's control codes, sent and waited for.

use std::time::{Duration, Instant};

use queued_work_item_harness::{
    Guid, Identity, NtStatus,
    device::{Access, Completion, Device, Request, Transport},
    windows::{Installed, devices, install, interface},
};
use wdfldr_test_contract as contract;
use wdfldr_test_contract::{QueueState, Reply};

/// What a test comes to: the reason if it failed.
pub(crate) type Verdict<T = ()> = Result<T, String>;

/// A test by its name.
pub(crate) type Test = (&'static str, fn() -> Verdict);

/// The driver under test.
pub(crate) static DRIVER: Identity = Identity {
    hardware_id: contract::HARDWARE_ID,
    service: contract::SERVICE,
    inf: contract::INF,
    interface: Guid {
        data1: contract::INTERFACE.0,
        data2: contract::INTERFACE.1,
        data3: contract::INTERFACE.2,
        data4: contract::INTERFACE.3,
    },
};

/// How long anything may take that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long nothing may come that must not.
pub(crate) const QUIET: Duration = Duration::from_millis(60);

/// Fails the test unless a condition holds.
macro_rules! check {
    ($condition:expr, $($argument:tt)+) => {
        if !$condition {
            return Err(format!("{}:{}: {}", file!(), line!(), format_args!($($argument)+)));
        }
    };
}

/// Fails the test unless a value is what it should be.
macro_rules! equal {
    ($got:expr, $expected:expr, $($argument:tt)+) => {{
        let (got, expected) = ($got, $expected);
        check!(got == expected, "{}: {got:?}, not {expected:?}", format_args!($($argument)+));
    }};
}
pub(crate) use {check, equal};

/// Statuses that tests expect.
pub(crate) mod status {
    use queued_work_item_harness::NtStatus;

    pub(crate) const NO_MORE_ENTRIES: NtStatus = NtStatus(0x8000_001A);
    pub(crate) const NOT_FOUND: NtStatus = NtStatus(0xC000_0225);
    pub(crate) const WDF_BUSY: NtStatus = NtStatus(0xC020_0204);
}

/// Installs the driver, in place of one that is there.
pub(crate) fn install() -> Verdict {
    let inf = install::inf(&DRIVER, None).map_err(|error| error.to_string())?;
    install::install(&DRIVER, &inf, PATIENCE, &mut |_| {}).map_err(|error| error.to_string())
}

/// Removes the device nodes; the driver stays loaded.
pub(crate) fn remove_device() -> Verdict {
    devices::remove_all(&DRIVER)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// An open handle.
pub(crate) struct Client(Box<dyn Device>);

impl Client {
    /// Opens the device, which is installed if it is not there.
    pub(crate) fn open() -> Verdict<Self> {
        let present = interface::paths(&DRIVER).map_err(|error| error.to_string())?;
        if present.is_empty() {
            install()?;
        }
        Self::open_present()
    }

    /// Opens the device.
    pub(crate) fn open_present() -> Verdict<Self> {
        let opened = Installed::new(&DRIVER, None, PATIENCE).open(Access::ReadWrite);
        opened.map(Self).map_err(|error| error.to_string())
    }

    /// Opens the device with its queues as they were made.
    pub(crate) fn open_reset() -> Verdict<Self> {
        let client = Self::open()?;
        client.expect(contract::QUEUES_RESET, &[], 0, NtStatus::SUCCESS)?;
        Ok(client)
    }

    /// Sends a control code.
    pub(crate) fn send(&self, code: u32, input: &[u8], output: usize) -> Verdict<Sent> {
        let sent = self.0.submit(code, input, output);
        sent.map(Sent).map_err(|error| error.to_string())
    }

    /// Sends a control code with numbers, and waits for it.
    pub(crate) fn ask(&self, code: u32, numbers: &[u32], output: usize) -> Verdict<Completion> {
        self.send(code, &bytes(numbers), output)?.wait()
    }

    /// The same, of which the status is known; returns the output as numbers.
    pub(crate) fn expect(
        &self,
        code: u32,
        numbers: &[u32],
        output: usize,
        status: NtStatus,
    ) -> Verdict<Vec<u32>> {
        let completion = self.ask(code, numbers, output)?;
        equal!(
            completion.status,
            status,
            "control code {code:#x} with {numbers:?}"
        );
        Ok(numbers_of(&completion.output))
    }

    /// A number that a control code answers.
    pub(crate) fn number(&self, code: u32, numbers: &[u32]) -> Verdict<u32> {
        let output = self.expect(code, numbers, 4, NtStatus::SUCCESS)?;
        output
            .first()
            .copied()
            .ok_or_else(|| format!("no output of {code:#x}"))
    }

    /// Sends a request to a queue whose handler holds it.
    pub(crate) fn hold(&self, queue: u32, tag: u32) -> Verdict<Sent> {
        self.send(contract::hold(queue), &bytes(&[tag]), size_of::<Reply>())
    }

    /// Completes the oldest request that the queue's handler holds.
    pub(crate) fn complete_oldest(&self, queue: u32) -> Verdict {
        let status = NtStatus::SUCCESS;
        self.expect(contract::COMPLETE_OLDEST, &[queue, 0], 0, status)
            .map(drop)
    }

    /// A queue's state.
    pub(crate) fn queue_state(&self, queue: u32) -> Verdict<QueueState> {
        let size = size_of::<QueueState>();
        let output = self.expect(contract::QUEUE_STATE, &[queue, 0], size, NtStatus::SUCCESS)?;
        match output.as_slice() {
            &[flags, queued, delivered, peak, cancelled] => Ok(QueueState {
                flags,
                queued,
                delivered,
                peak,
                cancelled,
            }),
            other => Err(format!("a queue's state is {other:?}")),
        }
    }

    /// Waits until a queue's requests are counted so: in the queue, and with the driver.
    pub(crate) fn queue_reaches(&self, queue: u32, queued: u32, delivered: u32) -> Verdict<QueueState> {
        until(
            || self.queue_state(queue),
            |state| (state.queued, state.delivered) == (queued, delivered),
        )
    }
}

/// Asks until the answer is right; the last answer otherwise.
pub(crate) fn until<T: core::fmt::Debug>(
    ask: impl Fn() -> Verdict<T>,
    right: impl Fn(&T) -> bool,
) -> Verdict<T> {
    let begun = Instant::now();
    loop {
        let answer = ask()?;
        if right(&answer) {
            return Ok(answer);
        }
        check!(begun.elapsed() < PATIENCE, "it stays {answer:?}");
        // There is nothing to wait on: the driver does not say when its state changes.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A request under way.
pub(crate) struct Sent(Box<dyn Request>);

impl Sent {
    /// Its completion, which must come.
    pub(crate) fn wait(mut self) -> Verdict<Completion> {
        let completion = self.0.wait(PATIENCE).map_err(|error| error.to_string())?;
        completion.ok_or_else(|| format!("no completion within {} s", PATIENCE.as_secs()))
    }

    /// Its completion with this status.
    pub(crate) fn ends_with(self, status: NtStatus) -> Verdict<Completion> {
        let completion = self.wait()?;
        equal!(completion.status, status, "a request's status");
        Ok(completion)
    }

    /// The reply of a request that was held; it must succeed.
    pub(crate) fn reply(self) -> Verdict<Reply> {
        let completion = self.ends_with(NtStatus::SUCCESS)?;
        match numbers_of(&completion.output).as_slice() {
            &[tag, order] => Ok(Reply { tag, order }),
            other => Err(format!("a reply is {other:?}")),
        }
    }

    /// Fails if it completes within a while.
    pub(crate) fn stays_pending(&mut self) -> Verdict {
        let completion = self.0.wait(QUIET).map_err(|error| error.to_string())?;
        check!(
            completion.is_none(),
            "a request that must be pending completed: {completion:?}"
        );
        Ok(())
    }

    /// Asks for its cancellation.
    pub(crate) fn cancel(&self) -> Verdict {
        self.0.cancel().map_err(|error| error.to_string())
    }
}

/// Numbers as a control code takes them.
pub(crate) fn bytes(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// An output as numbers.
pub(crate) fn numbers_of(bytes: &[u8]) -> Vec<u32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| u32::from_le_bytes(*word)).collect()
}
