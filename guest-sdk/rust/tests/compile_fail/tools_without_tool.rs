use orwd_sdk::prelude::*;

struct Door;

#[tools]
impl Door {
    fn knock(&self) -> &str {
        "who is there?"
    }
}

#[tools(bells)]
impl Door {
    #[tool]
    fn ring(&self) -> &str {
        "who is there?"
    }
}

fn main() {}
