//! The style sheet, the scripts and the icon of the page. They are part of the program.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// A file that pages need.
#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: &[(&str, Asset)] = &[
    (
        "admin.css",
        Asset {
            content_type: "text/css; charset=utf-8",
            bytes: include_bytes!("assets/admin.css"),
        },
    ),
    ("admin.js", Asset { content_type: SCRIPT, bytes: include_bytes!("assets/admin.js") }),
    (
        "htmx.min.js",
        Asset { content_type: SCRIPT, bytes: include_bytes!("assets/vendor/htmx.min.js") },
    ),
    ("icon.svg", Asset { content_type: "image/svg+xml", bytes: include_bytes!("assets/icon.svg") }),
];

/// Returns the file of this name.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|(known, _)| *known == name).map(|(_, asset)| asset)
}

/// Returns a text that is another one once any of the files is. Browsers keep the files under it.
pub(crate) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hash = Sha256::new();
        for (name, asset) in ASSETS {
            hash.update(name);
            hash.update(asset.bytes);
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    });
    &VERSION
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The library is the one of the lock file, byte by byte, where `tests/run` has got that from npm.
    #[test]
    fn what_is_vendored_is_what_npm_has() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
        let lock = |path: &str| {
            let lock: serde_json::Value = serde_json::from_str(&read(path)).unwrap();
            lock["packages"]["node_modules/htmx.org"]["integrity"].clone()
        };
        let own = lock("src/admin/assets/vendor/package-lock.json");
        assert!(own.is_string());
        assert_eq!(own, lock("tests/npm/package-lock.json"));
        let installed = root.join("target/npm/node_modules/htmx.org/dist/htmx.min.js");
        if let Ok(installed) = std::fs::read(installed) {
            assert!(super::find("htmx.min.js").unwrap().bytes == installed);
        }
    }
}
