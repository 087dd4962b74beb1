//! What was seen of the client over time, and whether it is flat.

use crate::puppet::Figures;

/// Samples of one kind, in order.
#[derive(Default)]
pub struct Curve(Vec<Figures>);

impl Curve {
    pub fn note(&mut self, figures: Figures) {
        self.0.push(figures);
    }

    /// The medians of the fifths of the run; nothing where there is too little.
    fn fifths(&self) -> Option<Vec<Figures>> {
        let length = self.0.len();
        let fifth = |n: usize| self.0.get(n * length / 5..(n + 1) * length / 5);
        let median = |part: &[Figures], of: fn(&Figures) -> u64| {
            let mut values: Vec<u64> = part.iter().map(of).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        let of = |part: &[Figures]| Figures {
            resident: median(part, |figures| figures.resident),
            heap: median(part, |figures| figures.heap),
            descriptors: median(part, |figures| figures.descriptors),
            kept: median(part, |figures| figures.kept),
            threads: median(part, |figures| figures.threads),
        };
        (length >= 5).then(|| (0..5).filter_map(fifth).map(of).collect())
    }

    /// Prints the fifths; an error where memory has grown from the second to the last by more than a
    /// twentieth, or by so much `slack` resident and 64 KiB allocated where that is more. The first fifth
    /// is for warming up.
    pub fn judge(&self, what: &str, slack: u64) -> Result<(), String> {
        let Some(fifths) = self.fifths() else {
            println!("{what}: {} samples are too few to say anything", self.0.len());
            return Ok(());
        };
        println!("| {what}, {} samples | 1st fifth | 2nd | 3rd | 4th | 5th |", self.0.len());
        println!("|---|---|---|---|---|---|");
        let row = |name: &str, of: &dyn Fn(&Figures) -> String| {
            println!("| {name} | {} |", fifths.iter().map(of).collect::<Vec<_>>().join(" | "));
        };
        row("resident, KiB", &|figures| (figures.resident / 1024).to_string());
        if fifths[0].heap > 0 {
            row("allocated, KiB", &|figures| (figures.heap / 1024).to_string());
        }
        row("descriptors", &|figures| figures.descriptors.to_string());
        row("kept for UDP trackers", &|figures| figures.kept.to_string());
        row("threads", &|figures| figures.threads.to_string());
        let flat = |name: &str, of: fn(&Figures) -> u64, slack: u64| {
            let (second, last) = (of(&fifths[1]), of(&fifths[4]));
            let grew = last > second + (second / 20).max(slack);
            let told = || format!("{what}: {name} grew from {} to {} KiB", second / 1024, last / 1024);
            if grew { Err(told()) } else { Ok(()) }
        };
        flat("what is resident", |figures| figures.resident, slack)?;
        flat("what is allocated", |figures| figures.heap, 64 << 10)
    }
}
