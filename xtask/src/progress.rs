//! What the user sees while something takes time. Everything goes to stderr: stdout is for results.
//!
//! On a terminal these are indicatif's bars and spinners; in a log they are plain lines at intervals.

use std::collections::BTreeSet;
use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Nothing is shown before this, so that quick things stay quiet.
const QUIET_FOR: Duration = Duration::from_secs(3);
/// Between two lines about the same thing in a log.
const LINE_EVERY: Duration = Duration::from_secs(20);

static QUIET: AtomicBool = AtomicBool::new(false);

/// Every bar and spinner, since several things may go on at a time.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Silences `say` while a command whose set-up nobody wants to read about, such as `generate`, sets up.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

pub fn be_loud() {
    QUIET.store(false, Ordering::Relaxed);
}

/// One line about one part of the set-up or the run. What has been said is not said again.
pub fn say(what: &str, state: impl AsRef<str>) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let line = format!("  {what:<14} {}", state.as_ref());
    if !QUIET.load(Ordering::Relaxed) && SAID.lock().expect("nothing panics here").insert(line.clone()) {
        BARS.suspend(|| eprintln!("{line}"));
    }
}

/// `3 min 4 s`, `12.3 s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `4.75 MB`: decimal, as downloads are counted.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

/// Shows that something is going on, and its latest line of output.
pub struct Spinner {
    label: String,
    start: Instant,
    bar: Option<ProgressBar>,
    next_line: Duration,
}

impl Spinner {
    pub fn new(label: &str) -> Self {
        Self { label: label.into(), start: Instant::now(), bar: None, next_line: QUIET_FOR }
    }

    /// Call a few times a second with the latest line of output.
    pub fn tick(&mut self, line: &str) {
        let elapsed = self.start.elapsed();
        if elapsed < QUIET_FOR {
            return;
        }
        if stderr().is_terminal() {
            let label = &self.label;
            let bar = self.bar.get_or_insert_with(|| {
                let style = ProgressStyle::with_template("  {spinner} {prefix} ({elapsed}) {wide_msg:.dim}")
                    .expect("the template is well formed");
                let bar = BARS.add(ProgressBar::new_spinner()).with_style(style).with_prefix(label.clone());
                bar.with_elapsed(elapsed)
            });
            bar.set_message(line.trim().to_string());
            bar.tick();
        } else if elapsed >= self.next_line {
            eprintln!("  … {} ({}) {}", self.label, duration(elapsed), shorten(line.trim(), 90));
            self.next_line = elapsed + LINE_EVERY;
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Something of known length: bytes of a model, steps of a run.
pub struct Bar {
    label: String,
    start: Instant,
    total: u64,
    bar: Option<ProgressBar>,
    next_line: Duration,
    last: String,
}

impl Bar {
    pub fn new(label: &str, total: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("  {prefix} [{bar:32}] {pos}/{len} {wide_msg} {elapsed}<{eta}")
                    .expect("the template is well formed")
                    .progress_chars("=> ");
            BARS.add(ProgressBar::new(total)).with_style(style).with_prefix(label.to_string())
        });
        Self {
            label: label.into(),
            start: Instant::now(),
            total,
            bar,
            next_line: Duration::ZERO,
            last: String::new(),
        }
    }

    pub fn set(&mut self, done: u64, message: String) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(message);
            }
            None if self.start.elapsed() >= self.next_line || done >= self.total => {
                self.next_line = self.start.elapsed() + LINE_EVERY / 2;
                let line = format!("  {} {done}/{} {message}", self.label, self.total);
                if line != self.last {
                    eprintln!("{line}");
                }
                self.last = line;
            }
            None => {}
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn shorten(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        line.into()
    } else {
        line.chars().take(width - 1).chain(['…']).collect()
    }
}
