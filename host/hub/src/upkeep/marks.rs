//! What was not needed when it was last looked at.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Things that are not needed, with the time since when. What is needed again is
/// forgotten, and after a restart the time begins again.
#[derive(Debug)]
pub(super) struct Marks<T>(HashMap<T, Instant>);

impl<T> Default for Marks<T> {
    fn default() -> Marks<T> {
        Marks(HashMap::new())
    }
}

impl<T: Eq + Hash + Clone> Marks<T> {
    /// Takes all things that are not needed now, and returns those that were not
    /// needed for this time.
    pub(super) fn unneeded_for(&mut self, time: Duration, now: Vec<T>) -> Vec<T> {
        let before = std::mem::take(&mut self.0);
        for thing in now {
            let since = before.get(&thing).copied();
            self.0.insert(thing, since.unwrap_or_else(Instant::now));
        }
        let due = self.0.iter().filter(|(_, since)| since.elapsed() >= time);
        due.map(|(thing, _)| thing.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_unneeded_for_the_time_is_due() {
        let mut marks = Marks::default();
        let time = Duration::from_millis(50);
        assert!(marks.unneeded_for(time, vec!["a", "b"]).is_empty());
        std::thread::sleep(time);
        assert_eq!(marks.unneeded_for(time, vec!["a", "c"]), ["a"]);
        // It was needed in between.
        assert!(marks.unneeded_for(time, vec!["b"]).is_empty());
    }
}
