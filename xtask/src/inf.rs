//! The INF: made from its `.inx`, read, and held to the rules that Windows has for it.

pub(crate) use self::{
    stamp::{EPOCH_VARIABLE, Version, civil, epoch, stamp},
    text::Inf,
    wine::for_wine,
};

pub(crate) mod lint;
mod stamp;
mod text;
mod wine;
