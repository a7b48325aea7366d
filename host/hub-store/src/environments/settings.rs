//! The scaling settings of an environment.

use crate::error::HubStoreError;

/// The pairs of CPUs and gigabytes that can be chosen.
const SIZES: [(&str, f64, f64); 12] = [
    ("0.5-0.5", 0.5, 0.5),
    ("1-1", 1.0, 1.0),
    ("2-2", 2.0, 2.0),
    ("4-4", 4.0, 4.0),
    ("0.5-1", 0.5, 1.0),
    ("1-2", 1.0, 2.0),
    ("2-4", 2.0, 4.0),
    ("4-8", 4.0, 8.0),
    ("0.5-2", 0.5, 2.0),
    ("1-4", 1.0, 4.0),
    ("2-8", 2.0, 8.0),
    ("4-16", 4.0, 16.0),
];

/// The CPUs and the memory of an instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ComputeSize {
    /// CPUs.
    pub cpu_count: f64,
    /// Memory in GiB.
    pub mem_gb: f64,
}

/// The scaling settings of an environment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScalingSettings {
    /// The size of an instance.
    pub size: ComputeSize,
    /// Instances that stay loaded.
    pub min_scale: i64,
    /// Instances at most; 0 pauses the environment.
    pub max_scale: i64,
    /// Sessions of an instance.
    pub max_concurrency: i64,
}

impl Default for ScalingSettings {
    fn default() -> ScalingSettings {
        ScalingSettings {
            size: ComputeSize {
                cpu_count: 1.0,
                mem_gb: 4.0,
            },
            min_scale: 0,
            max_scale: 10,
            max_concurrency: 500,
        }
    }
}

impl ScalingSettings {
    /// Returns how many sessions may be open at once.
    pub fn max_sessions(&self) -> i64 {
        self.max_scale.saturating_mul(self.max_concurrency)
    }
}

/// A change of some of the settings.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScalingChange {
    /// CPUs and gigabytes, such as `1-4`.
    pub cpu_memory: Option<String>,
    /// Instances that stay loaded.
    pub min_scale: Option<i64>,
    /// Instances at most.
    pub max_scale: Option<i64>,
    /// Sessions of an instance.
    pub concurrency: Option<i64>,
}

impl ScalingChange {
    /// Applies the change, or says which value is out of its range.
    pub fn apply(&self, settings: &mut ScalingSettings) -> Result<(), HubStoreError> {
        if let Some(text) = &self.cpu_memory {
            let size = SIZES.iter().find(|(name, ..)| name == text);
            let Some((_, cpu_count, mem_gb)) = size else {
                let known: Vec<&str> = SIZES.iter().map(|(name, ..)| *name).collect();
                return Err(HubStoreError::Invalid(format!(
                    "cpuMemory {text:?} is not one of {}",
                    known.join(", ")
                )));
            };
            settings.size = ComputeSize {
                cpu_count: *cpu_count,
                mem_gb: *mem_gb,
            };
        }
        let ranges = [
            ("minScale", self.min_scale, 0, 100, &mut settings.min_scale),
            ("maxScale", self.max_scale, 0, 100, &mut settings.max_scale),
            (
                "concurrency",
                self.concurrency,
                1,
                10_000,
                &mut settings.max_concurrency,
            ),
        ];
        for (name, value, least, most, setting) in ranges {
            let Some(value) = value else { continue };
            if !(least..=most).contains(&value) {
                return Err(HubStoreError::Invalid(format!(
                    "{name} is {value}; it must be {least} to {most}"
                )));
            }
            *setting = value;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_its_values_and_keeps_the_others() {
        let mut settings = ScalingSettings::default();
        let change = ScalingChange {
            cpu_memory: Some("2-4".to_owned()),
            max_scale: Some(0),
            ..ScalingChange::default()
        };
        change.apply(&mut settings).unwrap();
        assert_eq!((settings.size.cpu_count, settings.size.mem_gb), (2.0, 4.0));
        assert_eq!((settings.max_scale, settings.max_concurrency), (0, 500));
        assert_eq!(settings.max_sessions(), 0);
        for (change, part) in [
            (
                ScalingChange {
                    max_scale: Some(101),
                    ..ScalingChange::default()
                },
                "maxScale is 101",
            ),
            (
                ScalingChange {
                    concurrency: Some(0),
                    ..ScalingChange::default()
                },
                "1 to 10000",
            ),
            (
                ScalingChange {
                    cpu_memory: Some("3-3".to_owned()),
                    ..ScalingChange::default()
                },
                "1-4",
            ),
        ] {
            let error = change.apply(&mut settings).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
