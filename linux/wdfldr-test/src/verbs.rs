//! What is not a test by itself: installing, removing, and what only the kernel log can judge.

use queued_work_item_harness::{NtStatus, windows::install};
use wdfldr_test_contract as contract;
use wdfldr_test_contract::Violation;

use crate::client::{self, Client, DRIVER, PATIENCE, Verdict};
use crate::sequence;

/// Does what the words say; `None` if they are no verb.
pub(crate) fn run(words: &[String]) -> Option<Verdict> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Some(match words.as_slice() {
        ["install"] => client::install(),
        ["uninstall"] => uninstall(),
        ["violations"] => {
            for violation in Violation::ALL {
                println!("{}", violation.name());
            }
            Ok(())
        }
        ["violate", name] => violate(name),
        ["leak"] => leak(),
        ["sequence"] => sequence::run(),
        _ => return None,
    })
}

fn uninstall() -> Verdict {
    install::uninstall(&DRIVER, PATIENCE)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Makes the driver break a rule. The driver must not survive it, so the request fails or never comes back; that it was
/// the runtime which ended the driver is in the kernel log.
fn violate(name: &str) -> Verdict {
    let violation = Violation::ALL.iter().find(|violation| violation.name() == name);
    let violation = *violation.ok_or_else(|| format!("no rule is called {name}"))?;
    let client = Client::open()?;
    // For whoever reads the kernel log.
    println!("culprit: {}", violation.culprit());
    let outcome = client.ask(contract::VIOLATE, &[0, violation as u32], 0);
    match outcome {
        Ok(completion) if completion.status == NtStatus::SUCCESS => {
            // A rule that is broken on the way out may stop the driver after its request is complete.
            match Client::open_present().and_then(|again| again.ask(contract::STATUS, &[0, 0], 0)) {
                Ok(completion) if completion.status == NtStatus::SUCCESS => {
                    Err(format!("the driver survived {name}"))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn leak() -> Verdict {
    let client = Client::open()?;
    client.expect(contract::LEAK, &[], 0, NtStatus::SUCCESS).map(drop)
}
