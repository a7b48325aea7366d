//! Macros for the two kinds of types that this workspace has many of.

/// Defines a fieldless enum whose variants have fixed names. The name is used
/// on the wire, in logs and in journal records.
macro_rules! named_enum {
    (
        $(#[$about:meta])* $type:ident;
        $($(#[$doc:meta])* $variant:ident = $name:literal,)+
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $type {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl $type {
            /// All variants.
            pub const ALL: &[$type] = &[$($type::$variant),+];

            /// Returns the name of the variant.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($type::$variant => $name,)+
                }
            }
        }
    };
}

/// Defines a type of a fixed number of bytes. It is written as lower-case
/// hexadecimal digits after a prefix, and as a byte string in journal records.
#[macro_export]
macro_rules! byte_array_type {
    ($(#[$about:meta])* $type:ident, $size:literal, $prefix:literal) => {
        $(#[$about])*
        #[derive(
            Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        pub struct $type(#[serde(with = "serde_bytes")] [u8; $size]);

        impl $type {
            /// Wraps the bytes.
            pub const fn from_bytes(bytes: [u8; $size]) -> $type {
                $type(bytes)
            }

            /// Returns the bytes.
            pub const fn as_bytes(&self) -> &[u8; $size] {
                &self.0
            }

            /// Returns the hexadecimal digits without the prefix.
            pub fn hex(&self) -> String {
                $crate::hex::encode(&self.0)
            }

            /// Parses hexadecimal digits without the prefix. Returns `None` for
            /// any other text, upper-case digits included.
            pub fn parse(text: &str) -> Option<$type> {
                $crate::hex::decode(text).map($type)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($prefix)?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}
