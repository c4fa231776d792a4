//! A store of your own: actions in memory, shared by two systems as two servers would share a database.
//!
//! `cargo run -p actiond-actors --example memory_store`
//!
//! - `store`: the store itself, as `actiond_actors::store` asks for it;
//! - `data`: rows and owners; `change`: the changes of a batch to them;
//! - `listing`: pages of listings; `outbox`: events for handlers;
//! - `demo`: two servers that share it.
//!
//! It is written to be read, not to be fast, and passes the suite that every store must pass
//! (`tests/memory`).

mod change;
mod data;
mod demo;
mod listing;
mod outbox;
mod store;

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    demo::run().await
}
