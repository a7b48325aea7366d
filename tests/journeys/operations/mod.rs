//! Logs, hardening and shutdown.

mod hardening;
mod logs;
mod shutdown;
