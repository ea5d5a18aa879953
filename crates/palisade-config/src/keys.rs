//! The settings that there are: one table for the file, the environment, the flags, `config show` and the schema.

/// What kind of value a setting has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// One of a closed set of words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of words of a closed set.
    Words(&'static [&'static str]),
    /// true or false
    Boolean,
    /// A whole number, from and to.
    Integer(i64, i64),
}

/// What the names in a value name, where the catalogue knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Anything,
    Checks,
    Services,
    Frameworks,
    Regions,
    Accounts,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The table of the file.
    pub table: &'static str,
    /// The key in the table.
    pub name: &'static str,
    /// The name of the flag, without `--`.
    pub flag: &'static str,
    /// The identifier of the command line's argument.
    pub argument: &'static str,
    /// Its value.
    pub kind: Kind,
    pub(crate) names: Names,
    /// What it does.
    pub about: &'static str,
    /// When nobody sets it, as TOML; empty when it has none.
    pub default: &'static str,
    /// Not for the eyes of bystanders.
    pub secret: bool,
}

impl Key {
    /// `table.name`
    pub fn path(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }
}

pub(crate) const SEVERITIES: &[&str] = &["informational", "low", "medium", "high", "critical"];
const CATEGORIES: &[&str] = &[
    "identity",
    "network",
    "data",
    "keys",
    "secrets",
    "logging",
    "monitoring",
    "patching",
    "compute",
    "edge",
    "resilience",
    "governance",
];

pub(crate) const fn key(
    table: &'static str,
    name: &'static str,
    flag: &'static str,
    argument: &'static str,
    kind: Kind,
    about: &'static str,
) -> Key {
    Key {
        table,
        name,
        flag,
        argument,
        kind,
        names: Names::Anything,
        about,
        default: "",
        secret: false,
    }
}

impl Key {
    pub(crate) const fn naming(mut self, names: Names) -> Self {
        self.names = names;
        self
    }
    pub(crate) const fn or(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }
    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// Every setting, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    key(
        "select",
        "checks",
        "check",
        "check",
        Kind::Texts,
        "Check ids, patterns (`s3-*`), other tools' ids (`prowler:ID`).",
    )
    .naming(Names::Checks)
    .or("[]"),
    key(
        "select",
        "services",
        "service",
        "service",
        Kind::Texts,
        "All checks of these services.",
    )
    .naming(Names::Services)
    .or("[]"),
    key(
        "select",
        "frameworks",
        "framework",
        "framework",
        Kind::Texts,
        "All checks of these frameworks, with the parameters that these demand.",
    )
    .naming(Names::Frameworks)
    .or("[]"),
    key(
        "select",
        "categories",
        "category",
        "category",
        Kind::Words(CATEGORIES),
        "All checks of these categories.",
    )
    .or("[]"),
    key(
        "select",
        "severity",
        "severity",
        "severity",
        Kind::Word(SEVERITIES),
        "Only checks of this severity or worse.",
    ),
    key(
        "select",
        "exclude",
        "exclude",
        "exclude",
        Kind::Texts,
        "Check ids or patterns to leave out.",
    )
    .naming(Names::Checks)
    .or("[]"),
    key(
        "target",
        "profile",
        "profile",
        "profile",
        Kind::Text,
        "Profile of the AWS configuration files.",
    ),
    key(
        "target",
        "regions",
        "region",
        "region",
        Kind::Texts,
        "Regions, or `all` for every region that is enabled in the account.",
    )
    .naming(Names::Regions)
    .or("[]"),
    key(
        "target",
        "role_arn",
        "role-arn",
        "role_arn",
        Kind::Text,
        "Role to assume.",
    ),
    key(
        "target",
        "external_id",
        "external-id",
        "external_id",
        Kind::Text,
        "External id for the role.",
    )
    .secret(),
    key(
        "target",
        "session_name",
        "session-name",
        "session_name",
        Kind::Text,
        "Session name for the role.",
    ),
    key(
        "target",
        "session_duration",
        "session-duration",
        "session_duration",
        Kind::Integer(900, 43200),
        "How long the credentials of an assumed role last, in seconds.",
    ),
    key(
        "target",
        "endpoint_url",
        "endpoint-url",
        "endpoint_url",
        Kind::Text,
        "Send every call to this endpoint.",
    ),
    key(
        "target",
        "max_in_flight",
        "max-in-flight",
        "max_in_flight",
        Kind::Integer(1, 1024),
        "Calls in flight at once, over all services and regions.",
    )
    .or("64"),
    key(
        "organization",
        "enabled",
        "organization",
        "organization",
        Kind::Boolean,
        "Read every active account of the organisation.",
    )
    .or("false"),
    key(
        "organization",
        "accounts",
        "accounts",
        "accounts",
        Kind::Texts,
        "Read these accounts, without asking AWS Organizations.",
    )
    .naming(Names::Accounts)
    .or("[]"),
    key(
        "organization",
        "role",
        "organization-role",
        "organization_role",
        Kind::Text,
        "Name of the role that is assumed in each account.",
    )
    .or("\"palisade-read\""),
    key(
        "organization",
        "include_accounts",
        "include-account",
        "include_account",
        Kind::Texts,
        "Only these accounts.",
    )
    .naming(Names::Accounts)
    .or("[]"),
    key(
        "organization",
        "exclude_accounts",
        "exclude-account",
        "exclude_account",
        Kind::Texts,
        "Accounts to leave out.",
    )
    .naming(Names::Accounts)
    .or("[]"),
    key(
        "organization",
        "include_ous",
        "include-ou",
        "include_ou",
        Kind::Texts,
        "Only accounts in these organisational units or below them, by id or path (`Root/Prod`).",
    )
    .or("[]"),
    key(
        "organization",
        "exclude_ous",
        "exclude-ou",
        "exclude_ou",
        Kind::Texts,
        "Organisational units to leave out, with all below them.",
    )
    .or("[]"),
    key(
        "organization",
        "include_tags",
        "include-account-tag",
        "include_account_tag",
        Kind::Texts,
        "Only accounts with one of these tags (`Key=Value`).",
    )
    .or("[]"),
    key(
        "organization",
        "exclude_tags",
        "exclude-account-tag",
        "exclude_account_tag",
        Kind::Texts,
        "Leave out accounts with one of these tags (`Key=Value`).",
    )
    .or("[]"),
    key(
        "organization",
        "max_accounts",
        "max-accounts",
        "max_accounts",
        Kind::Integer(1, 64),
        "Accounts that are read at once.",
    )
    .or("8"),
    key(
        "report",
        "format",
        "format",
        "format",
        Kind::Text,
        "Format of the report.",
    )
    .or("\"text\""),
    key(
        "report",
        "output",
        "output",
        "output",
        Kind::Texts,
        "Where the report is written to, instead of stdout: `FORMAT=PATH` or `PATH`, also `s3://BUCKET/KEY`, as often as wanted.",
    ),
    key(
        "report",
        "all",
        "all",
        "all",
        Kind::Boolean,
        "List every failed resource in the text report.",
    )
    .or("false"),
    key(
        "report",
        "evidence",
        "evidence",
        "evidence",
        Kind::Boolean,
        "Attach the deciding values to all findings, not only to failed ones.",
    )
    .or("false"),
    key(
        "report",
        "send",
        "send",
        "send",
        Kind::Texts,
        "Where the findings are sent after a scan: names of `[send.NAME]`, or `securityhub`.",
    )
    .or("[]"),
    key(
        "snapshots",
        "store",
        "store",
        "store",
        Kind::Text,
        "Where snapshots are kept: a folder, or `s3://BUCKET/PREFIX`.",
    ),
    key(
        "exit",
        "fail_on",
        "fail-on",
        "fail_on",
        Kind::Word(SEVERITIES),
        "Exit with 3 when there is a failed finding of this severity or worse.",
    ),
    key(
        "exit",
        "strict",
        "strict",
        "strict",
        Kind::Boolean,
        "Exit with 4 when something that was planned could not be read.",
    )
    .or("false"),
    key(
        "mute",
        "file",
        "mutes",
        "mutes",
        Kind::Text,
        "File with mutes; relative to the file that names it.",
    ),
    key(
        "mute",
        "baseline",
        "baseline",
        "baseline",
        Kind::Text,
        "Baseline: what failed then does not count; relative to the file that names it.",
    ),
    key(
        "attest",
        "file",
        "attestations",
        "attestations",
        Kind::Text,
        "File with attestations and reviews; relative to the file that names it.",
    ),
    key(
        "fix",
        "role_arn",
        "role-arn",
        "role_arn",
        Kind::Text,
        "Role that applies and takes back, in place of `target.role_arn`.",
    ),
    key(
        "fix",
        "account_role",
        "account-role",
        "account_role",
        Kind::Text,
        "Name of the role that applies and takes back in every other account.",
    ),
    key(
        "fix",
        "protect",
        "protect",
        "protect",
        Kind::Texts,
        "ARNs or ids, with `*` and `?`, that are never changed.",
    )
    .or("[]"),
    key(
        "fix",
        "protect_tags",
        "protect-tag",
        "protect_tag",
        Kind::Texts,
        "Tags, `Key` or `Key=Value`, of resources that are never changed.",
    )
    .or("[]"),
    key(
        "fix",
        "production",
        "production",
        "production",
        Kind::Texts,
        "Accounts that only change when --allow names them.",
    )
    .or("[]"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_core::{Category, Severity};

    #[test]
    fn the_words_are_those_of_the_types() {
        let severities: Vec<&str> = Severity::ALL.iter().map(|s| s.as_str()).collect();
        assert_eq!(SEVERITIES, severities);
        let categories: Vec<&str> = Category::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(CATEGORIES, categories);
    }
    #[test]
    fn every_default_is_a_value_of_its_kind() {
        for key in KEYS.iter().filter(|k| !k.default.is_empty()) {
            let line = format!("x = {}", key.default);
            assert!(line.parse::<toml::Table>().is_ok(), "{}", key.path());
        }
    }
}
