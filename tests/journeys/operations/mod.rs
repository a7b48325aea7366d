//! Logs, metrics, hardening and shutdown.

mod hardening;
mod logs;
mod metrics;
mod shutdown;
