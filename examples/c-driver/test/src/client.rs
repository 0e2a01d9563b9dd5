//! The driver's control codes, sent and waited for; and its own tests. `public.h` has what both sides agree on.

use std::time::Duration;

use queued_work_item_harness::{
    Guid, Identity, NtStatus,
    device::{Access, Completion, Device, Request, Transport as _},
    windows::{Installed, install},
};

/// What a test comes to: the reason if it failed.
pub(crate) type Verdict<T = ()> = Result<T, String>;

/// `IOCTL_C_DRIVER_SUM`
pub(crate) const SUM: u32 = code(0);
/// `IOCTL_C_DRIVER_SELF_TEST`
const SELF_TEST: u32 = code(1);

/// `SELF_TEST_RESULT`: a name, a line, a word of padding, what was there, what should have been.
const RESULT: usize = NAME + 4 + 4 + 8 + 8;
const NAME: usize = 40;

/// Another test has a number above the last.
const NO_MORE_ENTRIES: NtStatus = NtStatus(0x8000_001A);

/// More tests than there are.
const ENOUGH: u32 = 1000;

/// How long anything may take: the driver's own patience, and more.
const PATIENCE: Duration = Duration::from_mins(1);

static DRIVER: Identity = Identity {
    hardware_id: r"Root\QwiCDriver",
    service: "qwi_c_driver",
    inf: "qwi_c_driver.inf",
    interface: Guid {
        data1: 0xB6A1_B2A4,
        data2: 0x9C0E,
        data3: 0x4F0B,
        data4: [0x8E, 0x57, 0x6B, 0x3E, 0x0E, 0x5C, 0x7D, 0x31],
    },
};

/// `CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800 + function, METHOD_BUFFERED, FILE_ANY_ACCESS)`
pub(crate) const fn code(function: u32) -> u32 {
    (0x22 << 16) | ((0x800 + function) << 2)
}

/// Installs the driver from the INF beside this program, in place of one that is there.
pub(crate) fn install() -> Verdict {
    let inf = install::inf(&DRIVER, None).map_err(|error| error.to_string())?;
    install::install(&DRIVER, &inf, PATIENCE, &mut |_| {}).map_err(|error| error.to_string())
}

/// Removes the device, the driver and its service.
pub(crate) fn uninstall() -> Verdict {
    install::uninstall(&DRIVER, PATIENCE)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// An open handle.
pub(crate) struct Client(Box<dyn Device>);

impl Client {
    /// Opens the device, which must be installed.
    pub(crate) fn open() -> Verdict<Self> {
        let opened = Installed::new(&DRIVER, None, PATIENCE).open(Access::ReadWrite);
        opened.map(Self).map_err(|error| error.to_string())
    }

    /// Sends a control code.
    pub(crate) fn send(&self, code: u32, input: &[u8], output: usize) -> Verdict<Box<dyn Request>> {
        self.0
            .submit(code, input, output)
            .map_err(|error| error.to_string())
    }

    /// Sends a control code and waits for its completion, which must come.
    pub(crate) fn ask(&self, code: u32, input: &[u8], output: usize) -> Verdict<Completion> {
        wait(self.send(code, input, output)?)
    }
}

/// A completion that must come.
pub(crate) fn wait(mut request: Box<dyn Request>) -> Verdict<Completion> {
    let completion = request.wait(PATIENCE).map_err(|error| error.to_string())?;
    completion.ok_or_else(|| format!("no completion within {} s", PATIENCE.as_secs()))
}

/// Runs every test that the driver has of the library, each by its name.
pub(crate) fn self_tests() -> Verdict<Vec<(String, Verdict)>> {
    let client = Client::open()?;
    let mut tests = Vec::new();
    for number in 0..ENOUGH {
        let completion = client.ask(SELF_TEST, &number.to_le_bytes(), RESULT)?;
        if completion.status == NO_MORE_ENTRIES {
            if tests.is_empty() {
                return Err("the driver has no tests".to_owned());
            }
            return Ok(tests);
        }
        if completion.status != NtStatus::SUCCESS {
            return Err(format!(
                "the driver's test {number} ended with {:?}",
                completion.status
            ));
        }
        tests.push(result(&completion.output)?);
    }
    Err(format!("the driver has more than {ENOUGH} tests"))
}

/// One test's result, and its name.
fn result(output: &[u8]) -> Verdict<(String, Verdict)> {
    let cut = || format!("a test's result has {} bytes", output.len());
    let word = |at: usize| -> Verdict<u64> {
        let bytes = output.get(at..at + 8).ok_or_else(cut)?;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| cut())?))
    };
    let name = output.get(..NAME).ok_or_else(cut)?;
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    // The line's high half is padding.
    let line = word(NAME)?;
    let verdict = match line {
        0 => Ok(()),
        line => Err(format!(
            "line {line} of the driver's file: {:#x}, not {:#x}",
            word(NAME + 8)?,
            word(NAME + 16)?
        )),
    };
    Ok((name, verdict))
}
