//! Who asks for what on what.

use crate::context::Context;

/// The kind of a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are AWS's own words")]
pub enum PrincipalKind {
    User,
    Role,
    /// A session of a role.
    AssumedRole,
    /// A session of a federated user (`sts:GetFederationToken`).
    FederatedUser,
    Root,
    /// An AWS service.
    Service,
    /// A web or SAML identity before it has assumed a role.
    Federated,
    Anonymous,
}

/// A principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The kind.
    pub kind: PrincipalKind,
    /// The ARN; for a service its name, for a federated identity its provider.
    pub arn: String,
    /// `AIDA…` or `AROA…`, when known.
    pub unique_id: Option<String>,
    account: Option<String>,
    /// For a session: the role's ARN when known, else its name (sessions do not say the role's path).
    role: Option<String>,
}

impl Principal {
    /// A principal from its ARN, a service's name, or `*` for an anonymous caller.
    pub fn new(text: &str) -> Self {
        let mut fields = text.splitn(6, ':');
        let parts = [
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
        ];
        let (kind, account, role) = match parts {
            [
                Some("arn"),
                _,
                Some(service),
                _,
                Some(account),
                Some(resource),
            ] => {
                let (head, tail) = resource.split_once('/').unwrap_or((resource, ""));
                let kind = match (service, head) {
                    ("iam", "root") => PrincipalKind::Root,
                    ("iam", "role") => PrincipalKind::Role,
                    ("iam", "oidc-provider" | "saml-provider") => PrincipalKind::Federated,
                    ("sts", "assumed-role") => PrincipalKind::AssumedRole,
                    ("sts", "federated-user") => PrincipalKind::FederatedUser,
                    _ => PrincipalKind::User,
                };
                let role = (kind == PrincipalKind::AssumedRole)
                    .then(|| tail.split('/').next().unwrap_or_default().to_owned());
                (kind, Some(account.to_owned()), role)
            }
            _ if text.is_empty() || text == "*" => (PrincipalKind::Anonymous, None, None),
            _ if text.ends_with(".amazonaws.com")
                || text.ends_with(".amazonaws.com.cn")
                || text.ends_with(".amazon.com") && !text.starts_with("www.") =>
            {
                (PrincipalKind::Service, None, None)
            }
            _ => (PrincipalKind::Federated, None, None),
        };
        Self {
            kind,
            arn: text.to_owned(),
            unique_id: None,
            account,
            role,
        }
    }

    /// A caller without credentials.
    pub fn anonymous() -> Self {
        Self::new("*")
    }

    /// Says which role a session belongs to, when its ARN has a path.
    #[must_use]
    pub fn with_role_arn(mut self, arn: &str) -> Self {
        self.role = Some(arn.to_owned());
        self
    }

    /// The account, when there is one.
    pub fn account(&self) -> Option<&String> {
        self.account.as_ref()
    }

    /// Whether the principal belongs to an account (not a service, a provider or an anonymous caller).
    pub fn is_iam(&self) -> bool {
        !matches!(
            self.kind,
            PrincipalKind::Service | PrincipalKind::Federated | PrincipalKind::Anonymous
        )
    }

    /// Whether the principal is a role or a session of one.
    pub fn is_role(&self) -> bool {
        matches!(self.kind, PrincipalKind::Role | PrincipalKind::AssumedRole)
    }

    /// Whether it is a service-linked role: these have a fixed path, and no SCP or RCP applies to them.
    pub fn is_service_linked(&self) -> bool {
        match self.kind {
            PrincipalKind::Role => self.arn.contains(":role/aws-service-role/"),
            PrincipalKind::AssumedRole => match &self.role {
                Some(role) if role.contains(":role/") => role.contains(":role/aws-service-role/"),
                Some(name) => name.starts_with("AWSServiceRoleFor"),
                None => false,
            },
            _ => false,
        }
    }

    /// Whether `arn` is the role of this session, or this role.
    pub(crate) fn role_arn_matches(&self, arn: &str) -> bool {
        match (&self.role, self.kind) {
            (Some(role), PrincipalKind::AssumedRole) if role.contains(":role/") => role == arn,
            (Some(name), PrincipalKind::AssumedRole) => {
                let mut fields = arn.splitn(6, ':');
                let (service, account, resource) = (fields.nth(2), fields.nth(1), fields.next());
                service == Some("iam")
                    && account == self.account.as_deref()
                    && resource.is_some_and(|r| {
                        r.starts_with("role/") && r.rsplit('/').next() == Some(name)
                    })
            }
            _ => false,
        }
    }
}

/// A request to be decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Who asks.
    pub principal: Principal,
    /// The action, for example `s3:GetObject`; case is ignored.
    pub action: String,
    /// The resource's ARN, or `*` for actions without one.
    pub resource: String,
    /// The account that owns the resource; when `None` it is read from the ARN, else taken to be the caller's.
    pub resource_account: Option<String>,
    /// The context keys.
    pub context: Context,
}
