use orwd_sdk::prelude::*;

struct Door;

#[derive(Deserialize, JsonSchema)]
struct Answer {
    answer: String,
}

#[tools]
impl Door {
    #[tool(hidden)]
    fn unknown_word(&self) -> &str {
        ""
    }

    #[tool(unlisted, terminal)]
    fn contradiction(&self) -> &str {
        ""
    }

    #[tool(name = 3)]
    fn no_string(&self) -> &str {
        ""
    }

    #[tool(terminal)]
    fn which_field(&self, input: Answer) -> String {
        input.answer
    }

    #[tool(terminal = "answer")]
    fn no_field(&self) -> &str {
        ""
    }
}

fn main() {}
