//! A key that keeps nothing: the models are of tasks that are not persistent.

use crate::NtStatus;

#[expect(clippy::unnecessary_wraps, reason = "the seam's signature")]
pub(crate) fn query(_: &[u16]) -> Result<Option<u32>, NtStatus> {
    Ok(None)
}

#[expect(clippy::unnecessary_wraps, reason = "the seam's signature")]
pub(crate) fn assign(_: &[u16], _: u32) -> Result<(), NtStatus> {
    Ok(())
}
