//! Nothing: building this compiles libFuzzer on the way, and its archive is
//! what the fuzz targets link.
