//! Where findings go, with everything that is needed to get there.
use crate::filter::Filter;
use crate::secret::Secret;
use std::time::Duration;

/// Where findings go.
#[derive(Debug, Clone)]
pub struct Destination {
    /// As the user calls it.
    pub name: String,
    /// Which findings it gets.
    pub filter: Filter,
    /// What it is.
    pub kind: Kind,
}

/// What a destination is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// AWS Security Hub.
    SecurityHub(SecurityHub),
    /// A topic of Amazon SNS.
    Sns(Sns),
    /// A bus of Amazon EventBridge.
    EventBridge(EventBridge),
    /// An incoming webhook of Slack.
    Slack(Slack),
    /// Any webhook.
    Webhook(Webhook),
    /// Jira, Cloud or Data Center.
    Jira(Jira),
}

impl Kind {
    /// As configuration files and messages call it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::SecurityHub(_) => "securityhub",
            Self::Sns(_) => "sns",
            Self::EventBridge(_) => "eventbridge",
            Self::Slack(_) => "slack",
            Self::Webhook(_) => "webhook",
            Self::Jira(_) => "jira",
        }
    }
    /// Whether it takes credentials of AWS.
    pub const fn is_aws(&self) -> bool {
        matches!(
            self,
            Self::SecurityHub(_) | Self::Sns(_) | Self::EventBridge(_)
        )
    }
    /// Whether it cannot be asked what it was told, so that somebody has to remember.
    pub const fn needs_state(&self) -> bool {
        !matches!(self, Self::SecurityHub(_) | Self::Jira(_))
    }
}

/// AWS Security Hub.
#[derive(Debug, Clone)]
pub struct SecurityHub {
    /// All findings go to the hub of this region; absent: each to its own region's.
    pub region: Option<String>,
    /// Archive what is over.
    pub archive: bool,
}

impl Default for SecurityHub {
    fn default() -> Self {
        Self {
            region: None,
            archive: true,
        }
    }
}

/// What subscribers of a topic get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnsMessage {
    /// The findings, for programs.
    Json,
    /// A summary, for people.
    Text,
}

/// A topic of Amazon SNS.
#[derive(Debug, Clone)]
pub struct Sns {
    /// The topic; its region and account are in it.
    pub topic_arn: String,
    /// What its subscribers get.
    pub message: SnsMessage,
}

/// A bus of Amazon EventBridge.
#[derive(Debug, Clone)]
pub struct EventBridge {
    /// Name or ARN.
    pub bus: String,
    /// The events' source.
    pub source: String,
    /// The bus's region; absent: that of the ARN or of the credentials.
    pub region: Option<String>,
}

/// An incoming webhook of Slack.
#[derive(Debug, Clone)]
pub struct Slack {
    /// Its URL.
    pub url: Secret,
    /// How many findings are shown, from 0 to 20; all are counted.
    pub findings: usize,
    /// Time for a request.
    pub timeout: Duration,
}

/// Any webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its URL.
    pub url: Secret,
    /// Headers and their values.
    pub headers: Vec<(String, Secret)>,
    /// Key of the signature.
    pub key: Option<Secret>,
    /// Time for a request.
    pub timeout: Duration,
}

/// Which of Jira's interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JiraApi {
    /// REST 2, of Data Center: texts in wiki markup.
    V2,
    /// REST 3, of Cloud: texts as documents.
    V3,
}

/// Jira, Cloud or Data Center.
#[derive(Debug, Clone)]
pub struct Jira {
    /// For example `https://example.atlassian.net`.
    pub url: String,
    /// Which of its interfaces.
    pub api: JiraApi,
    /// Key of the project.
    pub project: String,
    /// Name of the issues' type.
    pub issue_type: String,
    /// User that the token is of (Cloud); absent: the token alone (Data Center).
    pub user: Option<Secret>,
    /// API token or personal access token.
    pub token: Secret,
    /// Name of the transition that closes an issue; absent: only a comment says that it is fixed.
    pub close: Option<String>,
    /// Time for a request.
    pub timeout: Duration,
}
