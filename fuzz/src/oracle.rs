//! What an answer may look like.

use queued_work_item_exerciser::testing::{Answered, STATUS_ACCESS_DENIED};
use queued_work_item_ioctl::{
    BENCHMARK, BatchReply, BenchmarkReply, CANCEL, CLOSE, CancelReply, CloseReply, ENQUEUE_AND_WAIT,
    ENQUEUE_BATCH, LogEntry, LogReply, READ_LOG, STATISTICS, STATUS_SUCCESS, STOP, STRESS, STRESS_PROGRESS,
    StatisticsReply, StopReply, StressReply, TASK_CANCEL, TASK_CLOSE, TASK_EXECUTE, TASK_READ_LOG,
    TASK_RESTART, TASK_STATISTICS, TaskDroppedReply, TaskExecuteReply, TaskLogEntry, TaskRestartReply,
    TaskStatisticsReply, VERSION, VersionReply, WaitReply, status_name,
};
use zerocopy::FromBytes;

/// What fresh pool, freed pool and the rest of a system buffer are filled with by the host's backend and the I/O manager
/// in memory.
const POISON: [u8; 3] = [0xA5, 0xDD, 0xCC];

/// Checks an answer to a request that had `room` bytes for its output.
///
/// `sent` is everything that this program sent: what it holds may come back. A driver that invents a poison word by
/// chance is not a matter of 32 bits: its own words are counts, times and numbers of threads.
///
/// # Panics
/// On an answer that the contract does not allow.
pub(crate) fn check(code: u32, room: usize, sent: &[u8], answered: &Answered) {
    let Answered { status, output } = answered;
    assert!(
        status_name(*status).is_some() || *status == STATUS_ACCESS_DENIED,
        "{status:#x} is no status of the contract"
    );
    assert!(
        output.len() <= room,
        "{} bytes of output where there was room for {room}",
        output.len()
    );
    if *status == STATUS_SUCCESS {
        let length = reply_length(code, output);
        assert_eq!(output.len(), length, "the output of {code:#x} has another length");
    } else {
        assert!(output.is_empty(), "{status:#x} with output");
    }
    for word in output.chunks_exact(4) {
        let poisoned = POISON.iter().any(|poison| word == [*poison; 4]);
        assert!(
            !poisoned || sent.windows(4).any(|known| known == word),
            "{word:x?} in the output of {code:#x} was never written"
        );
    }
}

/// The length that the contract gives the output of a success.
fn reply_length(code: u32, output: &[u8]) -> usize {
    match code {
        VERSION => size_of::<VersionReply>(),
        ENQUEUE_AND_WAIT => size_of::<WaitReply>(),
        CLOSE => size_of::<CloseReply>(),
        STATISTICS => size_of::<StatisticsReply>(),
        CANCEL => size_of::<CancelReply>(),
        STOP => size_of::<StopReply>(),
        STRESS | STRESS_PROGRESS => size_of::<StressReply>(),
        BENCHMARK => size_of::<BenchmarkReply>(),
        READ_LOG | TASK_READ_LOG => {
            let (head, _) = LogReply::read_from_prefix(output).expect("a log has a head");
            assert_eq!(head.reserved, 0);
            let entry = if code == READ_LOG {
                size_of::<LogEntry>()
            } else {
                size_of::<TaskLogEntry>()
            };
            size_of::<LogReply>() + head.count as usize * entry
        }
        TASK_CLOSE | TASK_CANCEL => size_of::<TaskDroppedReply>(),
        TASK_EXECUTE => size_of::<TaskExecuteReply>(),
        TASK_RESTART => size_of::<TaskRestartReply>(),
        TASK_STATISTICS => size_of::<TaskStatisticsReply>(),
        ENQUEUE_BATCH => {
            let (head, statuses) = BatchReply::read_from_prefix(output).expect("a batch's reply has a head");
            let accepted = statuses.chunks_exact(4).filter(|status| *status == [0; 4]);
            assert_eq!(accepted.count(), head.accepted as usize);
            size_of::<BatchReply>() + head.count as usize * size_of::<u32>()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use queued_work_item_ioctl::{ENQUEUE, STATUS_CANCELLED, STATUS_DEVICE_NOT_READY};
    use zerocopy::IntoBytes;

    use super::*;

    fn is_allowed(code: u32, room: usize, sent: &[u8], status: u32, output: &[u8]) -> bool {
        let answered = Answered {
            status,
            output: output.to_vec(),
        };
        let sent = sent.to_vec();
        catch_unwind(move || check(code, room, &sent, &answered)).is_ok()
    }

    #[test]
    fn what_the_contract_says_is_allowed() {
        assert!(is_allowed(ENQUEUE, 0, &[], STATUS_SUCCESS, &[]));
        assert!(is_allowed(CANCEL, 8, &[], STATUS_SUCCESS, &[0; 8]));
        assert!(is_allowed(CANCEL, 8, &[], STATUS_DEVICE_NOT_READY, &[]));
        assert!(is_allowed(CANCEL, 8, &[], STATUS_ACCESS_DENIED, &[]));
        let batch = BatchReply {
            accepted: 1,
            count: 2,
        };
        let reply = [batch.as_bytes(), &[0; 4], &[1; 4]].concat();
        assert!(is_allowed(ENQUEUE_BATCH, 64, &[], STATUS_SUCCESS, &reply));
    }

    #[test]
    fn what_it_does_not_say_is_not() {
        // A status of nobody's, output where there is none, too little, too much for the room, with an error.
        assert!(!is_allowed(ENQUEUE, 0, &[], 0xC000_0002, &[]));
        assert!(!is_allowed(ENQUEUE, 8, &[], STATUS_SUCCESS, &[0; 8]));
        assert!(!is_allowed(CANCEL, 8, &[], STATUS_SUCCESS, &[0; 4]));
        assert!(!is_allowed(CANCEL, 4, &[], STATUS_SUCCESS, &[0; 8]));
        assert!(!is_allowed(CANCEL, 8, &[], STATUS_CANCELLED, &[0; 8]));
        let batch = BatchReply {
            accepted: 2,
            count: 2,
        };
        let reply = [batch.as_bytes(), &[0; 4], &[1; 4]].concat();
        assert!(!is_allowed(ENQUEUE_BATCH, 64, &[], STATUS_SUCCESS, &reply));
    }

    #[test]
    fn what_was_never_written_does_not_pass() {
        for poison in POISON {
            let output = [0, 0, 0, 0, poison, poison, poison, poison];
            assert!(!is_allowed(CANCEL, 8, &[], STATUS_SUCCESS, &output));
            // Unless it was sent.
            assert!(is_allowed(CANCEL, 8, &[poison; 4], STATUS_SUCCESS, &output));
        }
    }
}
