//! The one place that asks what time it is: moments made from the monotonic clock.

use std::time::Instant;

use crate::moment::Moment;

/// A clock; copies tell the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Clock { start: Instant::now() }
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Moment {
        Moment::START + self.start.elapsed()
    }
}
