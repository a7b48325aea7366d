//! Finds the strongly connected components of a small graph.

use std::collections::{BTreeMap, BTreeSet};

/// Returns each set of two or more nodes that reach each other.
pub(super) fn find(graph: &BTreeMap<usize, Vec<usize>>) -> Vec<BTreeSet<usize>> {
    // A crate has at most some hundred files, so the plain definition is fast
    // enough: two nodes belong together if each one reaches the other.
    let reached: BTreeMap<usize, BTreeSet<usize>> = graph
        .keys()
        .map(|node| (*node, reachable(graph, *node)))
        .collect();
    let mut found: Vec<BTreeSet<usize>> = Vec::new();
    for (node, ahead) in &reached {
        if !ahead.contains(node) || found.iter().any(|circle| circle.contains(node)) {
            continue;
        }
        let circle: BTreeSet<usize> = ahead
            .iter()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(node)))
            .copied()
            .collect();
        if circle.len() > 1 {
            found.push(circle);
        }
    }
    found
}

/// Returns the nodes that can be reached in one step or more.
fn reachable(graph: &BTreeMap<usize, Vec<usize>>, from: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        for next in graph.get(&node).into_iter().flatten() {
            if seen.insert(*next) {
                open.push(*next);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edges: &[(usize, usize)], expected: &[&[usize]]) {
        let mut graph: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from, to) in edges {
            graph.entry(*from).or_default().push(*to);
        }
        let expected: Vec<BTreeSet<usize>> = expected
            .iter()
            .map(|circle| circle.iter().copied().collect())
            .collect();
        assert_eq!(find(&graph), expected, "{edges:?}");
    }

    #[test]
    fn finds_what_reaches_itself() {
        check(&[], &[]);
        check(&[(1, 2), (2, 3), (1, 3)], &[]);
        check(&[(1, 1)], &[]);
        check(&[(1, 2), (2, 1), (2, 3)], &[&[1, 2]]);
        check(
            &[(1, 2), (2, 3), (3, 1), (0, 1), (5, 4), (4, 5)],
            &[&[1, 2, 3], &[4, 5]],
        );
    }
}
