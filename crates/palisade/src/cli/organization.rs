//! The arguments for many accounts.
use clap::Args;

/// Which accounts, when it is more than one.
#[derive(Debug, Clone, Args, Default)]
pub struct OrganizationArgs {
    /// Read every active account of the organisation, through a role in each; the credentials are those of its management
    /// account or of a delegated administrator
    #[arg(long, group = "assumed", conflicts_with_all = ["demo", "replay", "record", "accounts"], help_heading = "Organisation", env = "PALISADE_ORGANIZATION", hide_env = true)]
    pub organization: bool,
    /// Read these accounts through a role in each, without asking AWS Organizations
    #[arg(long, value_name = "ID", group = "assumed", conflicts_with_all = ["demo", "replay", "record"], value_delimiter = ',', help_heading = "Organisation", env = "PALISADE_ACCOUNTS", hide_env = true)]
    pub accounts: Vec<String>,
    /// Name of the role that is assumed in each account; the account whose credentials were given needs none
    #[arg(
        long,
        value_name = "NAME",
        default_value = "palisade-read",
        help_heading = "Organisation",
        env = "PALISADE_ORGANIZATION_ROLE",
        hide_env = true
    )]
    pub organization_role: String,
    /// Only these accounts; may repeat
    #[arg(
        long,
        value_name = "ID",
        value_delimiter = ',',
        help_heading = "Organisation",
        env = "PALISADE_INCLUDE_ACCOUNT",
        hide_env = true
    )]
    pub include_account: Vec<String>,
    /// Leave out an account; may repeat
    #[arg(
        long,
        value_name = "ID",
        value_delimiter = ',',
        help_heading = "Organisation",
        env = "PALISADE_EXCLUDE_ACCOUNT",
        hide_env = true
    )]
    pub exclude_account: Vec<String>,
    /// Only accounts in this organisational unit or below it: its id or its path, such as `Root/Prod`; may repeat
    #[arg(
        long,
        value_name = "OU",
        value_delimiter = ',',
        help_heading = "Organisation",
        env = "PALISADE_INCLUDE_OU",
        hide_env = true
    )]
    pub include_ou: Vec<String>,
    /// Leave out the accounts in this organisational unit and below it; may repeat
    #[arg(
        long,
        value_name = "OU",
        value_delimiter = ',',
        help_heading = "Organisation",
        env = "PALISADE_EXCLUDE_OU",
        hide_env = true
    )]
    pub exclude_ou: Vec<String>,
    /// Only accounts with this tag; may repeat
    #[arg(
        long,
        value_name = "KEY=VALUE",
        value_delimiter = ',',
        help_heading = "Organisation",
        env = "PALISADE_INCLUDE_ACCOUNT_TAG",
        hide_env = true
    )]
    pub include_account_tag: Vec<String>,
    /// Leave out accounts with this tag; may repeat
    #[arg(
        long,
        value_name = "KEY=VALUE",
        value_delimiter = ',',
        help_heading = "Organisation",
        env = "PALISADE_EXCLUDE_ACCOUNT_TAG",
        hide_env = true
    )]
    pub exclude_account_tag: Vec<String>,
    /// Accounts that are read at once; --max-in-flight counts over all of them
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Organisation", env = "PALISADE_MAX_ACCOUNTS", hide_env = true)]
    pub max_accounts: u16,
}

impl OrganizationArgs {
    /// More than the account of the credentials is meant.
    pub fn is_asked(&self) -> bool {
        self.organization || !self.accounts.is_empty()
    }
}
