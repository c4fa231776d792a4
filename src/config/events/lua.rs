//! `LibraryName=LuaHandler`.

use std::path::PathBuf;

use super::super::kind_reader::SectionReader;
use super::keys;
use crate::events::handlers::LuaSettings;

pub(super) fn read(own: &mut SectionReader<'_, '_>, at_once: usize) -> LuaSettings {
    let script = own.small_file(keys::LUA_SCRIPT);
    let max_kb = own.size(keys::MAX_MEMORY_KBS);
    let settings = LuaSettings {
        path: own.text(keys::LUA_SCRIPT).map(PathBuf::from).unwrap_or_default(),
        script: script.clone().unwrap_or_default(),
        allow_unsafe: own.boolean(keys::ALLOW_UNSAFE),
        max_memory: max_kb.saturating_mul(1_024),
        timeout: own.seconds(keys::LUA_TIMEOUT_SECS),
        at_once,
    };
    // What could not be read is told already.
    if let Some(mistake) = script.and_then(|_| settings.check().err()) {
        own.problem(keys::LUA_SCRIPT, format!("can't be used: {mistake}"));
    }
    settings
}
