//! The plot of the reward over the steps of a session.

use maud::{Markup, html};

use super::data::Step;
use crate::parts::reward;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 22.0;

/// Marks that are drawn one by one. Above it, only the line is.
const MAX_MARKS: usize = 200;

/// A call in the plot: its number, its record and the sum of the rewards so far.
struct Point {
    step: u64,
    record: u64,
    reward: Option<f64>,
    sum: f64,
}

/// Renders the sum of the rewards over the calls, as steps. Without a reward there
/// is nothing to show. `address` returns where the page shows a record.
pub(super) fn plot(steps: &[Step], address: impl Fn(u64) -> String) -> Markup {
    let mut sum = 0.0;
    let points: Vec<Point> = steps
        .iter()
        .filter_map(|step| {
            let number = step.step?;
            sum += step.reward.unwrap_or(0.0);
            Some(Point {
                step: number,
                record: step.record,
                reward: step.reward,
                sum,
            })
        })
        .collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return html! {};
    };
    if points.iter().all(|point| point.reward.is_none()) {
        return html! {};
    }
    let low = points.iter().fold(0.0_f64, |low, point| low.min(point.sum));
    let high = points
        .iter()
        .fold(0.0_f64, |high, point| high.max(point.sum));
    let height = if high > low { high - low } else { 1.0 };
    let width = (last.step - first.step).max(1) as f64;
    let x = |step: u64| LEFT + (step - first.step) as f64 / width * (WIDTH - LEFT - RIGHT);
    let y = |sum: f64| TOP + (low + height - sum) / height * (HEIGHT - TOP - BOTTOM);
    let mut line = format!("M{:.1} {:.1}", LEFT, y(0.0));
    for point in &points {
        line.push_str(&format!("H{:.1}V{:.1}", x(point.step), y(point.sum)));
    }
    line.push_str(&format!("H{:.1}", WIDTH - RIGHT));
    let summary = format!(
        "The sum of the rewards is {} after {} calls.",
        reward(last.sum),
        last.step
    );
    let marks: &[Point] = if points.len() > MAX_MARKS {
        &[]
    } else {
        &points
    };
    html! {
        figure {
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="group" aria-label=(summary) {
                line.axis x1=(LEFT) y1=(TOP) x2=(LEFT) y2=(HEIGHT - BOTTOM) {}
                line.zero x1=(LEFT) y1=(y(0.0)) x2=(WIDTH - RIGHT) y2=(y(0.0)) {}
                text x=(LEFT - 8.0) y=(y(low + height) + 4.0) text-anchor="end" { (reward(low + height)) }
                @if low < 0.0 || high <= low {
                    text x=(LEFT - 8.0) y=(y(low) + 4.0) text-anchor="end" { (reward(low)) }
                } @else {
                    text x=(LEFT - 8.0) y=(y(0.0) + 4.0) text-anchor="end" { "0" }
                }
                text x=(LEFT) y=(HEIGHT - 6.0) { "call " (first.step) }
                text x=(WIDTH - RIGHT) y=(HEIGHT - 6.0) text-anchor="end" { "call " (last.step) }
                path.line d=(line) {}
                @for point in marks { @if let Some(value) = point.reward {
                    a href=(address(point.record)) aria-label={ "Call " (point.step) ", reward " (reward(value)) } {
                        circle class=(if value < 0.0 { "dot bad" } else { "dot" })
                            cx={ (format!("{:.1}", x(point.step))) } cy={ (format!("{:.1}", y(point.sum))) } r="4.5" {
                            title { "Call " (point.step) ": " (reward(value)) }
                        }
                    }
                } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(rewards: &[Option<f64>]) -> Vec<Step> {
        (1..)
            .zip(rewards)
            .map(|(number, reward)| Step {
                record: number * 2,
                step: Some(number),
                reward: *reward,
                ..Step::default()
            })
            .collect()
    }

    fn drawn(rewards: &[Option<f64>]) -> String {
        plot(&steps(rewards), |record| format!("#r{record}")).into_string()
    }

    #[test]
    fn the_line_is_the_sum_of_the_rewards() {
        let svg = drawn(&[Some(1.0), None, Some(-3.0)]);
        assert!(
            svg.contains("The sum of the rewards is -2 after 3 calls."),
            "{svg}"
        );
        assert_eq!(svg.matches("<circle").count(), 2, "{svg}");
        assert!(
            svg.contains("href=\"#r6\"") && svg.contains("dot bad"),
            "{svg}"
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn without_rewards_there_is_no_plot() {
        assert_eq!(drawn(&[]), "");
        assert_eq!(drawn(&[None, None]), "");
    }

    #[test]
    fn one_reward_of_zero_is_a_plot() {
        let svg = drawn(&[Some(0.0)]);
        assert!(svg.contains("<circle") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn many_calls_are_a_line_alone() {
        let svg = drawn(&vec![Some(1.0); 5000]);
        assert!(!svg.contains("<circle") && svg.contains("<path"), "a line");
    }
}
