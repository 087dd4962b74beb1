//! What all HTTP requests have in common: the settings of the agent that makes them, and its errors in our
//! words.

use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

use crate::error::{Error, ErrorKind};
use crate::version::PRODUCT;

/// How requests are made.
pub(super) fn settings() -> ConfigBuilder<AgentScope> {
    ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .user_agent(PRODUCT)
        .max_response_header_size(16 << 10)
        .input_buffer_size(16 << 10)
        .output_buffer_size(8 << 10)
        // Announces are half an hour apart: a connection kept would be a file descriptor wasted.
        .max_idle_connections(0)
}

/// An error in one line, without ureq's own terms if there are better ones.
pub(super) fn explain(error: ureq::Error) -> Error {
    use ureq::Error as Ureq;
    match error {
        Ureq::HostNotFound => Error::new(ErrorKind::Dns, "the host name has no address"),
        Ureq::Timeout(ureq::Timeout::Resolve) => {
            Error::new(ErrorKind::Timeout, "looking up the host took too long")
        }
        Ureq::Timeout(ureq::Timeout::PerRead) => {
            Error::new(ErrorKind::Timeout, "nothing was sent for too long")
        }
        Ureq::Timeout(_) => Error::new(ErrorKind::Timeout, "no whole answer in time"),
        Ureq::TooManyRedirects => Error::new(ErrorKind::Network, "too many redirects"),
        Ureq::BodyExceedsLimit(limit) => too_large(limit),
        Ureq::LargeResponseHeader(..) => Error::new(ErrorKind::Network, "the answer's headers are too large"),
        Ureq::BadUri(_) | Ureq::Http(_) => Error::new(ErrorKind::Argument, "malformed URL"),
        Ureq::TlsRequired if !cfg!(feature = "https") => {
            Error::new(ErrorKind::Argument, "https is not part of this build")
        }
        Ureq::Io(cause) => explain_io(cause),
        // A name that could not be looked up.
        Ureq::Other(ours) if ours.is::<Error>() => match ours.downcast::<Error>() {
            Ok(error) => *error,
            Err(other) => Error::new(ErrorKind::Network, one_line(&other.to_string())),
        },
        other => Error::new(ErrorKind::Network, one_line(&other.to_string())),
    }
}

/// The error for a body of more bytes than it may have.
pub(super) fn too_large(limit: u64) -> Error {
    Error::new(ErrorKind::Network, format!("the answer is larger than {limit} bytes"))
}

/// An I/O failure; errors of ureq travel inside of those that reading a body gives.
fn explain_io(cause: std::io::Error) -> Error {
    let kind = match cause.kind() {
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => ErrorKind::Timeout,
        _ => ErrorKind::Network,
    };
    if cause.get_ref().is_some_and(|inner| inner.is::<ureq::Error>()) {
        if let Some(Ok(inner)) = cause.into_inner().map(|inner| inner.downcast::<ureq::Error>()) {
            return explain(*inner);
        }
        return Error::new(kind, "the connection failed");
    }
    match cause.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Error::new(kind, "the connection was closed before the answer was whole")
        }
        _ => Error::new(kind, one_line(&cause.to_string())),
    }
}

/// A text of others as one line.
pub(super) fn one_line(text: &str) -> String {
    crate::tracker::clean_text(text.as_bytes())
}
