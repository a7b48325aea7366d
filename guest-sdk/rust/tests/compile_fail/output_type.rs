use orwd_sdk::prelude::*;

struct Door;

#[tools]
impl Door {
    #[tool]
    fn knock(&self) -> u32 {
        3
    }

    #[tool]
    fn open(&self) -> Result<u32> {
        Ok(3)
    }
}

fn main() {}
