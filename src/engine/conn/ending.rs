//! Ends a connection, and maps errors of reading and writing to disconnect reasons.

use std::io;

use crate::transport::Closer;
use crate::violation::DisconnectReason;
use crate::wire::frame::ReadError;

/// Ends a connection, with a reset if the peer violated the protocol or does not read.
pub(crate) fn part(closer: &Closer, why: DisconnectReason) {
    match why {
        DisconnectReason::Violation(_) | DisconnectReason::Silent => closer.hang_up(),
        _ => closer.close(),
    }
}

/// The disconnect reason for an error of writing: the peer reads nothing, or the connection is broken.
pub(crate) fn broken(error: &io::Error) -> DisconnectReason {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => DisconnectReason::Silent,
        _ => DisconnectReason::Lost,
    }
}

/// The disconnect reason for an error of reading.
pub(crate) fn of_read(error: &ReadError) -> DisconnectReason {
    match error {
        ReadError::Violation(violation) => DisconnectReason::Violation(*violation),
        ReadError::Io(_) | ReadError::Closed => DisconnectReason::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_not_told_as_silence() {
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::NotConnected] {
            assert_eq!(broken(&kind.into()), DisconnectReason::Lost, "{kind}");
        }
        for kind in [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut] {
            assert_eq!(broken(&kind.into()), DisconnectReason::Silent, "{kind}");
        }
    }
}
