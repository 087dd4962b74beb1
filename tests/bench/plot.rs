//! The report as a picture: a row of three small bar charts a scenario, lengths in proportion within a
//! chart, the spread as a line. Transparent, and legible on light and dark pages alike.

use std::fmt::Write;

use crate::figures::{Metric, Outcome, metrics};
use crate::markdown::says;

const NAME: f64 = 96.0;
const CHART: f64 = 250.0;
const BAR: f64 = 150.0;
const LINE: f64 = 15.0;
const HEAD: f64 = 44.0;
const GAP: f64 = 18.0;
/// A bar this many times as long as the next is cut off, so that the others can be seen.
const CUT: f64 = 2.5;
/// Then the next is this much shorter than it is drawn.
const ROOM: f64 = 1.3;

const STYLE: &str = "<style>\
text{font:12px system-ui,sans-serif;fill:#1f2328}\
.title{font-weight:600;font-size:13px}.dim{fill:#59636e}\
.bar{fill:#9aa4b0}.us{fill:#e8590c}.spread{stroke:#1f2328;stroke-width:1;opacity:.55}\
.our{font-weight:600}.base{stroke:#59636e;opacity:.4}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#9198a1}.bar{fill:#6e7681}\
.us{fill:#ff922b}.spread{stroke:#e6edf3}}\
</style>";

pub fn svg(outcomes: &[Outcome]) -> String {
    let mut body = String::new();
    let mut y = 6.0;
    for outcome in outcomes {
        let title = format!("{}: {}", outcome.scenario.name, says(outcome));
        let _ =
            writeln!(body, "<text x=\"4\" y=\"{:.0}\" class=\"title\">{}</text>", y + 12.0, escape(&title));
        for (index, row) in outcome.rows.iter().enumerate() {
            let class = if row.client == "bitwren" { "our" } else { "client" };
            let at = y + HEAD + index as f64 * LINE + 8.0;
            let _ = writeln!(
                body,
                "<text x=\"{}\" y=\"{at:.0}\" text-anchor=\"end\" class=\"{class}\">{}</text>",
                NAME - 8.0,
                row.client
            );
        }
        for (column, metric) in
            metrics(outcome.scenario).iter().filter(|metric| metric.plot.is_some()).enumerate()
        {
            let x = NAME + column as f64 * CHART;
            chart(&mut body, outcome, metric, x, y + HEAD);
        }
        y += HEAD + outcome.rows.len() as f64 * LINE + GAP;
    }
    let _ = writeln!(
        body,
        "<text x=\"4\" y=\"{:.0}\" class=\"dim\">Shorter is better. Medians; a thin line is the spread, » a bar \
         that is longer than shown.</text>",
        y + 12.0
    );
    y += LINE + GAP;
    let width = NAME + 3.0 * CHART;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {y:.0}\" width=\"{width:.0}\" \
         height=\"{y:.0}\" role=\"img\">\n<title>Benchmark: shorter bars are better</title>\n{STYLE}\n{body}</svg>\n"
    )
}

fn chart(body: &mut String, outcome: &Outcome, metric: &Metric, x: f64, y: f64) {
    let _ = writeln!(
        body,
        "<text x=\"{x:.0}\" y=\"{:.0}\" class=\"dim\">{}</text>",
        y - 8.0,
        escape(metric.plot.unwrap_or_default())
    );
    let spreads: Vec<_> = outcome.rows.iter().map(|row| row.spread(metric, outcome.gib)).collect();
    let mut most: Vec<f64> = spreads.iter().flatten().map(|spread| spread.most).collect();
    most.sort_by(f64::total_cmp);
    let end = match most[..] {
        [.., second, longest] if second > 0.0 && longest > second * CUT => second * ROOM,
        [.., longest] => longest,
        [] => 0.0,
    };
    for (index, (row, spread)) in outcome.rows.iter().zip(&spreads).enumerate() {
        let top = y + index as f64 * LINE;
        let Some(spread) = spread else {
            let _ = writeln!(
                body,
                "<text x=\"{:.0}\" y=\"{:.0}\" class=\"dim\">failed</text>",
                x + 4.0,
                top + 8.0
            );
            continue;
        };
        let at = |value: f64| if end > 0.0 { (value / end).min(1.0) * BAR } else { 0.0 };
        let class = if row.client == "bitwren" { "us" } else { "bar" };
        let length = at(spread.median).max(1.0);
        let _ = writeln!(
            body,
            "<rect x=\"{x:.0}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"10\" rx=\"1\" class=\"{class}\"/>",
            top - 1.0
        );
        let cut = spread.most > end * 1.0001;
        if !cut && at(spread.most) - at(spread.least) > 1.5 {
            let _ = writeln!(
                body,
                "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" class=\"spread\"/>",
                x + at(spread.least),
                x + at(spread.most),
                top + 4.0,
                top + 4.0
            );
        }
        let label = format!("{}{}", if cut { "» " } else { "" }, (metric.show)(spread.median));
        let _ = writeln!(
            body,
            "<text x=\"{:.1}\" y=\"{:.0}\">{label}</text>",
            x + length.max(if cut { length } else { at(spread.most) }) + 5.0,
            top + 8.0
        );
    }
    let bottom = y + outcome.rows.len() as f64 * LINE - 3.0;
    let _ = writeln!(
        body,
        "<line x1=\"{x:.0}\" x2=\"{x:.0}\" y1=\"{:.0}\" y2=\"{bottom:.0}\" class=\"base\"/>",
        y - 4.0
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
