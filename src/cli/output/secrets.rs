//! Masks passwords and keys in what is printed.
//!
//! Lines about a run, errors and warnings go through [`masked`]. What a command is asked for, such as the
//! trackers that `show` lists, does not. `--show-secrets` turns masking off for the whole program.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

static SHOWN: AtomicBool = AtomicBool::new(false);

/// From now on secrets are printed.
pub fn show() {
    SHOWN.store(true, Ordering::Relaxed);
}

/// The text with the secrets of all URLs in it masked.
pub fn masked(text: &str) -> Cow<'_, str> {
    if SHOWN.load(Ordering::Relaxed) || !text.contains("://") {
        return Cow::Borrowed(text);
    }
    Cow::Owned(bitwren::mask_secrets(text))
}
