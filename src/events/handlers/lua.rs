//! `LibraryName=LuaHandler`: calls the function `handler(request, xml)` of a Lua script for each event.
//!
//! Each event has a Lua state of its own, so that nothing but a file that a script may write remembers anything. Memory is bounded by
//! the allocator of the state; time by a hook that looks at the clock every few thousand instructions. Once the time is over the hook
//! runs at every instruction, so that a `pcall` catches no more than one of its errors. A function of Lua's own library that takes
//! long, such as a search by a bad pattern, can't be ended: the event counts as failed, and the thread is taken until it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actiond_actors::{Parameters, QueueError, Value};
use futures_util::future::BoxFuture;
use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, Lua, LuaOptions, StdLib, Table, Variadic, VmState};
use tokio::sync::Semaphore;

use super::message::{DocumentForm, Documents};
use crate::aci::words::shorten;
use actiond_actors::outbox::{Deliver, OutboxEvent, Undelivered};
use actiond_actors::store::About;

/// Number of instructions after which the hook looks at the clock.
const LOOK_EVERY: u32 = 2_000;

/// Time beyond that of the script for which its thread is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// The name of the function that a script defines.
const FUNCTION: &str = "handler";

/// Functions of Lua's base library that reach files or run code that nobody has read.
const UNSAFE: [&str; 4] = ["dofile", "loadfile", "load", "collectgarbage"];

/// The settings of a handler that calls a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LuaSettings {
    /// `LuaScript`.
    pub path: PathBuf,
    /// The text of that file, as it was read at the start.
    pub script: String,
    /// `AllowUnsafe`: true if the script may reach files and the system.
    pub allow_unsafe: bool,
    /// `MaxMemoryKBs`, in bytes.
    pub max_memory: usize,
    /// `TimeoutSecs`.
    pub timeout: Duration,
    /// The largest number of scripts that run at a time.
    pub at_once: usize,
}

impl LuaSettings {
    /// Checks the script: its syntax, and that it has the function. A script that can reach nothing is run for that, without an event;
    /// of one that may do anything no more is known than whether it says the name.
    ///
    /// # Errors
    ///
    /// The place of the mistake and what it is.
    pub fn check(&self) -> Result<(), String> {
        let check = || -> mlua::Result<()> {
            let lua = self.state()?;
            let chunk = self.chunk(&lua)?;
            if !self.allow_unsafe {
                lua.set_memory_limit(self.max_memory)?;
                self.limit_time(&lua)?;
                lua.globals().set("print", lua.create_function(|_, ()| Ok(()))?)?;
                chunk.call::<()>(())?;
                return function(&lua).map(drop);
            }
            self.script.contains(FUNCTION).then_some(()).ok_or_else(no_function)
        };
        check().map_err(|error| text(&error))
    }

    /// Makes a state with the libraries that the script may use.
    fn state(&self) -> mlua::Result<Lua> {
        let plain = StdLib::STRING | StdLib::TABLE | StdLib::MATH | StdLib::UTF8;
        let libraries = if self.allow_unsafe { StdLib::ALL_SAFE } else { plain };
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        if !self.allow_unsafe {
            for name in UNSAFE {
                lua.globals().set(name, mlua::Nil)?;
            }
        } else if let Ok(os) = lua.globals().get::<Table>("os") {
            // It would end the server.
            os.set("exit", mlua::Nil)?;
        }
        Ok(lua)
    }

    fn chunk(&self, lua: &Lua) -> mlua::Result<Function> {
        // Lua shows what is behind the sign as the name of the file.
        let name = format!("@{}", self.path.display());
        lua.load(&*self.script).set_name(name).set_mode(ChunkMode::Text).into_function()
    }

    /// Runs the script for one event.
    fn run(&self, handler: &str, request: &Parameters, xml: &[u8]) -> mlua::Result<()> {
        let lua = self.state()?;
        lua.set_memory_limit(self.max_memory)?;
        self.limit_time(&lua)?;
        let handler = handler.to_owned();
        let print = lua.create_function(move |lua, values: Variadic<mlua::Value>| {
            let texts: Vec<_> = values.into_iter().map(|value| shown(lua, value)).collect();
            let text = actiond_actors::OneLine(&texts.join("\t")).to_string();
            log::info!("handler {handler}: {}", shorten(&text));
            Ok(())
        })?;
        lua.globals().set("print", print)?;
        self.chunk(&lua)?.call::<()>(())?;
        let function = function(&lua)?;
        let table = self.request(&lua, request)?;
        // What it returns counts for nothing.
        function.call::<()>((table, lua.create_string(xml)?))
    }

    fn request(&self, lua: &Lua, request: &Parameters) -> mlua::Result<Table> {
        let table = lua.create_table()?;
        for (name, value) in request.iter() {
            let bytes = match value {
                Value::Text(text) => text.as_bytes(),
                Value::Bytes(bytes) => bytes,
            };
            table.raw_set(name, lua.create_string(bytes)?)?;
        }
        Ok(table)
    }

    fn limit_time(&self, lua: &Lua) -> mlua::Result<()> {
        let (until, timeout) = (Instant::now() + self.timeout, self.timeout);
        let over = move || mlua::Error::runtime(too_long(timeout));
        let triggers = HookTriggers::new().every_nth_instruction(LOOK_EVERY);
        // A global one holds for coroutines, too.
        lua.set_global_hook(triggers, move |lua, _| {
            if Instant::now() < until {
                return Ok(VmState::Continue);
            }
            lua.set_global_hook(HookTriggers::new().every_nth_instruction(1), move |_, _| {
                Err(over())
            })?;
            Err(over())
        })
    }
}

/// Returns the function that a script has defined.
fn function(lua: &Lua) -> mlua::Result<Function> {
    match lua.globals().get(FUNCTION)? {
        mlua::Value::Function(function) => Ok(function),
        _ => Err(no_function()),
    }
}

fn no_function() -> mlua::Error {
    mlua::Error::runtime("the script defines no function handler(request, xml)")
}

fn too_long(timeout: Duration) -> String {
    format!("the script took longer than TimeoutSecs={}", timeout.as_secs())
}

/// Returns a value as `print` shows it; one that has no text, by its type.
fn shown(lua: &Lua, value: mlua::Value) -> String {
    let kind = value.type_name();
    match lua.coerce_string(value.clone()) {
        Ok(Some(text)) => text.to_string_lossy(),
        _ => match value {
            mlua::Value::Boolean(is) => is.to_string(),
            _ => kind.to_owned(),
        },
    }
}

/// Returns the text of an error: of one in a script its place and what it is, without the way there.
fn text(error: &mlua::Error) -> String {
    let whole = match error {
        mlua::Error::CallbackError { cause, .. } => return text(cause),
        mlua::Error::RuntimeError(text) => text.clone(),
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        mlua::Error::MemoryError(_) => "the script took more memory than MaxMemoryKBs".to_owned(),
        other => other.to_string(),
    };
    let first = whole.split("\nstack traceback:").next().unwrap_or_default();
    actiond_actors::OneLine(first.trim()).to_string()
}

/// Reads the parameters of an action for the script.
pub trait Requests: Send + Sync + 'static {
    /// Returns the parameters of the action that an event is about; none if they are not kept any more, or are too large.
    fn request<'e>(
        &'e self,
        event: &'e OutboxEvent,
    ) -> BoxFuture<'e, Result<Parameters, QueueError>>;
}

/// Calls a script for each event.
pub struct LuaHandler {
    name: String,
    settings: Arc<LuaSettings>,
    documents: Arc<dyn Documents>,
    requests: Arc<dyn Requests>,
    /// One that can't be ended keeps its place.
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for LuaHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LuaHandler").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl LuaHandler {
    /// Makes the handler of this name.
    #[must_use]
    pub fn new(
        name: &str,
        settings: LuaSettings,
        documents: Arc<dyn Documents>,
        requests: Arc<dyn Requests>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(settings.at_once));
        let name = name.to_owned();
        Self { name, settings: Arc::new(settings), documents, requests, places }
    }
}

impl Deliver for LuaHandler {
    fn deliver(&self, event: Arc<OutboxEvent>) -> BoxFuture<'static, Result<(), Undelivered>> {
        let (settings, places) = (Arc::clone(&self.settings), Arc::clone(&self.places));
        let (documents, requests) = (Arc::clone(&self.documents), Arc::clone(&self.requests));
        let name = self.name.clone();
        Box::pin(async move {
            let Ok(place) = places.try_acquire_owned() else {
                return Err(Undelivered::for_now(
                    "as many scripts as may run at a time have not ended in their time",
                ));
            };
            let request = match &event.about {
                About::Action(_) => requests.request(&event).await.map_err(|error| {
                    Undelivered::for_now(format!("the parameters can't be read: {error}"))
                })?,
                About::Queue(_) => Parameters::default(),
            };
            let patience = settings.timeout + PATIENCE;
            let timeout = settings.timeout;
            let running = tokio::task::spawn_blocking(move || {
                let _place = place;
                let xml = documents.document(&event, DocumentForm::Xml);
                settings.run(&name, &request, &xml).map_err(|error| text(&error))
            });
            match tokio::time::timeout(patience, running).await {
                Ok(Ok(ran)) => ran.map_err(Undelivered::for_now),
                Ok(Err(_)) => Err(Undelivered::for_now("the script could not be run to its end")),
                Err(_) => Err(Undelivered::for_now(too_long(timeout))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Plain, event};
    use super::*;

    struct Asked;

    impl Requests for Asked {
        fn request<'e>(
            &'e self,
            _: &'e OutboxEvent,
        ) -> BoxFuture<'e, Result<Parameters, QueueError>> {
            let given = [("Name", Value::from("Ada")), ("File", Value::Bytes(vec![0, 255]))];
            Box::pin(async { Ok(Parameters::from_iter(given)) })
        }
    }

    fn settings(script: &str) -> LuaSettings {
        LuaSettings {
            path: "events.lua".into(),
            script: script.to_owned(),
            allow_unsafe: false,
            max_memory: 4 << 20,
            timeout: Duration::from_millis(100),
            at_once: 1,
        }
    }

    async fn run_with(settings: LuaSettings) -> Result<(), Undelivered> {
        let handler = LuaHandler::new("Script", settings, Arc::new(Plain), Arc::new(Asked));
        handler.deliver(event(7)).await
    }

    async fn run(body: &str) -> Result<(), String> {
        let script = format!("function handler(request, xml)\n{body}\nend");
        run_with(settings(&script)).await.map_err(|failed| failed.error)
    }

    #[tokio::test]
    async fn a_script_gets_the_request_and_the_document() {
        let body = "assert(xml == '<event>7</event>', xml)
            assert(request.Name == 'Ada' and request.File == '\\0\\255' and request.Other == nil)
            assert(string.format('%d', math.max(1, 2)) == '2' and #table.concat({'a', 'b'}) == 2)
            print('told', 1, true, {})
            return false";
        assert_eq!(run(body).await, Ok(()));
    }

    #[tokio::test]
    async fn an_error_of_the_script_is_told_with_its_place() {
        for (body, words) in [
            ("error('no luck')", "events.lua:2: no luck"),
            ("local a = nil; return a.b", "events.lua:2: attempt to index a nil value (local 'a')"),
            ("error({})", ""),
        ] {
            let error = run(body).await.unwrap_err();
            assert!(error.contains(words) && !error.contains('\n'), "{error}");
        }
        let none = run_with(settings("x = 1")).await.unwrap_err();
        assert!(none.error.contains("defines no function handler") && none.may_retry, "{none:?}");
    }

    #[tokio::test]
    async fn nothing_of_the_system_can_be_reached() {
        for name in [
            "io",
            "os",
            "package",
            "debug",
            "coroutine",
            "require",
            "load",
            "loadstring",
            "dofile",
            "loadfile",
        ] {
            assert_eq!(run(&format!("assert({name} == nil)")).await, Ok(()), "{name}");
        }
        let all = "function handler() assert(io.open and os.time and load and package and not os.exit) end";
        let unsafe_ = LuaSettings { allow_unsafe: true, ..settings(all) };
        assert_eq!(run_with(unsafe_).await, Ok(()));
        let binary = LuaSettings { script: "\u{1b}Lua".to_owned(), ..settings("") };
        assert!(binary.check().unwrap_err().contains("binary chunk"));
    }

    #[tokio::test]
    async fn time_and_memory_are_bounded_whatever_a_script_catches() {
        let long = "the script took longer than TimeoutSecs";
        for (body, words) in [
            ("while true do end", long),
            ("while true do pcall(function() while true do end end) end", long),
            ("local function f() pcall(f); f() end f()", ""),
            ("while true do pcall(error) end", long),
            (
                "local t = setmetatable({}, {__index = function() while true do end end}); return t.x",
                long,
            ),
            ("local s = ''; for i = 1, 1e9 do s = s .. 'xxxxxxxxxxxxxxxxxxxxxxxxxxx' end", ""),
            ("local t = {}; for i = 1, 1e9 do t[i] = {} end", "more memory than MaxMemoryKBs"),
            ("return string.rep('x', 1e9)", "more memory than MaxMemoryKBs"),
            (
                "local t = {}; while true do pcall(function() for i = 1, 1e9 do t[#t + 1] = {} end end) end",
                "",
            ),
        ] {
            let error = run(body).await.unwrap_err();
            assert!(error.contains(words), "{body}: {error}");
        }
    }

    #[tokio::test]
    async fn a_search_that_takes_long_is_not_waited_for() {
        let search = "local found = string.find(string.rep('a', 17), string.rep('a?', 17) .. string.rep('a', 17) .. 'b'); for i = 1, 1e5 do end";
        let script = format!("function handler()\n{search}\nend");
        let settings = LuaSettings { timeout: Duration::from_millis(1), ..settings(&script) };
        let error = run_with(settings).await.unwrap_err().error;
        assert!(error.contains("longer than"), "{error}");
    }

    #[tokio::test]
    async fn a_script_that_can_not_be_ended_keeps_its_place() {
        let settings = settings("function handler() end");
        let handler = LuaHandler::new("Script", settings, Arc::new(Plain), Arc::new(Asked));
        let place = Arc::clone(&handler.places).try_acquire_owned().unwrap();
        let failed = handler.deliver(event(1)).await.unwrap_err();
        assert!(failed.may_retry && failed.error.contains("as many scripts"), "{failed:?}");
        drop(place);
        assert_eq!(handler.deliver(event(1)).await, Ok(()));
    }

    #[test]
    fn syntax_is_checked_before_anything_runs() {
        let error = settings("function handler(").check().unwrap_err();
        assert!(error.starts_with("events.lua:1: "), "{error}");
        let script = settings("error('at once, without handler')");
        assert_eq!(script.check(), Err("events.lua:1: at once, without handler".to_owned()));
        assert_eq!(LuaSettings { allow_unsafe: true, ..script }.check(), Ok(()), "it is not run");
    }
}
