//! `palisade send`, and `--send` of a scan: from `[send.NAME]` to destinations, one after the other.
use super::connect::{Connection, runtime};
use super::settings;
use crate::Outcome;
use crate::cli::{Global, Send};
use crate::error::Failure;
use crate::output::{FileOutput, Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_config::{Given, SendSettings};
use palisade_core::Assessment;
use palisade_send::{
    Aws, Destination, EventBridge, Filter, Http, Jira, JiraApi, Kind, Policy, Secret, SecurityHub,
    SendError, Sender, Sent, Slack, Sns, SnsMessage, State, Webhook,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The destinations that were asked for, with their secrets; what is missing is told before anything is scanned.
pub struct Destinations(Vec<Ready>);

struct Ready {
    destination: Destination,
    /// Where it is remembered what was sent.
    state: Option<PathBuf>,
}

/// No delivery takes longer: what was told until then is remembered, the rest is told the next time.
const LONGEST: Duration = Duration::from_secs(15 * 60);

impl Destinations {
    /// Finds the destinations by name.
    ///
    /// # Errors
    /// When there is none of a name, an environment variable is missing, or what was sent earlier cannot be read.
    pub fn new(
        names: &[String],
        configured: &BTreeMap<String, SendSettings>,
    ) -> Result<Self, Failure> {
        let mut all: Vec<Ready> = Vec::new();
        for name in names {
            if all.iter().any(|r| r.destination.name == *name) {
                continue;
            }
            let plain = SendSettings::new("securityhub");
            let found = configured.get(name);
            let Some(settings) = found.or((name == plain.kind).then_some(&plain)) else {
                return Err(unknown(name, configured));
            };
            let destination = destination(name, settings)?;
            let remembers = destination.kind.needs_state() && settings.boolean("changed_only");
            let state = remembers.then(|| {
                let origin = settings.values.get("state").map(|(_, origin)| origin);
                let default = format!(".palisade/sent-{name}.json");
                let path = settings.text("state").unwrap_or(&default);
                settings::beside(origin.unwrap_or(&settings.origin), path)
            });
            if let Some(path) = &state
                && let Some(other) = all.iter().find(|r| r.state.as_ref() == Some(path))
            {
                return Err(Failure::Usage {
                    message: format!(
                        "`{}` and `{name}` remember what was sent in one file, `{}`",
                        other.destination.name,
                        path.display()
                    ),
                    hint: Some("give each its own `state`".to_owned()),
                });
            }
            // what is wrong with it is told before anything is scanned; it is read again when it is needed
            if let Some(path) = &state {
                read_state(path)?;
            }
            all.push(Ready { destination, state });
        }
        Ok(Self(all))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any of them is in AWS.
    pub fn in_aws(&self) -> bool {
        self.0.iter().any(|r| r.destination.kind.is_aws())
    }

    /// Sends to each in turn; a failure does not keep the others from theirs. Tells whether all went well.
    ///
    /// # Errors
    /// When a dry run cannot be printed.
    pub fn send(
        &self,
        assessment: &Assessment,
        connection: Option<&Connection>,
        dry_run: bool,
        terminal: &Terminal,
    ) -> Result<bool, Failure> {
        if self.0.is_empty() {
            return Ok(true);
        }
        let aws = connection.map(|connection| {
            let (client, models) = connection.client();
            Aws {
                api: client,
                models,
                region: client.region().as_str(),
                account_id: &connection.account_id,
            }
        });
        let http = Http::new(Policy::default());
        let sender = Sender {
            assessment,
            aws,
            http: &http,
            dry_run,
        };
        let own = match connection {
            None => Some(runtime()?),
            Some(_) => None,
        };
        let mut well = true;
        for ready in &self.0 {
            let destination = &ready.destination;
            let called = format!("`{}` ({})", destination.name, destination.kind.word());
            // held until it is remembered what was sent: two scans at a time do not send the same
            let held = ready.hold(dry_run);
            let (_lock, before) = match held {
                Ok(held) => held,
                Err(failure) => {
                    terminal.error(&format!("cannot send to {called}: {failure}"));
                    well = false;
                    continue;
                }
            };
            let mut sent = Sent::default();
            let sending = until_stopped(sender.send_into(destination, &before, &mut sent));
            let ended = match (&own, connection) {
                (Some(own), _) => own.block_on(sending),
                (None, Some(connection)) => connection.wait(sending),
                (None, None) => continue,
            };
            let mut stopped = false;
            match ended {
                Ended::Done(Ok(())) => {}
                Ended::Done(Err(error)) => {
                    terminal.error(&format!("cannot send to {called}: {error}"));
                    well = false;
                    continue;
                }
                Ended::Late => sent.problems.push(format!(
                    "it takes longer than {} minutes; what is left will be sent the next time",
                    LONGEST.as_secs() / 60
                )),
                Ended::Stopped => {
                    stopped = true;
                    sent.problems.push("stopped".to_owned());
                }
            }
            for problem in &sent.problems {
                terminal.error(&format!("cannot send to {called}: {problem}"));
                well = false;
            }
            if dry_run {
                print(&destination.name, &sent)?;
            } else if let Err(failure) = remember(ready, &before, &sent) {
                terminal.error(&format!(
                    "{failure}, so {called} will be sent the same again"
                ));
                well = false;
            }
            let would = if dry_run { "would be " } else { "" };
            terminal.note(&format!(
                "{called}: {} findings {would}sent, {} {would}closed, {} known already",
                sent.told, sent.closed, sent.unchanged
            ));
            if stopped {
                break;
            }
        }
        Ok(well)
    }
}

impl Ready {
    /// What was sent, and a lock on it; a dry run changes nothing and takes none.
    fn hold(&self, dry_run: bool) -> Result<(Option<std::fs::File>, State), Failure> {
        let Some(path) = &self.state else {
            return Ok((None, State::default()));
        };
        let lock = if dry_run { None } else { Some(lock(path)?) };
        Ok((lock, read_state(path)?))
    }
}

/// Waits for the lock of a file that is replaced when it is written: it is on another file beside.
fn lock(path: &Path) -> Result<std::fs::File, Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let failed = |source| Failure::Output {
        what: format!("`{}`", Path::new(&beside).display()),
        source,
    };
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&beside)
        .map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

/// How a delivery ended.
enum Ended {
    Done(Result<(), SendError>),
    Late,
    Stopped,
}

async fn until_stopped(sending: impl Future<Output = Result<(), SendError>>) -> Ended {
    // after a scan that could be stopped by it, Ctrl-C no longer ends the process by itself
    tokio::select! {
        done = sending => Ended::Done(done),
        Ok(()) = tokio::signal::ctrl_c() => Ended::Stopped,
        () = tokio::time::sleep(LONGEST) => Ended::Late,
    }
}

fn print(name: &str, sent: &Sent) -> Result<(), Failure> {
    to_stdout(|out| {
        for request in &sent.requests {
            let line = json!({ "to": name, "would": request });
            out.write_all(&palisade_report::to_json(&line))?;
            writeln!(out)?;
        }
        Ok(())
    })
}

fn read_state(path: &std::path::Path) -> Result<State, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => State::parse(&text).map_err(|e| Failure::Content {
            path: path.to_owned(),
            message: e.to_string(),
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(State::default()),
        Err(source) => Err(Failure::Input {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes what was sent, when that changed.
fn remember(ready: &Ready, before: &State, sent: &Sent) -> Result<(), Failure> {
    let Some(path) = &ready.state else {
        return Ok(());
    };
    if sent.state == *before {
        return Ok(());
    }
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|source| Failure::Output {
            what: format!("`{}`", folder.display()),
            source,
        })?;
    }
    let text = sent.state.to_json();
    FileOutput::write(path, |out| out.write_all(text.as_bytes()))?.persist()
}

fn unknown(name: &str, configured: &BTreeMap<String, SendSettings>) -> Failure {
    let similar = palisade_catalog::similar(name, configured.keys().map(String::as_str));
    let hint = match similar.as_slice() {
        [] => "destinations are described in `[send.NAME]` of palisade.toml; `securityhub` needs no description".to_owned(),
        some => format!("did you mean `{}`?", some.join("` or `")),
    };
    Failure::Usage {
        message: format!("there is no destination `{name}`"),
        hint: Some(hint),
    }
}

fn destination(name: &str, settings: &SendSettings) -> Result<Destination, Failure> {
    let text = |key: &str| settings.text(key).unwrap_or_default().to_owned();
    let timeout = Duration::from_secs(settings.number("timeout").unwrap_or(30));
    let url = |key: &str| {
        let url = variable(name, &text(key))?;
        palisade_send::check_url(&url).map_err(|wrong| Failure::Usage {
            message: format!(
                "send `{name}`: the environment variable `{}` {wrong}",
                text(key)
            ),
            hint: None,
        })?;
        Ok::<_, Failure>(Secret::new(url))
    };
    let optional = |key: &str| {
        let named = settings.text(key);
        named
            .map(|n| variable(name, n).map(Secret::new))
            .transpose()
    };
    let kind = match settings.kind {
        "sns" => Kind::Sns(Sns {
            topic_arn: text("topic_arn"),
            message: match settings.text("message") {
                Some("text") => SnsMessage::Text,
                _ => SnsMessage::Json,
            },
        }),
        "eventbridge" => Kind::EventBridge(EventBridge {
            bus: text("bus"),
            source: text("source"),
            region: settings.text("region").map(str::to_owned),
        }),
        "slack" => Kind::Slack(Slack {
            url: url("url_env")?,
            findings: usize::try_from(settings.number("findings").unwrap_or(10)).unwrap_or(10),
            timeout,
        }),
        "webhook" => {
            let headers = settings.headers.iter().map(|(header, named)| {
                variable(name, named).map(|value| (header.clone(), Secret::new(value)))
            });
            Kind::Webhook(Webhook {
                url: url("url_env")?,
                headers: headers.collect::<Result<_, _>>()?,
                key: optional("key_env")?,
                timeout,
            })
        }
        "jira" => {
            let server = text("url");
            palisade_send::check_url(&server).map_err(|wrong| Failure::Usage {
                message: format!("send `{name}`: `url` {wrong}"),
                hint: None,
            })?;
            Kind::Jira(Jira {
                url: server,
                api: match settings.number("api") {
                    Some(2) => JiraApi::V2,
                    _ => JiraApi::V3,
                },
                project: text("project"),
                issue_type: text("issue_type"),
                user: optional("user_env")?,
                token: Secret::new(variable(name, &text("token_env"))?),
                close: settings.text("close").map(str::to_owned),
                timeout,
            })
        }
        _ => Kind::SecurityHub(SecurityHub {
            region: settings.text("region").map(str::to_owned),
            archive: settings.boolean("archive"),
        }),
    };
    let words = settings.texts("statuses");
    let filter = Filter {
        severity: settings.text("severity").and_then(|s| s.parse().ok()),
        statuses: words.iter().filter_map(|w| w.parse().ok()).collect(),
        checks: settings.texts("checks"),
        services: settings.texts("services"),
    };
    Ok(Destination {
        name: name.to_owned(),
        filter,
        kind,
    })
}

/// The value of an environment variable.
fn variable(destination: &str, name: &str) -> Result<String, Failure> {
    let value = std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    value.ok_or_else(|| Failure::Usage {
        message: format!("send `{destination}` needs the environment variable `{name}`"),
        hint: Some(
            "webhook URLs, tokens and keys are read from the environment, never from a file"
                .to_owned(),
        ),
    })
}

/// `palisade send`
pub fn run(
    mut args: Send,
    given: &Given,
    global: &Global,
    catalog: &Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let settings = settings::connect(&mut args.target, given, global, catalog)?;
    let destinations = Destinations::new(&args.to, &settings.sends)?;
    if args.target.is_recorded() && destinations.in_aws() {
        return Err(Failure::Usage {
            message: "the account is a recording: nothing can be sent to it".to_owned(),
            hint: None,
        });
    }
    let text = std::fs::read_to_string(&args.file).map_err(|source| Failure::Input {
        path: args.file.clone(),
        source,
    })?;
    let assessment: Assessment = serde_json::from_str(&text).map_err(|e| Failure::Content {
        path: args.file.clone(),
        message: format!("no report of `scan --format json`: {e}"),
    })?;
    let connection = if destinations.in_aws() {
        let models = Arc::new(palisade_model::Models::embedded());
        Some(Connection::open(&args.target, &models, terminal)?)
    } else {
        None
    };
    let well = destinations.send(&assessment, connection.as_ref(), args.dry_run, terminal)?;
    Ok(if well { Outcome::Done } else { Outcome::Failed })
}
