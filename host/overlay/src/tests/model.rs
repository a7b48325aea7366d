//! Generated sequences of operations, checked against the model.

use proptest::prelude::*;

use crate::testing::model::{self, NAMES, Op};

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&NAMES[..]), 1..4).prop_map(|parts| parts.join("/"))
}

fn amount() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..300_usize,
        Just(65_536),
        65_000..66_000_usize,
        0..200_000_usize
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (path(), amount(), 1..70_000_usize).prop_map(|(p, at, n)| Op::Write(p, at, n)),
        2 => (path(), amount()).prop_map(|(p, size)| Op::SetSize(p, size)),
        1 => path().prop_map(Op::Truncate),
        2 => path().prop_map(Op::MakeDir),
        3 => path().prop_map(Op::Unlink),
        2 => path().prop_map(Op::RemoveDir),
        4 => (path(), path()).prop_map(|(p, q)| Op::Rename(p, q)),
        2 => (path(), path()).prop_map(|(p, q)| Op::Link(p, q)),
        2 => path().prop_map(Op::Hold),
        1 => Just(Op::LetGo),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_overlay_agrees_with_the_model(ops in prop::collection::vec(op(), 1..40)) {
        model::agree(&model::lower_fixture(), &ops);
    }

    #[test]
    fn limits_hold_in_any_sequence(ops in prop::collection::vec(op(), 1..60)) {
        model::stay_within(&model::lower_fixture(), &ops);
    }
}
