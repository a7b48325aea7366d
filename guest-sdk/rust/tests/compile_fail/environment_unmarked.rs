use orwd_sdk::prelude::*;

struct Door;

impl Environment for Door {
    type Task = Json;
    fn splits() -> Vec<Split> {
        vec![Split::named("train")]
    }
    fn tasks(_split: &str) -> Result<Vec<Json>> {
        Ok(vec![])
    }
    fn open(_task: Json, _session: &SessionParams) -> Result<Self> {
        Ok(Door)
    }
    fn prompt(&mut self) -> Result<Vec<Block>> {
        Ok(vec![])
    }
}

#[tools]
impl Door {
    #[tool]
    fn knock(&self) -> &str {
        "who is there?"
    }
}

fn main() {}
