//! The file: records one after the other, each with its length and checksum. Records are only ever added.
//!
//! A record: length (4 bytes, little-endian), the length's checksum (4), the content's checksum (8), the content in zstd.
//! The length has a checksum of its own so that one that was changed is told from a record that was cut off.
use crate::error::JournalError;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// What the file begins with.
const MAGIC: &[u8; 8] = b"PALJRNL1";
/// Bytes before a record's content.
const HEAD: usize = 16;
/// Answers are compressed while AWS is waited for: quickly rather than well.
const LEVEL: i32 = 1;
/// No answer of AWS's is longer.
const LONGEST: usize = 1 << 30;

fn checksum<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let digest = Sha256::digest(bytes);
    std::array::from_fn(|i| digest.get(i).copied().unwrap_or_default())
}

/// Adds records.
pub(crate) struct Writer {
    file: File,
    path: PathBuf,
    compressor: zstd::bulk::Compressor<'static>,
    /// Where the next record begins.
    end: u64,
}

impl Writer {
    /// A new file, for its owner alone.
    pub(crate) fn create(path: &Path) -> Result<Self, JournalError> {
        let failed = |e| JournalError::file("write", path, e);
        let mut options = OpenOptions::new();
        options.create_new(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        file.write_all(MAGIC).map_err(failed)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            compressor: zstd::bulk::Compressor::new(LEVEL).map_err(failed)?,
            end: MAGIC.len() as u64,
        })
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, content: &[u8]) -> Result<(), JournalError> {
        let added = self.try_add(content);
        added.map_err(|e| JournalError::file("write", &self.path, e))
    }

    fn try_add(&mut self, content: &[u8]) -> std::io::Result<()> {
        let packed = self.compressor.compress(content)?;
        let length = u32::try_from(packed.len()).map_err(|_| ErrorKind::FileTooLarge)?;
        let mut record = Vec::with_capacity(HEAD + packed.len());
        record.extend(length.to_le_bytes());
        record.extend(checksum::<4>(&length.to_le_bytes()));
        record.extend(checksum::<8>(&packed));
        record.extend(packed);
        // one write: what is killed in between has left the record or a part of it, which is seen by its length
        if let Err(e) = self.file.write_all(&record) {
            // a part of a record must not stand before others (a disk that was full for a moment)
            let _ = self.file.set_len(self.end);
            return Err(e);
        }
        self.end += record.len() as u64;
        Ok(())
    }
}

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    at: u64,
    length: usize,
}

/// Reads a record that was found before.
pub(crate) fn read_at(file: &mut File, place: Place) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(place.at + HEAD as u64))?;
    let mut packed = vec![0; place.length];
    file.read_exact(&mut packed)?;
    unpack(&packed)
}

fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut decoder = zstd::Decoder::new(packed)?.take(LONGEST as u64);
    decoder.read_to_end(&mut content)?;
    Ok(content)
}

/// Shows every record of a file, until `each` wants no more. A record that was cut off at the end is none; where one is
/// damaged the records before it were shown, and the error says where.
///
/// # Errors
/// When the file cannot be read, is no journal, or is damaged.
pub(crate) fn read(
    path: &Path,
    mut each: impl FnMut(Place, &[u8]) -> Result<(), JournalError>,
) -> Result<File, JournalError> {
    let failed = |e| JournalError::file("read", path, e);
    let file = File::open(path).map_err(failed)?;
    let whole = file.metadata().map_err(failed)?.len();
    let mut input = BufReader::new(file);
    let mut magic = [0; MAGIC.len()];
    if whole < magic.len() as u64 {
        // killed while it was made
        return Ok(input.into_inner());
    }
    input.read_exact(&mut magic).map_err(failed)?;
    if magic != *MAGIC {
        return Err(JournalError::Foreign {
            path: path.to_owned(),
            reason: "it is no journal of this version".to_owned(),
        });
    }
    let mut at = magic.len() as u64;
    // what is added while it is read is left alone
    while whole - at >= HEAD as u64 {
        let damaged = |reason: &str| JournalError::Damaged {
            path: path.to_owned(),
            at,
            reason: reason.to_owned(),
        };
        let (mut length, mut of_length, mut of_content) = ([0; 4], [0; 4], [0; 8]);
        for part in [&mut length[..], &mut of_length, &mut of_content] {
            input.read_exact(part).map_err(failed)?;
        }
        if of_length != checksum::<4>(&length) {
            return Err(damaged("the length of a record is not what was written"));
        }
        let length = u64::from(u32::from_le_bytes(length));
        let end = at + HEAD as u64 + length;
        if end > whole {
            break;
        }
        let length = usize::try_from(length).map_err(|_| damaged("a record is too long"))?;
        let mut packed = vec![0; length];
        input.read_exact(&mut packed).map_err(failed)?;
        if of_content != checksum::<8>(&packed) {
            return Err(damaged("a record is not what was written"));
        }
        let content = unpack(&packed).map_err(|e| damaged(&e.to_string()))?;
        each(Place { at, length }, &content)?;
        at = end;
    }
    Ok(input.into_inner())
}
