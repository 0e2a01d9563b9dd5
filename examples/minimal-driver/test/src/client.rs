//! The driver's requests, and what their answers must be.

use std::{process::ExitCode, time::Duration};

use libtest_mimic::{Arguments, Trial};
use queued_work_item_harness::{
    Guid, Identity, NtStatus,
    device::{Access, Completion, Device, Request, Transport as _},
    windows::{Installed, install},
};

/// What a test comes to: the reason if it failed.
type Verdict<T = ()> = Result<T, String>;

/// A test by its name.
type Test = (&'static str, fn() -> Verdict);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// `CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)`; the driver answers any code.
const CODE: u32 = (0x22 << 16) | (0x800 << 2);

/// Fewer than the driver's buffers, of which one can be on its way home when its request is complete.
const IN_FLIGHT: u64 = 32;

static DRIVER: Identity = Identity {
    hardware_id: r"Root\MinimalDriver",
    service: "minimal_driver",
    inf: "minimal_driver.inf",
    interface: Guid {
        data1: 0x5F0C_7C1A,
        data2: 0x2C4E,
        data3: 0x4E0D,
        data4: [0x9A, 0x5D, 0x3B, 0x7E, 0x1D, 0x7C, 0x90, 0xA6],
    },
};

/// Installs the driver from the INF beside this program.
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

/// Runs the tests, one at a time: each goes on from the count that it finds.
pub(crate) fn tests() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let tests: [Test; 3] = [
        ("one_run_for_each_request", one_for_each),
        ("many_at_once_run_in_order", in_order),
        ("a_request_without_room_fails", no_room),
    ];
    let trials = tests.map(|(name, test)| Trial::test(name, move || test().map_err(Into::into)));
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn open() -> Verdict<Box<dyn Device>> {
    Installed::new(&DRIVER, None, PATIENCE)
        .open(Access::ReadWrite)
        .map_err(|error| error.to_string())
}

fn send(device: &dyn Device, output: usize) -> Verdict<Box<dyn Request>> {
    device
        .submit(CODE, &[], output)
        .map_err(|error| error.to_string())
}

fn wait(mut request: Box<dyn Request>) -> Verdict<Completion> {
    let completion = request.wait(PATIENCE).map_err(|error| error.to_string())?;
    completion.ok_or_else(|| "a request was not completed".to_owned())
}

/// The number of the run that answered.
fn number(completion: &Completion) -> Verdict<u64> {
    let answer: Result<[u8; 8], _> = completion.output.as_slice().try_into();
    match answer {
        Ok(answer) if completion.status == NtStatus::SUCCESS => Ok(u64::from_le_bytes(answer)),
        _ => Err(format!("{completion:?} is no answer")),
    }
}

fn ask(device: &dyn Device) -> Verdict<u64> {
    number(&wait(send(device, 8)?)?)
}

fn expect(number: u64, expected: u64) -> Verdict {
    if number == expected {
        Ok(())
    } else {
        Err(format!("run {number} answered, not run {expected}"))
    }
}

fn one_for_each() -> Verdict {
    let device = open()?;
    let first = ask(&*device)?;
    (1..=200).try_for_each(|nth| expect(ask(&*device)?, first + nth))
}

fn in_order() -> Verdict {
    let device = open()?;
    let mut last = ask(&*device)?;
    for _ in 0..30 {
        let requests: Vec<_> = (0..IN_FLIGHT)
            .map(|_| send(&*device, 8))
            .collect::<Result<_, _>>()?;
        for request in requests {
            last += 1;
            expect(number(&wait(request)?)?, last)?;
        }
    }
    Ok(())
}

/// A request without room for the answer fails, and has run; the next is answered.
fn no_room() -> Verdict {
    let device = open()?;
    let before = ask(&*device)?;
    let completion = wait(send(&*device, 7)?)?;
    // STATUS_BUFFER_TOO_SMALL
    if completion.status != NtStatus(0xC000_0023) {
        return Err(format!("{completion:?}"));
    }
    expect(ask(&*device)?, before + 2)
}
