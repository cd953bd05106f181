//! What rounds of a measure gave.

use std::time::Duration;

/// Operations, rows and times of one side of a measure, over all its rounds.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) rows: u64,
    pub(super) seconds: f64,
    /// Microseconds of each operation, in no order; empty where only the rate counts.
    pub(super) latencies_us: Vec<u32>,
    /// Rate of each round, to show how much the machine wavers.
    rates: Vec<f64>,
}

impl Sample {
    /// One round.
    pub(super) fn round(rows: u64, time: Duration, latencies_us: Vec<u32>) -> Self {
        let seconds = time.as_secs_f64();
        Self {
            rows,
            seconds,
            latencies_us,
            rates: vec![rows as f64 / seconds.max(1e-9)],
        }
    }

    /// Takes in a further round.
    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.seconds += other.seconds;
        self.latencies_us.extend(other.latencies_us);
        self.rates.extend(other.rates);
    }

    /// Rows a second, over all rounds.
    pub(super) fn rate(&self) -> f64 {
        self.rows as f64 / self.seconds.max(1e-9)
    }

    /// Slowest and fastest round.
    pub(super) fn range(&self) -> (f64, f64) {
        let slowest = self.rates.iter().copied().fold(f64::INFINITY, f64::min);
        let fastest = self.rates.iter().copied().fold(0.0, f64::max);
        (slowest.min(fastest), fastest)
    }

    /// Latency below which this share of the operations lies, in milliseconds.
    pub(super) fn percentile_ms(&self, share: f64) -> Option<f64> {
        let mut sorted = self.latencies_us.clone();
        sorted.sort_unstable();
        let place = (sorted.len() as f64 * share).ceil() as usize;
        let micros = sorted.get(place.saturating_sub(1))?;
        Some(f64::from(*micros) / 1_000.0)
    }
}

/// Microseconds of a time, for [`Sample::latencies_us`].
pub(super) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_rates_go_over_all_rounds() {
        let second = Duration::from_secs(1);
        let mut sample = Sample::round(50, second, (1..=50).map(|n| n * 1_000).collect());
        sample.add(Sample::round(
            150,
            second,
            (51..=100).map(|n| n * 1_000).collect(),
        ));
        assert_eq!(sample.rate(), 100.0);
        assert_eq!(sample.range(), (50.0, 150.0));
        assert_eq!(sample.percentile_ms(0.5), Some(50.0));
        assert_eq!(sample.percentile_ms(0.99), Some(99.0));
        assert_eq!(Sample::default().percentile_ms(0.5), None);
    }
}
