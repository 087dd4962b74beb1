//! What `--version` prints.

use bitwren::internals::version::NAME_AND_VERSION;

/// Version, features and the SHA-1 that is used here.
pub fn text() -> String {
    let features: Vec<&str> =
        [("https", cfg!(feature = "https")), ("fast-sha1", cfg!(feature = "fast-sha1"))]
            .into_iter()
            .filter_map(|(name, on)| on.then_some(name))
            .collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    format!("{NAME_AND_VERSION}\nfeatures: {features}\nSHA-1: {}\n", sha1())
}

fn sha1() -> &'static str {
    match (cfg!(feature = "fast-sha1"), has_instructions()) {
        (false, _) => "sha1_smol, portable",
        (true, true) => "RustCrypto sha1, with the processor's instructions",
        (true, false) => "RustCrypto sha1, in software",
    }
}

fn has_instructions() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("sha");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}
