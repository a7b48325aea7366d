use orwd_sdk::prelude::*;

struct Door;

#[derive(JsonSchema)]
struct Knock {
    times: u8,
}

#[tools]
impl Door {
    #[tool]
    fn knock(&self, input: Knock) -> String {
        input.times.to_string()
    }
}

fn main() {}
