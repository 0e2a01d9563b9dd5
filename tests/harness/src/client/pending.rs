//! A verb on its way, and what is made of its completion.

use std::{marker::PhantomData, time::Duration};

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::name;
use crate::{
    Error, NtStatus,
    device::{Completion, Request},
};

/// A verb that was sent and not waited for. Dropping it cancels the request.
pub struct Pending<R> {
    request: Box<dyn Request>,
    code: u32,
    /// Seen, and not asked for yet.
    completion: Option<Completion>,
    reply: PhantomData<fn() -> R>,
}

impl<R: FromBytes + Immutable + KnownLayout> Pending<R> {
    pub(super) fn new(request: Box<dyn Request>, code: u32) -> Self {
        Self {
            request,
            code,
            completion: None,
            reply: PhantomData,
        }
    }

    /// Waits for the reply.
    ///
    /// # Errors
    /// As [`Client::version`](super::Client::version).
    pub fn wait(mut self, timeout: Duration) -> Result<R, Error> {
        let completion = match self.completion.take() {
            Some(completion) => completion,
            None => wait(&mut *self.request, self.code, timeout)?,
        };
        parse(name(self.code), &accepted(self.code, completion)?.output)
    }

    /// Waits for its end within `timeout`: its status if it came to one. A completion that came is kept for
    /// [`Pending::wait`].
    ///
    /// # Errors
    /// What kept it from being waited for.
    pub fn status(&mut self, timeout: Duration) -> Result<Option<NtStatus>, Error> {
        if self.completion.is_none() {
            self.completion = self.request.wait(timeout)?;
        }
        Ok(self.completion.as_ref().map(|completion| completion.status))
    }

    /// Waits for `timeout` to pass *without* a completion: `true` if the request is still pending then.
    ///
    /// # Errors
    /// What kept it from being waited for.
    pub fn is_waiting(&mut self, timeout: Duration) -> Result<bool, Error> {
        Ok(self.status(timeout)?.is_none())
    }

    /// Asks for the cancellation of the request; its completion is still to be waited for.
    ///
    /// # Errors
    /// What the system said.
    pub fn cancel(&self) -> Result<(), Error> {
        self.request.cancel()
    }
}

pub(super) fn wait(request: &mut dyn Request, code: u32, timeout: Duration) -> Result<Completion, Error> {
    request.wait(timeout)?.ok_or(Error::TimedOut {
        verb: name(code),
        after: timeout,
    })
}

pub(super) fn accepted(code: u32, completion: Completion) -> Result<Completion, Error> {
    if completion.status == NtStatus::SUCCESS {
        Ok(completion)
    } else {
        Err(Error::Refused {
            verb: name(code),
            status: completion.status,
        })
    }
}

pub(super) fn parse<R: FromBytes>(verb: &'static str, output: &[u8]) -> Result<R, Error> {
    R::read_from_bytes(output).map_err(|_| Error::BadReply {
        verb,
        expected: size_of::<R>(),
        got: output.len(),
    })
}
