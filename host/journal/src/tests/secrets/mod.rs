//! Episodes with secrets.

mod sealed_fields;
mod sealing;
