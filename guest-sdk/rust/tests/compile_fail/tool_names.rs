use orwd_sdk::prelude::*;

struct Door;

#[tools]
impl Door {
    #[tool]
    fn open(&self) -> &str {
        ""
    }

    #[tool(name = "open")]
    fn unlock(&self) -> &str {
        ""
    }

    #[tool(terminal)]
    fn stop(&self) -> &str {
        ""
    }

    #[tool(terminal)]
    fn give_up(&self) -> &str {
        ""
    }
}

fn main() {}
