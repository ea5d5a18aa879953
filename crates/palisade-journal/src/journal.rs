//! The answers of one account in one run: those of earlier attempts, and those that this one gets.
use crate::bytes::{Reader, put_bytes, put_signed};
use crate::error::JournalError;
use crate::file::{self, Place, Writer};
use crate::value;
use palisade_core::Timestamp;
use palisade_model::{ApiError, CallRequest, Models, Page};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// For how long an answer is used, in microseconds (six hours): what is read together should be of about the same time.
pub const HOLDS: i64 = 6 * 3_600 * 1_000_000;

/// What files of journals are called.
const EXTENSION: &str = "answers";
/// The format of the records.
const FORMAT: u32 = 1;

/// Whose answers these are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The id of the snapshot that the run makes.
    pub run: String,
    /// The account that answered: twelve digits.
    pub account_id: String,
    /// What of it: `account`, or `organization` for what is the same for all accounts.
    pub part: String,
    /// The version of Palisade.
    pub palisade: String,
    /// Fingerprint of the catalogue.
    pub catalog: String,
}

/// The first record.
#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    #[serde(flatten)]
    about: About,
}

/// What may be used.
#[derive(Clone)]
pub struct Rules {
    /// Which operations have pages, and what answers look like.
    pub models: Arc<Models>,
    /// Calls that are asked again each time (service, operation): those that wait for something.
    pub asked_again: Arc<BTreeSet<(String, String)>>,
    /// Errors that are answers, of each call: "there is none". `Code`, or `Code: text` where the message has to have a text.
    pub absent: Arc<BTreeMap<(String, String), BTreeSet<String>>>,
    /// The time, for the age of answers.
    pub clock: fn() -> Timestamp,
}

/// A call: what makes two of them the same question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    service: String,
    operation: String,
    region: String,
    /// JSON with sorted members.
    params: String,
}

impl Key {
    pub(crate) fn of(request: CallRequest<'_>) -> Self {
        Self {
            service: request.service.to_owned(),
            operation: request.operation.to_owned(),
            region: request.region.to_owned(),
            params: canonical(request.params),
        }
    }

    fn digest(&self) -> Digest {
        let mut sum = Sha256::new();
        for text in [&self.service, &self.operation, &self.region, &self.params] {
            sum.update(text);
            // in none of them
            sum.update([0]);
        }
        let sum = sum.finalize();
        std::array::from_fn(|i| sum.get(i).copied().unwrap_or_default())
    }
}

/// The same text for the same parameters, in whatever order they were put together.
fn canonical(params: &Map<String, Json>) -> String {
    sorted(&Json::Object(params.clone())).to_string()
}

fn sorted(json: &Json) -> Json {
    match json {
        Json::Object(members) => {
            let members: BTreeMap<&String, Json> =
                members.iter().map(|(k, v)| (k, sorted(v))).collect();
            members
                .into_iter()
                .map(|(k, v)| (k.clone(), v))
                .collect::<Map<_, _>>()
                .into()
        }
        Json::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// What came of a call.
pub(crate) type Answer = Result<Page, ApiError>;

/// What an answer begins with.
const PAGE: u8 = 0;
const ABSENT: u8 = 1;

/// An answer in the file.
struct Record {
    key: Key,
    /// When it came.
    at: Timestamp,
    answer: Answer,
}

impl Record {
    fn bytes(key: &Key, answer: &Answer, at: Timestamp) -> Vec<u8> {
        let mut out = Vec::new();
        put_signed(at.as_micros(), &mut out);
        for text in [&key.service, &key.operation, &key.region, &key.params] {
            put_bytes(text.as_bytes(), &mut out);
        }
        match answer {
            Ok(page) => {
                out.push(PAGE);
                // an empty text: the last page
                let next = page.next.as_ref().map(|next| Json::Object(next.clone()));
                let next = next.map(|next| next.to_string()).unwrap_or_default();
                put_bytes(next.as_bytes(), &mut out);
                value::put(&page.value, &mut out);
            }
            Err(error) => {
                out.push(ABSENT);
                // the name of a kind: it cannot fail
                let kind = serde_json::to_string(&error.kind).unwrap_or_default();
                for text in [&kind, &error.code, &error.message] {
                    put_bytes(text.as_bytes(), &mut out);
                }
            }
        }
        out
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let at = Timestamp::from_micros(reader.signed()?);
        let mut text = || reader.text().map(str::to_owned);
        let key = Key {
            service: text()?,
            operation: text()?,
            region: text()?,
            params: text()?,
        };
        let answer = match reader.byte()? {
            PAGE => {
                let next = match reader.text()? {
                    "" => None,
                    next => Some(serde_json::from_str(next).ok()?),
                };
                let value = value::take(&mut reader)?;
                Ok(Page { value, next })
            }
            ABSENT => Err(ApiError {
                kind: serde_json::from_str(reader.text()?).ok()?,
                code: reader.text()?.to_owned(),
                message: reader.text()?.to_owned(),
            }),
            _ => return None,
        };
        reader.is_empty().then_some(Self { key, at, answer })
    }
}

/// What stands for a key in memory: an account may have been asked a million times.
type Digest = [u8; 16];

/// Where an answer is.
struct Known {
    own: Digest,
    file: usize,
    place: Place,
    at: Timestamp,
    next: Option<Digest>,
    /// Its parameters have no token.
    is_first: bool,
}

/// Answers of earlier attempts, and a file for those of this one.
pub struct Journal {
    about: About,
    rules: Rules,
    known: HashMap<Digest, Known>,
    /// Those of earlier attempts, open.
    before: Vec<Mutex<File>>,
    paths: Vec<PathBuf>,
    writer: Mutex<Result<Writer, JournalError>>,
    answered: AtomicU64,
}

/// The files of an account's part in a folder, sorted.
///
/// # Errors
/// When the folder cannot be read; one that does not exist has none.
pub fn files_of(folder: &Path, about: &About) -> Result<Vec<PathBuf>, JournalError> {
    let failed = |e| JournalError::file("read", folder, e);
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let begin = format!("{}-{}-", about.account_id, about.part);
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&begin) && path.extension().is_some_and(|e| e == EXTENSION) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

impl Journal {
    /// Reads what earlier attempts have left in a folder, and begins a file of this attempt, for its owner alone. `attempt`
    /// are letters and digits that no other attempt has. What cannot be used is told, and costs calls only.
    ///
    /// # Errors
    /// When there can be no file: nothing is kept then.
    pub fn open(
        folder: &Path,
        attempt: &str,
        about: About,
        rules: Rules,
    ) -> Result<(Self, Vec<JournalError>), JournalError> {
        let mut troubles = Vec::new();
        let mut loading = Loading::new(&about, &rules);
        let paths = files_of(folder, &about)?;
        for path in &paths {
            if let Err(trouble) = loading.file(path) {
                troubles.push(trouble);
            }
        }
        let (known, before) = loading.finish();
        let name = format!("{}-{}-{attempt}.{EXTENSION}", about.account_id, about.part);
        let path = folder.join(name);
        let mut writer = Writer::create(&path)?;
        let head = Head {
            format: FORMAT,
            about: about.clone(),
        };
        let head = serde_json::to_vec(&head)
            .map_err(|e| JournalError::file("write", &path, std::io::Error::from(e)))?;
        writer.add(&head)?;
        let journal = Self {
            about,
            rules,
            known,
            before,
            paths: paths.into_iter().chain([path]).collect(),
            writer: Mutex::new(Ok(writer)),
            answered: AtomicU64::new(0),
        };
        Ok((journal, troubles))
    }

    /// How many answers of earlier attempts can be used.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing of earlier attempts can be used.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many calls were answered from earlier attempts.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Whose answers these are.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Why nothing is kept any more, if that is so.
    pub fn trouble(&self) -> Option<String> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().err().map(ToString::to_string)
    }

    /// Removes the files, of this attempt and of those before: what they hold is kept elsewhere, or wanted by nobody.
    pub fn remove(&self) {
        for path in &self.paths {
            // whoever shares the folder may have been faster
            let _ = std::fs::remove_file(path);
        }
    }

    pub(crate) fn clock(&self) -> fn() -> Timestamp {
        self.rules.clock
    }

    /// Whether a call's answer may be taken from a journal.
    pub(crate) fn takes(&self, service: &str, operation: &str) -> bool {
        takes(&self.rules, service, operation)
    }

    /// Whether an answer is one to keep. A call that failed is none, nor is one with something that AWS calls sensitive:
    /// it is worth less than what lies on a disk.
    pub(crate) fn keeps(&self, key: &Key, answer: &Answer) -> bool {
        self.takes(&key.service, &key.operation)
            && is_answer(&self.rules, key, answer)
            && !self.is_sensitive(key, answer)
    }

    fn is_sensitive(&self, key: &Key, answer: &Answer) -> bool {
        let Ok(page) = answer else {
            return false;
        };
        let model = self.rules.models.get(&key.service).ok();
        let output = model
            .as_ref()
            .and_then(|model| model.operation(&key.operation)?.output.as_ref());
        match (model.as_ref(), output) {
            (Some(model), Some(output)) => value::has_sensitive(&page.value, model, output.shape),
            // nothing is known of it
            _ => !page.value.is_null(),
        }
    }

    /// The answer of an earlier attempt.
    pub(crate) fn answer(&self, key: &Key) -> Option<Answer> {
        let known = self.known.get(&key.digest())?;
        let file = self.before.get(known.file)?;
        let bytes = {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // what cannot be read any more is asked again
            file::read_at(&mut file, known.place).ok()?
        };
        let record = Record::parse(&bytes).filter(|r| r.key == *key)?;
        self.answered.fetch_add(1, Ordering::Relaxed);
        Some(record.answer)
    }

    /// Keeps an answer. Nothing more is kept after one could not be.
    pub(crate) fn note(&self, key: &Key, answer: &Answer, at: Timestamp) {
        let bytes = Record::bytes(key, answer, at);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(open) = writer.as_mut()
            && let Err(trouble) = open.add(&bytes)
        {
            *writer = Err(trouble);
        }
    }
}

/// Who the credentials belong to, and what is waited for, is asked each time.
fn takes(rules: &Rules, service: &str, operation: &str) -> bool {
    let call = (service.to_owned(), operation.to_owned());
    service != "sts" && !rules.asked_again.contains(&call)
}

/// What AWS answered; "there is none" is an answer.
fn is_answer(rules: &Rules, key: &Key, answer: &Answer) -> bool {
    let Err(error) = answer else {
        return true;
    };
    let call = (key.service.clone(), key.operation.clone());
    let mut known = rules.absent.get(&call).into_iter().flatten();
    known.any(|known| match known.split_once(": ") {
        None => *known == error.code,
        Some((code, text)) => code == error.code && error.message.contains(text),
    })
}

/// Files that are being read.
struct Loading<'l> {
    about: &'l About,
    rules: &'l Rules,
    since: i64,
    all: HashMap<Digest, Known>,
    files: Vec<Mutex<File>>,
}

impl<'l> Loading<'l> {
    fn new(about: &'l About, rules: &'l Rules) -> Self {
        Self {
            about,
            rules,
            since: (rules.clock)().as_micros().saturating_sub(HOLDS),
            all: HashMap::new(),
            files: Vec::new(),
        }
    }

    /// Takes what a file holds, up to where it is damaged.
    fn file(&mut self, path: &Path) -> Result<(), JournalError> {
        let number = self.files.len();
        let mut is_head = true;
        let read = file::read(path, |place, bytes| {
            if std::mem::take(&mut is_head) {
                return self.head(path, bytes);
            }
            // a record of another build that has the same version
            if let Some(record) = Record::parse(bytes).filter(|r| self.fits(r)) {
                self.take(number, place, record);
            }
            Ok(())
        });
        match read {
            Ok(file) => {
                self.files.push(Mutex::new(file));
                Ok(())
            }
            Err(error) => {
                if let Ok(file) = File::open(path) {
                    self.files.push(Mutex::new(file));
                }
                Err(error)
            }
        }
    }

    fn head(&self, path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
        let foreign = |reason: String| JournalError::Foreign {
            path: path.to_owned(),
            reason,
        };
        let head: Head = serde_json::from_slice(bytes).map_err(|e| foreign(e.to_string()))?;
        let (found, wanted) = (&head.about, self.about);
        let differs = [
            (found.account_id != wanted.account_id, "another account"),
            (found.run != wanted.run, "another run"),
            (found.part != wanted.part, "another part of the account"),
            (head.format != FORMAT, "another format"),
            (
                found.palisade != wanted.palisade,
                "another version of Palisade",
            ),
            (found.catalog != wanted.catalog, "another catalogue"),
        ];
        match differs.iter().find(|(is, _)| *is) {
            None => Ok(()),
            Some((_, what)) => Err(foreign(format!("it is of {what}"))),
        }
    }

    /// Whether the answer is what the models say of the operation.
    fn fits(&self, record: &Record) -> bool {
        let Ok(model) = self.rules.models.get(&record.key.service) else {
            return false;
        };
        let Some(operation) = model.operation(&record.key.operation) else {
            return false;
        };
        match (&record.answer, &operation.output) {
            (Err(_), _) => is_answer(self.rules, &record.key, &record.answer),
            (Ok(page), None) => page.value.is_null(),
            (Ok(page), Some(output)) => value::is_of(&page.value, &model, output.shape),
        }
    }

    fn take(&mut self, file: usize, place: Place, record: Record) {
        let Record { key, at, answer } = record;
        let usable =
            at.as_micros() >= self.since && takes(self.rules, &key.service, &key.operation);
        // a list that a later attempt made again has tokens of its own
        let own = key.digest();
        if self.all.get(&own).is_some_and(|known| known.at > at) || !usable {
            return;
        }
        let is_first = self.is_first(&key);
        let next = answer.ok().and_then(|page| page.next);
        let next = next.map(|next| Key {
            params: canonical(&next),
            ..key
        });
        let known = Known {
            own,
            file,
            place,
            at,
            next: next.map(|next| next.digest()),
            is_first,
        };
        self.all.insert(own, known);
    }

    /// What can be used: answers that are whole. A page is of use when all pages that follow are there, as its token may
    /// have expired, and when somebody can come to it: from a first page, whose parameters have no token.
    fn finish(mut self) -> (HashMap<Digest, Known>, Vec<Mutex<File>>) {
        let mut whole: HashSet<Digest> = HashSet::new();
        for first in self.all.values().filter(|known| known.is_first) {
            let mut chain = HashSet::from([first.own]);
            let mut at = first;
            let is_whole = loop {
                let Some(next) = at.next else {
                    break true;
                };
                match self.all.get(&next) {
                    // a page that leads back to one before it never ends
                    Some(known) if chain.insert(next) => at = known,
                    _ => break false,
                }
            };
            if is_whole {
                whole.extend(chain);
            }
        }
        self.all.retain(|key, _| whole.contains(key));
        (self.all, self.files)
    }

    fn is_first(&self, key: &Key) -> bool {
        let model = self.rules.models.get(&key.service);
        let Some(operation) = model
            .as_ref()
            .ok()
            .and_then(|m| m.operation(&key.operation))
        else {
            return false;
        };
        let Some(pages) = &operation.pagination else {
            return true;
        };
        let params: Map<String, Json> = serde_json::from_str(&key.params).unwrap_or_default();
        !pages.input_tokens.iter().any(|t| params.contains_key(t))
    }
}
