"""KMS, Secrets Manager, SSM parameters, ACM."""

from .base import ACCOUNT, HOME, allow, document, tags

ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def own_policy(*statements):
    """A key policy that leaves access to the account's IAM policies, and what is given."""
    return document(allow("kms:*", principal=ROOT, sid="AccountAdministers"), *statements)


def key(account, region, alias, about, rotation=False, policy=None, disabled=False, multi_region=False, spec=None, **labels):
    """A customer-managed key with an alias; returns its ARN."""
    kms = account.client("kms", region)
    extra = {"KeySpec": spec, "KeyUsage": "SIGN_VERIFY"} if spec else {}
    made = kms.create_key(
        Description=about, Policy=policy or own_policy(), MultiRegion=multi_region,
        Tags=[{"TagKey": k, "TagValue": v} for k, v in labels.items()], **extra,
    )["KeyMetadata"]
    kms.create_alias(AliasName=f"alias/{alias}", TargetKeyId=made["KeyId"])
    if rotation:
        kms.enable_key_rotation(KeyId=made["KeyId"])
    if disabled:
        kms.disable_key(KeyId=made["KeyId"])
    return made["Arn"]


def secret(account, region, name, rotated_by=None, every_days=30, key_id=None, policy=None, **labels):
    manager = account.client("secretsmanager", region)
    extra = {"KmsKeyId": key_id} if key_id else {}
    manager.create_secret(Name=name, SecretString="not-a-real-secret", Tags=tags(**labels), **extra)
    if rotated_by:
        manager.rotate_secret(SecretId=name, RotationLambdaARN=rotated_by, RotationRules={"AutomaticallyAfterDays": every_days})
    if policy:
        manager.put_resource_policy(SecretId=name, ResourcePolicy=policy)


def parameter(account, region, name, value, secure=False):
    account.client("ssm", region).put_parameter(Name=name, Value=value, Type="SecureString" if secure else "String")


def certificate(account, region, domain, names=(), renewed=None, **labels):
    """A certificate that AWS issues; returns its ARN. `renewed`: when it was issued last, as moto never renews."""
    extra = {"SubjectAlternativeNames": list(names)} if names else {}
    now = account.now
    if renewed:
        account.clock(renewed)
    made = account.client("acm", region).request_certificate(DomainName=domain, ValidationMethod="DNS", Tags=tags(**labels) or tags(domain), **extra)
    if renewed:
        account.clock(now)
    return made["CertificateArn"]


def imported_certificate(account, domain, bits, not_before, not_after, region=HOME):
    """A self-signed certificate that was imported, with its dates; returns its ARN."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    builder = builder.serial_number(20240304).not_valid_before(not_before).not_valid_after(not_after)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
    signed = builder.sign(private, hashes.SHA256())
    made = account.client("acm", region).import_certificate(
        Certificate=signed.public_bytes(serialization.Encoding.PEM),
        PrivateKey=private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ),
    )
    return made["CertificateArn"]
