//! Stopping host processes that are not in use.

use super::instances::IDLE;
use crate::http::state::Shared;

/// Stops the host processes that are not in use, while polled.
pub(crate) async fn stop_idle(state: Shared) {
    loop {
        tokio::time::sleep(IDLE / 10).await;
        state.instances.stop_unused().await;
    }
}
