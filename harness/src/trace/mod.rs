//! `--trace FILE`: every step that a target sends PostgreSQL and what came back, as it runs.
//!
//! ```text
//!   proxy of a rig ──▶ RigTrace: which database, and what the harness is doing
//!   proxy of a rig ──▶ RigTrace ──▶ TraceFile: a line at a time, in one file
//! ```
//!
//! Lines are written as their steps end. Only a run of the explorer keeps its own until it is
//! over, since its schedule is known no sooner: memory is bounded by one run for each worker.
//! Nothing is decided here, and a file that takes no more lines ends no run.

mod chrome;
mod line;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use rowlock_explorer::{Execution, RequestIndex};
use rowlock_proxy::{Control, Record, StepId, Trace, TraceForm};

use self::line::Line;
pub use self::line::{Part, Phase};

/// The most records that one run keeps; what is beyond is written without its schedule.
const MOST_KEPT: usize = 10_000;

/// A file that takes the traces of all rigs of a command; cheap to clone.
#[derive(Debug, Clone)]
pub struct TraceFile(Arc<Shared>);

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A line for each step.
    Lines(TraceForm),
    /// The runs of the explorer as trace events, an array.
    Chrome,
}

#[derive(Debug)]
struct Shared {
    form: Form,
    /// What all times count from.
    began: Instant,
    page: Mutex<Page>,
    rigs: Mutex<Vec<Weak<RigTrace>>>,
}

/// The file, and what is known of all that is written now.
#[derive(Debug)]
struct Page {
    /// Nothing once it is closed.
    writer: Option<BufWriter<File>>,
    /// What kept a line from being written, the first time.
    error: Option<io::Error>,
    part: Option<Part>,
}

impl TraceFile {
    /// Makes the file, or empties the one that is there. It holds JSON Lines where its name ends
    /// in `.json`, `.jsonl` or `.ndjson`, and lines for people otherwise.
    ///
    /// # Errors
    /// Whatever keeps it from being made.
    pub fn create(path: &Path) -> io::Result<TraceFile> {
        TraceFile::with_form(path, Form::Lines(form_of(path)))
    }

    /// Makes the file, or empties the one that is there, for the explorer's runs in the trace-event
    /// format.
    ///
    /// # Errors
    /// Whatever keeps it from being made.
    pub fn create_chrome(path: &Path) -> io::Result<TraceFile> {
        TraceFile::with_form(path, Form::Chrome)
    }

    fn with_form(path: &Path, form: Form) -> io::Result<TraceFile> {
        let mut writer = BufWriter::new(File::create(path)?);
        if form == Form::Chrome {
            writer.write_all(b"[\n")?;
        }
        let page = Page {
            writer: Some(writer),
            error: None,
            part: None,
        };
        Ok(TraceFile(Arc::new(Shared {
            form,
            began: Instant::now(),
            page: Mutex::new(page),
            rigs: Mutex::default(),
        })))
    }

    /// Says of which part of the command all lines from here on are.
    pub fn begin_part(&self, part: Part) {
        lock(&self.0.page).part = Some(part);
    }

    /// Listens to the proxy before `database` for as long as that runs.
    pub fn listen(&self, proxy: &Control, database: &str) -> Arc<RigTrace> {
        let since = proxy.began().saturating_duration_since(self.0.began);
        let trace = Arc::new(RigTrace {
            file: self.clone(),
            database: database.to_owned(),
            began_ns: since.as_nanos() as u64,
            current: Mutex::default(),
        });
        let mut rigs = lock(&self.0.rigs);
        rigs.retain(|rig| rig.strong_count() > 0);
        rigs.push(Arc::downgrade(&trace));
        drop(rigs);
        proxy.keep_trace(Arc::clone(&trace) as Arc<dyn Trace>);
        trace
    }

    /// Writes what is there of runs that are not over, and closes the file.
    ///
    /// # Errors
    /// What kept a line from being written, the first time.
    pub fn close(&self) -> io::Result<()> {
        let rigs = std::mem::take(&mut *lock(&self.0.rigs));
        for rig in rigs.iter().filter_map(Weak::upgrade) {
            rig.give_up_run();
        }
        let mut page = lock(&self.0.page);
        let end = match self.0.form {
            Form::Chrome => chrome::LAST,
            Form::Lines(_) => "",
        };
        let flushed = page.writer.take().map_or(Ok(()), |mut it| {
            it.write_all(end.as_bytes())?;
            it.flush()
        });
        page.error.take().map_or(flushed, Err)
    }

    /// Writes events of the explorer's, each behind a comma.
    fn write_events(&self, events: &[serde_json::Value]) {
        for event in events {
            self.write_line(|_| format!("{event},"));
        }
    }

    fn write(&self, line: &Line<'_>) {
        match self.0.form {
            Form::Lines(TraceForm::Human) => self.write_line(|part| line.for_people(part)),
            Form::Lines(TraceForm::Json) => self.write_line(|part| line.json(part)),
            Form::Chrome => {}
        }
    }

    fn write_line(&self, line: impl FnOnce(Option<&Part>) -> String) {
        let mut page = lock(&self.0.page);
        let Page {
            writer: Some(writer),
            error: error @ None,
            part,
        } = &mut *page
        else {
            return;
        };
        *error = writeln!(writer, "{}", line(part.as_ref())).err();
    }
}

/// The form of a trace in a file of this name.
fn form_of(path: &Path) -> TraceForm {
    let ending = path.extension().and_then(|ending| ending.to_str());
    match ending {
        Some("json" | "jsonl" | "ndjson") => TraceForm::Json,
        _ => TraceForm::Human,
    }
}

/// One rig's lines, and what the harness does on it.
#[derive(Debug)]
pub struct RigTrace {
    file: TraceFile,
    database: String,
    /// When its proxy began.
    began_ns: u64,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    phase: Phase,
    /// The records of the run that is under way.
    kept: Option<Vec<Record>>,
    runs: u64,
}

impl RigTrace {
    /// Says what the harness does from here on.
    pub fn enter(&self, phase: Phase) {
        lock(&self.current).phase = phase;
    }

    /// Keeps what comes until the end of this run of `program`. Runs that only warm the target up
    /// are written as they come.
    pub fn begin_run(&self, program: &str) {
        let mut current = lock(&self.current);
        if current.phase == Phase::WarmUp {
            return;
        }
        current.runs += 1;
        current.phase = Phase::Run {
            program: program.to_owned(),
            run: current.runs,
            schedule: None,
            lost: None,
        };
        current.kept = Some(Vec::new());
    }

    /// Writes what came in the run, with what ran and whose each step was.
    pub fn end_run(&self, ran: &Execution, senders: &HashMap<StepId, RequestIndex>) {
        let mut current = lock(&self.current);
        let Some(kept) = current.kept.take() else {
            return;
        };
        if let Phase::Run { schedule, lost, .. } = &mut current.phase {
            *schedule = Some(ran.schedule.to_string());
            *lost = ran.control.lost().map(ToString::to_string);
        }
        if self.file.0.form == Form::Chrome {
            let events = chrome::events(&self.database, &kept, ran, senders);
            self.file.write_events(&events);
        }
        for record in kept {
            let request = senders.get(&record.step.id).copied();
            self.write(&current.phase, request, &record);
        }
        current.phase = Phase::BetweenRuns;
    }

    /// Writes what came in a run that does not come to its end.
    fn give_up_run(&self) {
        let mut current = lock(&self.current);
        for record in current.kept.take().into_iter().flatten() {
            self.write(&current.phase, None, &record);
        }
    }

    fn write(&self, phase: &Phase, request: Option<RequestIndex>, record: &Record) {
        self.file.write(&Line {
            database: &self.database,
            phase,
            request,
            record,
        });
    }
}

impl Trace for RigTrace {
    fn record(&self, mut record: Record) {
        for time_ns in [
            &mut record.invoked_ns,
            &mut record.sent_ns,
            &mut record.completed_ns,
        ] {
            *time_ns += self.began_ns;
        }
        let mut current = lock(&self.current);
        match &mut current.kept {
            Some(kept) if kept.len() < MOST_KEPT => kept.push(record),
            _ => self.write(&current.phase, None, &record),
        }
    }
}

impl Drop for RigTrace {
    fn drop(&mut self) {
        self.give_up_run();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
