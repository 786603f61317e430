//! Records: the one schema of facts (design §5). Replica and simulator emit each fact once; tables,
//! traces, metrics and checks are folds over the stream. On disk a record is a frame of 64 bytes
//! with a checksum; `laconic records` prints them as JSON lines. Beside them stands what clients
//! saw, which no replica knows: [`ClientRequest`].

mod ends;
mod fact;
mod file;
mod folder;
pub mod frame;
mod history;
mod json;
mod run;
mod text;

pub use ends::{Ends, MessageEnd, MessageId};
pub use fact::{
    AnswerKind, Fact, Fate, Record, RequestId, SIMULATOR, Sink, Work, deposed_name, request_id,
    why_name, why_words,
};
pub use file::{FileHeader, ReadRecords, RecordFile, RecordFileError, RecordReader, read_records};
pub use folder::RunFiles;
pub use frame::VERSION;
pub use history::{ClientRequest, HistoryError, OperationKind, read_history};
pub use json::{fact_json, json_line};
pub use run::RunRecords;
