use orwd_sdk::prelude::*;

struct Door;

#[environment]
impl Environment for Door {
    type Task = Json;
    fn splits() -> Vec<Split> {
        vec![Split::named("train")]
    }
    fn num_tasks(_split: &str) -> Result<u64> {
        Ok(1)
    }
    fn open(_task: Json, _session: &SessionParams) -> Result<Self> {
        Ok(Door)
    }
}

#[tools]
impl Door {
    #[tool]
    fn knock(&self) -> &str {
        "who is there?"
    }
}

export!(Door);

fn main() {}
