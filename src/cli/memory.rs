//! Returns unused memory to the system.
//!
//! The program's allocator, mimalloc, keeps freed memory for a second, and looks at it only while it allocates: a server that
//! has had a burst and then little to do would keep all the memory of the burst. It also looks when a thread ends, so one
//! ends now and then.

use std::time::Duration;

/// Interval: freed memory is returned at most twice that long after it was freed.
const EVERY: Duration = Duration::from_secs(2);

/// Returns free memory again and again, until the future is dropped.
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
