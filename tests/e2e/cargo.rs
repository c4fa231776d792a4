//! Builds within tests, of this package and of its neighbours.

use std::process::Command;

/// Takes away what tells a test of its own package: the build script of ring asks for that, and all that stands on ring would be
/// compiled anew, here and again by whoever builds next.
pub(crate) fn forget_package(cargo: &mut Command) {
    let is_of_package = |name: &std::ffi::OsString| {
        name == "OUT_DIR"
            || name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_")
            })
    };
    for name in std::env::vars_os().map(|(name, _)| name).filter(is_of_package) {
        cargo.env_remove(name);
    }
}
