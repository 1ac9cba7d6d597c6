//! From an error to what the user reads and to the exit code.

use std::io;

use super::exit::Exit;
use super::output::OutputError;
use super::terminal::Terminal;
use crate::alert::AlertError;
use crate::catalog::CatalogError;
use crate::config::{ConfigError, Fault, SecretError};
use crate::detect::RuleError;
use crate::engine::EngineError;
use crate::enrich::EnrichError;
use crate::evaluate::EvaluateError;
use crate::fetch::FetchError;
use crate::ingest::IngestError;
use crate::lake::{LakeError, is_unwritable};
use crate::privacy::printable;
use crate::registry::RegistryError;
use crate::report::html::ReportError;
use crate::rollup::RollupError;
use crate::salesforce::{Class, SalesforceError};
use crate::simulate::SimulateError;
use crate::suggest::SuggestError;

/// Longest line of a message, in characters.
const MAX_LINE: usize = 2000;

/// A command line that asks for something impossible.
#[derive(Debug, thiserror::Error)]
#[error("{message}\nhint: {hint}")]
pub struct UsageError {
    pub message: String,
    pub hint: String,
}

impl UsageError {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// Tells the user, and says which exit code the error means.
pub fn report(error: &anyhow::Error, terminal: &Terminal) -> Exit {
    if is_broken_pipe(error) {
        return Exit::Done;
    }
    let (message, hints) = describe(error);
    let exit = exit_of(error);
    terminal.fatal(&message, &hints, exit);
    exit
}

/// Tells of an error that does not end the program, and says which exit code it means.
pub fn tell(error: &anyhow::Error, terminal: &Terminal) -> Exit {
    let (message, hints) = describe(error);
    terminal.error(&message, &hints);
    exit_of(error)
}

/// The error and its causes in one line (lists keep their lines), and the hints.
fn describe(error: &anyhow::Error) -> (String, Vec<String>) {
    let (mut lines, mut hints): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for cause in error.chain() {
        let fix = cause
            .downcast_ref::<SalesforceError>()
            .map(|error| error.fix().to_owned());
        hints.extend(fix);
        let mut said = Vec::new();
        for line in cause.to_string().lines() {
            let line = printable(line, MAX_LINE);
            match line.strip_prefix("hint: ") {
                Some(hint) if !hints.iter().any(|h| h == hint) => hints.push(hint.to_owned()),
                Some(_) => {}
                None => said.push(line),
            }
        }
        let said = said.join("\n");
        // Many errors quote their source; nobody needs to read it twice.
        if !said.is_empty() && !lines.iter().any(|earlier| earlier.contains(&said)) {
            lines.push(said);
        }
    }
    (lines.join(": "), hints)
}

fn exit_of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(classify).unwrap_or(Exit::Internal)
}

fn classify(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(error) = cause.downcast_ref::<LakeError>() {
        return Some(of_lake(error));
    }
    if let Some(error) = cause.downcast_ref::<EngineError>() {
        return Some(of_engine(error));
    }
    if let Some(error) = cause.downcast_ref::<IngestError>() {
        return Some(match error {
            IngestError::Lake(error) => of_lake(error),
            IngestError::Input { .. } => Exit::Usage,
            IngestError::Damaged { .. } => Exit::Partial,
            _ => Exit::Internal,
        });
    }
    if let Some(error) = cause.downcast_ref::<SalesforceError>() {
        return Some(match error.class() {
            Class::Config => Exit::Usage,
            Class::Local => Exit::Internal,
            _ => Exit::Partial,
        });
    }
    if let Some(error) = cause.downcast_ref::<FetchError>() {
        return Some(match error {
            FetchError::Lake(error) => of_lake(error),
            FetchError::Ingest(IngestError::Lake(error)) => of_lake(error),
            FetchError::OtherOrg { .. } => Exit::Usage,
            FetchError::Inbox { source, .. } if is_unwritable(source) => Exit::Usage,
            _ => Exit::Internal,
        });
    }
    if let Some(error) = cause.downcast_ref::<RollupError>() {
        return Some(match error {
            RollupError::Lake(error) => of_lake(error),
            // The query is ours: if it cannot be planned, the fault is not the user's.
            RollupError::Engine(
                error @ (EngineError::Lake(_) | EngineError::DamagedPart { .. }),
            ) => of_engine(error),
            _ => Exit::Internal,
        });
    }
    if let Some(error) = cause.downcast_ref::<SuggestError>() {
        return Some(match error {
            SuggestError::Engine(
                error @ (EngineError::Lake(_) | EngineError::DamagedPart { .. }),
            ) => of_engine(error),
            // Queries and text are ours: what is wrong with them is not the user's fault.
            _ => Exit::Internal,
        });
    }
    if let Some(error) = cause.downcast_ref::<AlertError>() {
        return Some(match error {
            AlertError::Address { .. }
            | AlertError::NoRecipient
            | AlertError::CaFile { .. }
            | AlertError::Tls { .. }
            | AlertError::Header { .. }
            | AlertError::DkimKey { .. } => Exit::Usage,
            AlertError::Write { .. } => Exit::NotDelivered,
            _ => Exit::Internal,
        });
    }
    if let Some(error) = cause.downcast_ref::<OutputError>() {
        return Some(match error {
            OutputError::BinaryToTerminal { .. }
            | OutputError::Destination { .. }
            | OutputError::JunitElsewhere
            | OutputError::HtmlElsewhere
            | OutputError::FindingsElsewhere => Exit::Usage,
            _ => Exit::Internal,
        });
    }
    if let Some(error) = cause.downcast_ref::<ReportError>() {
        return Some(match error {
            ReportError::Lake(error) => of_lake(error),
            ReportError::Engine(
                error @ (EngineError::Lake(_) | EngineError::DamagedPart { .. }),
            ) => of_engine(error),
            // Queries and templates are ours: what is wrong with them is not the user's fault.
            _ => Exit::Internal,
        });
    }
    if let Some(error) = cause.downcast_ref::<EvaluateError>() {
        return Some(match error {
            EvaluateError::Lake(error) => of_lake(error),
            EvaluateError::Engine(error) => of_engine(error),
            _ => Exit::Usage,
        });
    }
    if let Some(error) = cause.downcast_ref::<SimulateError>() {
        return Some(match error {
            SimulateError::Write { .. } => Exit::Internal,
            _ => Exit::Usage,
        });
    }
    let is_usage = cause.is::<UsageError>()
        || cause.is::<ConfigError>()
        || cause.is::<SecretError>()
        || cause.is::<Fault>()
        || cause.is::<RegistryError>()
        || cause.is::<CatalogError>()
        || cause.is::<EnrichError>()
        || cause.is::<RuleError>();
    is_usage.then_some(Exit::Usage)
}

fn of_lake(error: &LakeError) -> Exit {
    match error {
        LakeError::Locked { .. } => Exit::Locked,
        LakeError::NoFinding { .. }
        | LakeError::AmbiguousFinding { .. }
        | LakeError::FindingState { .. }
        | LakeError::NoMail { .. }
        | LakeError::MailNotFailed { .. } => Exit::Usage,
        LakeError::Damaged { .. } => Exit::Partial,
        error if error.is_setup() => Exit::Usage,
        _ => Exit::Internal,
    }
}

fn of_engine(error: &EngineError) -> Exit {
    match error {
        EngineError::Query { .. }
        | EngineError::ReadOnly { .. }
        | EngineError::MissingParameter { .. }
        | EngineError::TimedOut { .. }
        | EngineError::Execution { .. } => Exit::Usage,
        EngineError::Stopped => Exit::Interrupted,
        EngineError::DamagedPart { .. } => Exit::Partial,
        EngineError::Lake(error) => of_lake(error),
        EngineError::BuiltIn { .. } | EngineError::OutOfMemory { .. } | EngineError::Start(_) => {
            Exit::Internal
        }
    }
}

/// The reader of stdout went away (`orgwatch sql … | head`): it has what it wanted.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = match cause.downcast_ref::<OutputError>() {
            Some(OutputError::Io(io)) => Some(io),
            _ => cause.downcast_ref::<io::Error>(),
        };
        io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use anyhow::Context;

    use super::*;

    fn code(error: impl Into<anyhow::Error>) -> u8 {
        exit_of(&error.into().context("while testing")).code()
    }

    #[test]
    fn every_kind_of_error_has_its_documented_code() {
        let path = PathBuf::from("data");
        let locked = || LakeError::Locked {
            path: path.clone(),
            holder: None,
        };
        assert_eq!(code(locked()), 75);
        assert_eq!(code(IngestError::Lake(locked())), 75);
        assert_eq!(code(EngineError::Lake(locked())), 75);
        assert_eq!(code(RollupError::Lake(locked())), 75);
        assert_eq!(code(LakeError::Missing { path: path.clone() }), 2);
        assert_eq!(code(EngineError::MissingParameter { name: "x".into() }), 2);
        assert_eq!(
            code(IngestError::Input {
                path: "x".into(),
                reason: "gone".into()
            }),
            2
        );
        assert_eq!(code(UsageError::new("a", "b")), 2);
        assert_eq!(code(AlertError::NoRecipient), 2);
        assert_eq!(
            code(EngineError::DamagedPart {
                path,
                problem: "cut".into()
            }),
            3
        );
        assert_eq!(code(io::Error::other("disk")), 70);
    }

    #[test]
    fn a_broken_pipe_is_no_error() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(
            &anyhow::Error::from(broken()).context("writing")
        ));
        assert!(is_broken_pipe(&OutputError::Io(broken()).into()));
        assert!(!is_broken_pipe(&io::Error::other("disk").into()));
    }

    #[test]
    fn hints_stand_apart_and_causes_are_told_once() {
        let error: Result<(), _> = Err(UsageError::new("no input", "name a file"));
        let error = error.context("cannot run").unwrap_err();
        assert_eq!(
            describe(&error),
            ("cannot run: no input".into(), vec!["name a file".into()])
        );
        let quoted = anyhow::Error::from(io::Error::other("disk is gone"))
            .context("cannot write `x`: disk is gone");
        assert_eq!(describe(&quoted).0, "cannot write `x`: disk is gone");
    }

    #[test]
    fn a_message_cannot_act_on_the_terminal() {
        let error = anyhow::anyhow!("no file `\u{1b}]52;c;aGk=\u{7}\rx`");
        assert!(!describe(&error).0.contains(char::is_control));
    }
}
