//! Tests of the whole overlay: layers, limits, paths, publishing, and sequences
//! of operations checked against a reference model.

mod held;
mod layers;
mod limits;
mod model;
mod observed;
mod paths;
mod publishing;

use crate::error::{ErrorCode, Result};
use crate::handle::Handle;
use crate::listing::DirectoryReader;
use crate::storage::quota::FileLimits;
use crate::testing::fixture::*;
use crate::upper::location::Location;
use crate::upper::node::{Body, Entry, Origin};
use crate::upper::ops::OpenOptions;
