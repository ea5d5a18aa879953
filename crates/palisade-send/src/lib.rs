//! Findings, sent to where people work: Security Hub, SNS, EventBridge, Slack, any webhook, Jira.
//!
//! Invariants: the same findings twice change nothing at the destination; what could not be read is never told as
//! fixed; no secret is in a message, an error or a dry run; text from the account is data in every message. Times
//! in messages are the scan's. Of the environment only the proxy's variables are read, and of clocks only timers, for
//! retries and timeouts.

mod changes;
mod deliver;
mod destination;
mod document;
mod eventbridge;
mod filter;
mod http;
mod jira;
mod secret;
mod securityhub;
mod slack;
mod sns;
mod state;
mod webhook;

pub use changes::{Closed, Place, Scope, Standing};
pub use deliver::{Aws, SendError, Sender, Sent};
pub use destination::{
    Destination, EventBridge, Jira, JiraApi, Kind, SecurityHub, Slack, Sns, SnsMessage, Webhook,
};
pub use filter::Filter;
pub use http::{Http, Policy};
pub use secret::{Secret, check_url};
pub use state::{Known, State, StateError};
pub use webhook::signature;
