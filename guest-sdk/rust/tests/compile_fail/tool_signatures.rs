use orwd_sdk::prelude::*;

struct Door;

#[derive(Deserialize, JsonSchema)]
struct Knock {
    times: u8,
}

#[tools]
impl Door {
    #[tool]
    fn without_self(input: Knock) -> String {
        input.times.to_string()
    }

    #[tool]
    fn takes_the_episode_away(self) -> &'static str {
        "gone"
    }

    #[tool]
    fn two_arguments(&mut self, one: Knock, other: Knock) -> String {
        (one.times + other.times).to_string()
    }

    #[tool]
    fn gives_nothing(&mut self) {}

    #[tool]
    async fn is_async(&mut self) -> &str {
        "later"
    }

    #[tool]
    fn is_generic<T: ToString>(&mut self, input: T) -> String {
        input.to_string()
    }
}

fn main() {}
