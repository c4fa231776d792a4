//! A shutdown and those who wait for an answer meanwhile: each gets one (Q11).

use std::time::Duration;

use actiond_actors::testing::Gate;
use actiond_actors::{OnRestart, State};

use crate::common::{Home, NEVER, SOON, at_gate, graceless, submit};

/// Those who wait learn how their actions stand after what ran was interrupted and that was recorded.
#[tokio::test]
async fn who_waits_is_answered_before_the_store_is_closed() {
    for (on_restart, ran) in [(OnRestart::Requeue, State::Queued), (OnRestart::Fail, State::Error)]
    {
        for in_a_hurry in [false, true] {
            let gate = Gate::new();
            let home = Home::new(graceless(1), &at_gate(&gate).on_restart(on_restart)).await;
            let runs = submit(&home.work, "wait").await;
            let waits = submit(&home.work, "").await;
            gate.until_waiting(1).await;
            let shutdown = async {
                if in_a_hurry {
                    home.system.shutdown_now().await;
                } else {
                    home.system.shutdown(Duration::ZERO).await;
                }
            };
            // Both wait before the shutdown begins: these are polled in their order.
            let all = async {
                tokio::join!(home.work.wait(runs, NEVER), home.work.wait(waits, NEVER), shutdown)
            };
            let all = tokio::time::timeout(SOON, all).await;
            let (first, second, ()) = all.expect("all who wait are answered, and the system ends");
            let states = [first, second].map(|status| status.unwrap().record.state);
            assert_eq!(states, [ran, State::Queued], "{in_a_hurry}");
        }
    }
}
