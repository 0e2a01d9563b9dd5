//! `cargo xtask setup`.
use crate::{Context, kits, toolchain::Kit};
use anyhow::Result;
pub(crate) fn run(context: &Context) -> Result<()> {
    kits::assemble(context, &Kit::require()?).map(|_| ())
}
