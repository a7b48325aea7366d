//! The tree as a whole: stories of layers and limits, a table of paths, and
//! sequences of operations held against a simple model.

mod layers;
mod limits;
mod model;
mod paths;
mod publishing;

use super::handle::Handle;
use super::ops::How;
use super::quota::Allowance;
use super::testing::*;
use super::walk::At;
use super::{Errno, Fs};
