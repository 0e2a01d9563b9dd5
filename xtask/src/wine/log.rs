//! What the kernel log says: which lines mean that a driver is dead or stuck, and what a driver left behind.
//!
//! The log is what Wine's kernel side prints: `DbgPrint` of the drivers, errors of `ntoskrnl.exe`, `services.exe` and
//! the loader. After most failures Wine goes on and answers the caller with a status that says nothing ("access
//! denied"), or `sc` says RUNNING of a driver that is gone. The lines are the only truthful witness, so they are
//! read here, one by one and without state.

/// What Wine puts before every line of `DbgPrint`, after the thread's number.
const DEBUG_PRINT: &str = ":warn:debugstr:vDbgPrintExWithPrefix ";

/// What `wdfldr.sys` puts before every line of its own.
const RUNTIME: &str = "wdfldr: ";

/// One line of the log, without Wine's decoration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// The Windows thread that printed it, in hexadecimal digits; absent in messages of Wine's loader.
    pub(crate) thread: Option<&'a str>,
    /// The text; of other lines than `DbgPrint`'s it begins with the class and the channel.
    pub(crate) text: &'a str,
}

impl<'a> Line<'a> {
    /// Takes a line apart; anything is a line.
    pub(crate) fn parse(raw: &'a str) -> Self {
        let raw = raw.trim_end();
        let Some((thread, rest)) = raw.split_once(':') else {
            return Self {
                thread: None,
                text: raw,
            };
        };
        let is_thread = thread.len() == 4 && thread.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !is_thread {
            return Self {
                thread: None,
                text: raw,
            };
        }
        let printed = raw[thread.len()..].strip_prefix(DEBUG_PRINT);
        // The component and the level, both as eight digits: `00000000:00000001: `.
        let text = printed.map_or(rest, |printed| {
            printed.split_once(": ").map_or(printed, |(_, text)| text)
        });
        Self {
            thread: Some(thread),
            text,
        }
    }
}

/// The kinds of lines that matter to a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The KMDF runtime stopped a driver that broke a rule, or called what the runtime lacks.
    Stop,
    /// A driver called a function that Wine's kernel lacks.
    Missing,
    /// A driver crashed.
    Crash,
    /// A driver called `KeBugCheck`.
    Bugcheck,
    /// A driver's process ended while a start or a stop was under way.
    Died,
    /// A start or a stop was not answered, or threads wait for each other.
    Hang,
    /// A driver refused to start, with this status.
    Refused,
    /// An image could not be loaded.
    NotLoaded,
}

impl Kind {
    /// Whether the driver is beyond help. A refused or failed load may well be what a test wants to see.
    pub(crate) fn is_fatal(self) -> bool {
        !matches!(self, Self::Refused | Self::NotLoaded)
    }

    /// What happened, for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Stop => "the KMDF runtime stopped the driver",
            Self::Missing => "the driver called a function that Wine's kernel lacks",
            Self::Crash => "the driver crashed",
            Self::Bugcheck => "the driver called KeBugCheck",
            Self::Died => "the driver's process ended",
            Self::Hang => "the driver hangs",
            Self::Refused => "the driver did not start",
            Self::NotLoaded => "an image could not be loaded",
        }
    }
}

/// A line that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    /// The line that says so.
    pub(crate) text: String,
}

impl Finding {
    /// Recognises a line, or not.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let kind = if let Some(message) = text.strip_prefix(RUNTIME) {
            message.starts_with("STOP ").then_some(Kind::Stop)
        } else if let Some(message) = text.strip_prefix("wine: ") {
            of_loader(message)
        } else {
            of_channel(text)
        }?;
        Some(Self {
            kind,
            text: text.to_owned(),
        })
    }
}

/// Messages that Wine prints whatever `WINEDEBUG` says.
fn of_loader(message: &str) -> Option<Kind> {
    // "Call from … to unimplemented function" comes first and says the same: one finding is enough.
    if message.starts_with("Unimplemented function ") {
        Some(Kind::Missing)
    } else if message.starts_with("Unhandled ") || message.contains("stack overflow") {
        Some(Kind::Crash)
    } else {
        None
    }
}

/// Messages on one of Wine's debug channels: `err:CHANNEL:FUNCTION …`.
fn of_channel(text: &str) -> Option<Kind> {
    let message = text.strip_prefix("err:")?;
    let (channel, message) = message.split_once(':')?;
    match channel {
        "ntoskrnl" if message.starts_with("KeBugCheck") => Some(Kind::Bugcheck),
        "ntoskrnl" if message.starts_with("ZwLoadDriver failed to create driver") => Some(Kind::Refused),
        "service" if message.contains("failed to read pipe") => Some(Kind::Died),
        "service" if message.contains("timed out") => Some(Kind::Hang),
        "sync" | "ntdll" if message.contains("wait timed out in thread") => Some(Kind::Hang),
        "module" if message.contains("not found") => Some(Kind::NotLoaded),
        "virtual" if message.contains("stack overflow") => Some(Kind::Crash),
        "seh" if message.contains("nhandled exception") => Some(Kind::Crash),
        _ => None,
    }
}

/// What `wdfldr.sys` says of a driver that it lets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// `wdfldr: leak NAME: …`: one thing, or one group of things, that was left behind.
    Leak { driver: String, what: String },
    /// `wdfldr: unload NAME: objects 0 leaked, pool 0 blocks 0 bytes leaked`: the sum, printed once per unload.
    Unload {
        driver: String,
        sum: String,
        clean: bool,
    },
}

impl Account {
    /// Recognises a line, or not.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let message = text.strip_prefix(RUNTIME)?;
        let (word, rest) = message.split_once(' ')?;
        let (driver, rest) = rest.split_once(": ")?;
        let (driver, said) = (driver.to_owned(), rest.to_owned());
        match word {
            "leak" => Some(Self::Leak { driver, what: said }),
            "unload" if rest.ends_with(" leaked") => Some(Self::Unload {
                driver,
                clean: is_zero(rest),
                sum: said,
            }),
            _ => None,
        }
    }
}

/// Whether a sum has figures and all of them are 0.
fn is_zero(sum: &str) -> bool {
    let mut figures = sum
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .peekable();
    figures.peek().is_some() && figures.all(|digits| digits.bytes().all(|digit| digit == b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as Wine 8.0 printed them.
    const PRINTED: &str = "0148:warn:debugstr:vDbgPrintExWithPrefix 00000000:00000001: hello: the driver\r";
    const CRASH: &str = "wine: Unhandled page fault on write access to 0000000000000010 at address 000000030F2B1036 (thread 01b4), starting debugger...";
    const CALL: &str =
        "wine: Call from 000000017002D3F8 to unimplemented function ntoskrnl.exe.KeGetNothing, aborting";
    const MISSING: &str = "wine: Unimplemented function ntoskrnl.exe.KeGetNothing called at address 000000017002D3F8 (thread 029c), starting debugger...";
    const REFUSED: &str = r#"0230:err:ntoskrnl:ZwLoadDriver failed to create driver L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\FAIL": c000009a"#;
    const BUGCHECK: &str = "0318:err:ntoskrnl:KeBugCheckEx deadbeef 1 2 3 4";
    const DIED: &str = "0058:err:service:process_send_command service protocol error - failed to read pipe r = 0  count = 0!";
    const HANG: &str = "0058:err:service:process_send_command receiving command result timed out";
    const NOISE: &str = r#"0044:err:winediag:nodrv_CreateWindow L"The explorer process failed to start.""#;

    fn kind_of(raw: &str) -> Option<Kind> {
        Finding::of(Line::parse(raw).text).map(|finding| finding.kind)
    }

    #[test]
    fn a_printed_line_loses_its_decoration() {
        let line = Line::parse(PRINTED);
        assert_eq!(line.thread, Some("0148"));
        assert_eq!(line.text, "hello: the driver");
    }

    #[test]
    fn other_lines_stay_whole() {
        assert_eq!(Line::parse(CRASH).text, CRASH);
        assert_eq!(Line::parse(CRASH).thread, None);
        let line = Line::parse(BUGCHECK);
        assert_eq!(line.thread, Some("0318"));
        assert_eq!(line.text, "err:ntoskrnl:KeBugCheckEx deadbeef 1 2 3 4");
        assert_eq!(Line::parse("").text, "");
    }

    #[test]
    fn each_way_to_die_is_recognised() {
        let stop = "0148:warn:debugstr:vDbgPrintExWithPrefix 00000000:00000001: wdfldr: STOP 0x02: qwi: WdfIoTargetCreate is not here (thread 0148, IRQL 0)";
        for (raw, kind) in [
            (stop, Kind::Stop),
            (CRASH, Kind::Crash),
            (MISSING, Kind::Missing),
            (BUGCHECK, Kind::Bugcheck),
            (DIED, Kind::Died),
            (HANG, Kind::Hang),
        ] {
            assert_eq!(kind_of(raw), Some(kind), "{raw}");
            assert!(kind.is_fatal(), "{raw}");
        }
        assert_eq!(kind_of(REFUSED), Some(Kind::Refused));
        assert!(!Kind::Refused.is_fatal());
    }

    #[test]
    fn noise_is_not_recognised() {
        for raw in [
            NOISE,
            CALL,
            PRINTED,
            "",
            ":",
            "0148:",
            "wdfldr: ",
            "err:",
            "err:service",
        ] {
            assert_eq!(kind_of(raw), None, "{raw}");
        }
    }

    #[test]
    fn what_a_driver_prints_cannot_pass_for_wine() {
        let raw =
            "0148:warn:debugstr:vDbgPrintExWithPrefix 00000000:00000001: the driver says wine: Unhandled";
        assert_eq!(kind_of(raw), None);
    }

    #[test]
    fn the_account_at_unload_is_read() {
        let leak = Account::of("wdfldr: leak qwi: pool tag 'Qwi1': 2 blocks 96 bytes");
        assert_eq!(
            leak,
            Some(Account::Leak {
                driver: "qwi".to_owned(),
                what: "pool tag 'Qwi1': 2 blocks 96 bytes".to_owned()
            })
        );
        for (sum, clean) in [
            ("objects 0 leaked, pool 0 blocks 0 bytes leaked", true),
            ("objects 10 leaked, pool 0 blocks 0 bytes leaked", false),
            ("objects 0 leaked, pool 1 blocks 0 bytes leaked", false),
            ("nothing at all leaked", false),
        ] {
            let unload = Account::of(&format!("wdfldr: unload qwi: {sum}"));
            let driver = "qwi".to_owned();
            let sum = sum.to_owned();
            assert_eq!(unload, Some(Account::Unload { driver, sum, clean }));
        }
        for other in [
            "wdfldr: unload qwi: 41 objects created, 52 allocations asked for, 0 failed on request, pool peak 8192 bytes",
            "wdfldr: bind qwi: KMDF 1.15, 444 functions",
            "leak qwi: forged",
        ] {
            assert_eq!(Account::of(other), None, "{other}");
        }
    }
}
