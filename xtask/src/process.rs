//! Running other programs: their output goes to a log file, the user sees a spinner.

use std::cell::RefCell;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::error::{Context, Failure, Result};
use crate::paths;
use crate::progress::Spinner;

/// What a program printed, and how it ended.
pub struct Finished {
    pub success: bool,
    /// stdout and stderr, interleaved by line.
    pub output: String,
    pub log: PathBuf,
    pub elapsed: Duration,
}

/// Runs the command; a failure of it is an error that shows the end of its output.
pub fn run(label: &str, command: &mut Command) -> Result<Finished> {
    let finished = run_any(label, command)?;
    if finished.success {
        return Ok(finished);
    }
    let tail = last_lines(&finished.output, 30);
    Err(Failure::failed(format!(
        "{label} failed; all of its output is in {}\n{tail}",
        finished.log.display()
    )))
}

/// Runs the command; whether it succeeded is in the answer.
pub fn run_any(label: &str, command: &mut Command) -> Result<Finished> {
    let log = log_path(label)?;
    let mut log_file = File::create(&log).context(log.display())?;
    writeln!(log_file, "$ {command:?}")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context(format_args!("cannot start {}", command.get_program().to_string_lossy()))?;

    let shared = Arc::new(Mutex::new((log_file, String::new(), String::new())));
    let readers = [
        collect(child.stdout.take().expect("stdout is piped"), &shared),
        collect(child.stderr.take().expect("stderr is piped"), &shared),
    ];
    let mut spinner = Spinner::new(label);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if is_given_up() {
            let _ = child.kill();
        }
        let line = shared.lock().expect("no reader panics").2.clone();
        spinner.tick(&line);
        thread::sleep(Duration::from_millis(80));
    };
    for reader in readers {
        let _ = reader.join();
    }
    let output = std::mem::take(&mut shared.lock().expect("no reader panics").1);
    Ok(Finished { success: status.success(), output, log, elapsed: spinner.elapsed() })
}

/// A part of what [`side_by_side`] does.
pub type Task<'a> = Box<dyn FnOnce() -> Result<()> + Send + 'a>;

/// Runs the tasks at the same time. The first failure is the answer, and ends the programs that the other tasks have started.
pub fn side_by_side(tasks: Vec<Task>) -> Result<()> {
    let group = Arc::new(AtomicBool::new(false));
    let failed = Mutex::new(None);
    let groups = GROUPS.with_borrow(|groups| [groups.as_slice(), &[Arc::clone(&group)]].concat());
    thread::scope(|scope| {
        for task in tasks {
            let (groups, group, failed) = (groups.clone(), Arc::clone(&group), &failed);
            scope.spawn(move || {
                GROUPS.set(groups);
                if let Err(failure) = task() {
                    group.store(true, Ordering::Relaxed);
                    failed.lock().expect("nothing panics here").get_or_insert(failure);
                }
            });
        }
    });
    failed.into_inner().expect("nothing panics here").map_or(Ok(()), Err)
}

thread_local! {
    /// For each `side_by_side` that this thread works in, whether one of its tasks has failed.
    static GROUPS: RefCell<Vec<Arc<AtomicBool>>> = const { RefCell::new(Vec::new()) };
}

fn is_given_up() -> bool {
    GROUPS.with_borrow(|groups| groups.iter().any(|group| group.load(Ordering::Relaxed)))
}

/// What a quick command prints on stdout, or `None` when it fails or is not there.
pub fn stdout_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// The program's path, as the shell would find it.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(program)).find(|file| is_executable(file))
}

/// `PATH` with the given folders first.
pub fn path_with(first: &[PathBuf]) -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(first.iter().cloned().chain(env::split_paths(&path))).unwrap_or(path)
}

/// The last lines of a long text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

type Shared = Arc<Mutex<(File, String, String)>>;

fn collect(stream: impl Read + Send + 'static, shared: &Shared) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(1..)) {
            let line = String::from_utf8_lossy(&bytes);
            let mut shared = shared.lock().expect("no reader panics");
            let _ = shared.0.write_all(line.as_bytes());
            shared.1.push_str(&line);
            if !line.trim().is_empty() {
                shared.2 = line.into_owned();
            }
            bytes.clear();
        }
    })
}

fn log_path(label: &str) -> Result<PathBuf> {
    fs::create_dir_all(paths::logs()).context("cannot create the folder for logs")?;
    let name: String =
        label.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
    Ok(paths::logs().join(format!("{name}.log")))
}

fn is_executable(file: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    {
        file.is_file() || file.with_extension("exe").is_file() || file.with_extension("cmd").is_file()
    }
}
