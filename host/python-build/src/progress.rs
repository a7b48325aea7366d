//! Progress of a build.

/// Reports progress of a build from Python to a person.
pub type PythonProgress<'a> = &'a dyn Fn(&str);
