//! Gives memory back to the system that is not used any more.
//!
//! The program's allocator, mimalloc, keeps what was freed for a second, and looks at it only while it is asked for more:
//! a server that has had a storm and then little to do would keep all that the storm had taken. It looks as well when a
//! thread ends. So one ends now and then.

use std::time::Duration;

/// How often: freed memory is back twice that long after it was freed.
const EVERY: Duration = Duration::from_secs(2);

/// Gives back what is free, again and again, until it is dropped.
pub(super) async fn give_back() {
    loop {
        actix_web::rt::time::sleep(EVERY).await;
        // Its own name and stack are enough for the allocator to know it.
        let thread = std::thread::Builder::new().name("actiond-memory".to_owned());
        if let Err(error) = thread.stack_size(64 << 10).spawn(|| {}) {
            log::debug!("no memory is given back now: {error}");
        }
    }
}
