//! Series made by chance with a seed: how often a quiet night alarms, how often a theft is found.

use super::*;

/// Counts of a machine, drawn by its seed.
struct Machine(u64);

impl Machine {
    fn uniform(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Gamma of this shape and mean (Marsaglia and Tsang), then Poisson, which is near normal for
    /// counts of this size.
    fn count(&mut self, mean: f64, shape: f64) -> i64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        let gamma = loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                break d * v * mean / shape;
            }
        };
        (gamma + gamma.sqrt() * self.normal()).round().max(0.0) as i64
    }
}

#[test]
fn false_alarms_are_rare_and_large_thefts_are_found() {
    const SERIES: usize = 60;
    const NIGHTS: u64 = 30;
    let nights: Vec<_> = (0..NIGHTS).map(|back| before(today(), back)).collect();
    for (kind, most_false, least_found) in [
        ("flat", 5.0, 0.9),
        ("weekday", 5.0, 0.75),
        ("sparse", 5.0, 0.9),
    ] {
        let mut machine = Machine(2026);
        let mut quiet = World::default();
        let mut theft = World::default();
        for series in 0..SERIES {
            let user = format!("005{series:012}AAA");
            let mean = 200.0 * (1.0 + machine.uniform() * 50.0);
            for date in (0..NIGHTS + 60).map(|back| before(today(), back)) {
                let weekend = matches!(date.weekday(), chrono::Weekday::Sat | chrono::Weekday::Sun);
                let (mean, active) = match kind {
                    "weekday" => (if weekend { mean / 10.0 } else { mean }, true),
                    "sparse" => (mean, machine.uniform() < 0.4),
                    _ => (mean, true),
                };
                let calls = if active { machine.count(mean, 8.0) } else { 0 };
                quiet.on(date, &user, calls, 0);
                theft.on(date, &user, calls, 0);
                if date == today() {
                    theft.on(date, &user, (5.0 * mean) as i64, 0);
                }
            }
        }
        let alarms = |batch: &RecordBatch| {
            batch
                .column_by_name("unusual")
                .unwrap()
                .as_boolean()
                .true_count() as f64
        };
        let falsely = 1_000.0 * alarms(&quiet.judge(&nights)) / (SERIES as f64 * NIGHTS as f64);
        let found = alarms(&theft.judge(&[today()])) / SERIES as f64;
        println!(
            "{kind}: {falsely:.2} false alarms per 1,000 series-nights, {found:.2} of thefts of 5x found"
        );
        assert!(
            falsely <= most_false,
            "{kind}: {falsely} false alarms per 1,000"
        );
        assert!(found >= least_found, "{kind}: {found} of the thefts found");
    }
}
