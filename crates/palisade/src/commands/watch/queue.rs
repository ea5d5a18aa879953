//! Where events come from: a queue of Amazon SQS, or a file.
use crate::commands::connect::Connection;
use crate::error::Failure;
use crate::output::Terminal;
use palisade_aws::{CallFailure, Client};
use palisade_core::Region;
use palisade_model::{Model, Models};
use serde_json::{Map, Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a message that is worked on stays hidden from others; it is extended while work goes on.
const HIDDEN: Duration = Duration::from_secs(120);
const EXTEND: Duration = Duration::from_secs(40);
/// Amazon SQS waits so long at most for a message.
const LONG_POLL: Duration = Duration::from_secs(20);
/// Messages of one call.
const PAGE: usize = 10;
/// Messages that are worked on at once.
const MOST: usize = 1000;

/// A message as it was delivered.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// How messages to the user name it.
    pub name: String,
    /// What it is deleted by; empty for lines of a file.
    pub handle: String,
    /// What it says.
    pub body: String,
}

/// What came.
pub enum Batch {
    /// Messages, some.
    Messages(Vec<Delivery>),
    /// None came in the time.
    Nothing,
    /// None will come any more.
    End,
}

/// Where events come from.
pub enum Source {
    Queue(Queue),
    Lines(std::sync::mpsc::Receiver<std::io::Result<(usize, String)>>),
    /// No events: only the schedule.
    Nowhere,
}

/// A queue of Amazon SQS.
#[derive(Clone)]
pub struct Queue {
    client: Client,
    model: Arc<Model>,
    url: String,
    region: Region,
}

impl Queue {
    /// A queue by its URL.
    ///
    /// # Errors
    /// When the URL is none, or the API is not known.
    pub fn open(url: &str, connection: &Connection, models: &Models) -> Result<Self, Failure> {
        let wrong = |message: String| Failure::Usage {
            message,
            hint: Some(
                "a queue's URL is `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`".to_owned(),
            ),
        };
        let rest = url.split_once("://").map(|(_, rest)| rest);
        let host = rest.and_then(|r| r.split('/').next()).unwrap_or_default();
        if host.is_empty() {
            return Err(wrong(format!("`{url}` is no URL of a queue")));
        }
        let (client, _) = connection.client();
        // another endpoint than AWS's has the configured region
        let region = host
            .split('.')
            .find_map(|label| label.parse::<Region>().ok())
            .unwrap_or_else(|| client.region().clone());
        let model = models.get("sqs").map_err(|e| wrong(e.to_string()))?;
        Ok(Self {
            client: client.clone(),
            model,
            url: url.to_owned(),
            region,
        })
    }

    async fn call(
        &self,
        operation: &str,
        mut params: Map<String, Json>,
    ) -> Result<Json, CallFailure> {
        params.insert("QueueUrl".to_owned(), json!(self.url));
        let answer = self
            .client
            .call("sqs", operation, &self.region, &params)
            .await?;
        Ok(answer.to_json(&self.model))
    }

    async fn receive(&self, wait: Duration) -> Result<Vec<Delivery>, CallFailure> {
        let params = Map::from_iter([
            ("MaxNumberOfMessages".to_owned(), json!(PAGE)),
            (
                "WaitTimeSeconds".to_owned(),
                json!(wait.min(LONG_POLL).as_secs()),
            ),
            ("VisibilityTimeout".to_owned(), json!(HIDDEN.as_secs())),
        ]);
        let answer = self.call("ReceiveMessage", params).await?;
        let messages = answer.get("Messages").and_then(Json::as_array);
        let text = |m: &Json, name: &str| {
            m.get(name)
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let delivery = |m: &Json| Delivery {
            name: format!("message {}", text(m, "MessageId")),
            handle: text(m, "ReceiptHandle"),
            body: text(m, "Body"),
        };
        Ok(messages.into_iter().flatten().map(delivery).collect())
    }

    /// Calls an operation that takes messages in tens; gives what could not be done.
    async fn for_all(
        &self,
        operation: &str,
        handles: &[String],
        more: &Map<String, Json>,
    ) -> Vec<String> {
        let mut failed = Vec::new();
        for some in handles.chunks(PAGE) {
            let entry = |(number, handle): (usize, &String)| {
                let mut entry = more.clone();
                entry.insert("Id".to_owned(), json!(number.to_string()));
                entry.insert("ReceiptHandle".to_owned(), json!(handle));
                Json::Object(entry)
            };
            let entries: Vec<Json> = some.iter().enumerate().map(entry).collect();
            let params = Map::from_iter([("Entries".to_owned(), Json::Array(entries))]);
            match self.call(operation, params).await {
                Err(error) => failed.push(error.to_string()),
                Ok(answer) => {
                    let wrong = answer.get("Failed").and_then(Json::as_array);
                    let wrong = wrong.into_iter().flatten();
                    failed.extend(
                        wrong.map(|w| w.get("Message").or(w.get("Code")).unwrap_or(w).to_string()),
                    );
                }
            }
        }
        failed
    }

    /// Deletes messages; what could not be deleted comes again, and is known then.
    pub async fn delete(&self, handles: &[String]) -> Vec<String> {
        self.for_all("DeleteMessageBatch", handles, &Map::new())
            .await
    }

    /// Keeps messages hidden until it is stopped.
    pub async fn keep(self, handles: Vec<String>) {
        let more = Map::from_iter([("VisibilityTimeout".to_owned(), json!(HIDDEN.as_secs()))]);
        loop {
            tokio::time::sleep(EXTEND).await;
            // one that cannot be extended comes again, and is known then
            self.for_all("ChangeMessageVisibilityBatch", &handles, &more)
                .await;
        }
    }

    /// Messages that come within `wait`, and those that follow the first one within `debounce`.
    async fn batch(
        &self,
        wait: Duration,
        debounce: Duration,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Vec<Delivery>, CallFailure> {
        let mut all = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ok(Vec::new()),
            first = self.receive(wait) => first?,
        };
        let until = Instant::now() + debounce;
        while !all.is_empty() && all.len() < MOST {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let pause = Duration::from_millis(250).min(left);
            let more = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                more = self.receive(Duration::ZERO) => more,
            };
            match more {
                Ok(more) if more.is_empty() => tokio::time::sleep(pause).await,
                Ok(more) => all.extend(more),
                // those that came are worked on
                Err(_) => break,
            }
        }
        Ok(all)
    }
}

impl Source {
    /// Lines of a file, or of stdin.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn file(path: &Path) -> Result<Self, Failure> {
        use std::io::BufRead;
        let mut input: Box<dyn BufRead + Send> = if path == Path::new("-") {
            Box::new(std::io::BufReader::new(std::io::stdin()))
        } else {
            let file = std::fs::File::open(path).map_err(|source| Failure::Input {
                path: path.to_owned(),
                source,
            })?;
            Box::new(std::io::BufReader::new(file))
        };
        let (sender, receiver) = std::sync::mpsc::sync_channel(MOST);
        // the thread ends with its input, or with the process
        std::thread::spawn(move || {
            let mut number = 0;
            loop {
                let mut line = String::new();
                number += 1;
                let sent = match input.read_line(&mut line) {
                    Ok(0) => return,
                    Ok(_) if line.trim().is_empty() => continue,
                    Ok(_) => sender.send(Ok((number, line))),
                    Err(error) => {
                        // whoever listens ends with it
                        let _ = sender.send(Err(error));
                        return;
                    }
                };
                if sent.is_err() {
                    return;
                }
            }
        });
        Ok(Self::Lines(receiver))
    }

    /// The next messages.
    ///
    /// # Errors
    /// When the file cannot be read. A queue that does not answer is said, and asked again later.
    pub fn next(
        &self,
        wait: Duration,
        debounce: Duration,
        connection: &Connection,
        stop: &mut watch::Receiver<bool>,
        terminal: &Terminal,
    ) -> Result<Batch, Failure> {
        match self {
            Self::Nowhere => {
                connection.block_on(async {
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                });
                Ok(Batch::Nothing)
            }
            Self::Queue(queue) => match connection.block_on(queue.batch(wait, debounce, stop)) {
                Ok(messages) if messages.is_empty() => Ok(Batch::Nothing),
                Ok(messages) => Ok(Batch::Messages(messages)),
                Err(error) => {
                    terminal.error(&format!("the queue does not answer: {error}"));
                    connection.block_on(async {
                        tokio::select! {
                            _ = stop.wait_for(|stop| *stop) => {}
                            () = tokio::time::sleep(Duration::from_secs(5)) => {}
                        }
                    });
                    Ok(Batch::Nothing)
                }
            },
            Self::Lines(lines) => lines_of(lines, wait, debounce, stop),
        }
    }
}

fn lines_of(
    lines: &std::sync::mpsc::Receiver<std::io::Result<(usize, String)>>,
    wait: Duration,
    debounce: Duration,
    stop: &watch::Receiver<bool>,
) -> Result<Batch, Failure> {
    use std::sync::mpsc::RecvTimeoutError;
    let mut all = Vec::new();
    let mut until = Instant::now() + wait;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // so that a signal is noticed soon
        match lines.recv_timeout(left.min(Duration::from_millis(200))) {
            Ok(Ok((number, body))) => {
                if all.is_empty() {
                    until = Instant::now() + debounce;
                }
                all.push(Delivery {
                    name: format!("line {number}"),
                    handle: String::new(),
                    body,
                });
                if all.len() >= MOST {
                    return Ok(Batch::Messages(all));
                }
            }
            Ok(Err(source)) => {
                return Err(Failure::Input {
                    path: "the events".into(),
                    source,
                });
            }
            Err(RecvTimeoutError::Disconnected) if all.is_empty() => return Ok(Batch::End),
            Err(RecvTimeoutError::Disconnected) => return Ok(Batch::Messages(all)),
            Err(RecvTimeoutError::Timeout) => {
                if *stop.borrow() || Instant::now() >= until {
                    return Ok(match all.is_empty() {
                        true => Batch::Nothing,
                        false => Batch::Messages(all),
                    });
                }
            }
        }
    }
}
