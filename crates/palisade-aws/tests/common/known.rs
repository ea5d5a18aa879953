//! Protocol cases that fail, each with the reason. `docs/conformance-aws.md` shows the same list.

/// (direction/suite/case, why).
pub const FAILURES: &[(&str, &str)] = &[
    (
        "input/ec2/SDKAppendsGzipAndIgnoresHttpProvidedEncoding_ec2Query",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/ec2/SDKAppliedContentEncoding_ec2Query",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/json/SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_1",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/json/SDKAppliedContentEncoding_awsJson1_1",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/json_1_0/SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_0",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/json_1_0/SDKAppliedContentEncoding_awsJson1_0",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/query/QueryFlattenedListArgWithXmlName",
        "a flattened list with two names: the model cannot say which one counts; botocore skips the case, too",
    ),
    (
        "input/query/SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsQuery",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/query/SDKAppliedContentEncoding_awsQuery",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/rest-json/DocumentTypeAsPayloadInput",
        "AWS's codec leaves out a document that is the whole body; no operation has one; botocore skips the case, too",
    ),
    (
        "input/rest-json/DocumentTypeAsPayloadInputString",
        "AWS's codec leaves out a document that is the whole body; no operation has one; botocore skips the case, too",
    ),
    (
        "input/rest-json/RestJsonHttpChecksumRequired",
        "we send CRC-32 where a checksum is required, the case asks for MD5; botocore skips the case, too",
    ),
    (
        "input/rest-json/SDKAppendedGzipAfterProvidedEncoding_restJson1",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/rest-json/SDKAppliedContentEncoding_restJson1",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/rest-xml/BodyWithXmlName",
        "the model has lost the structure's own XML name; botocore skips the case, too",
    ),
    (
        "input/rest-xml/HttpPayloadWithXmlName",
        "the model has lost the structure's own XML name; botocore skips the case, too",
    ),
    (
        "input/rest-xml/HttpPayloadWithXmlNamespace",
        "the model has lost the structure's own XML name; botocore skips the case, too",
    ),
    (
        "input/rest-xml/HttpPayloadWithXmlNamespaceAndPrefix",
        "the model has lost the structure's own XML name; botocore skips the case, too",
    ),
    (
        "input/rest-xml/RestXmlHttpPayloadWithUnion",
        "the model has lost the structure's own XML name; botocore skips the case, too",
    ),
    (
        "input/rest-xml/SDKAppendedGzipAfterProvidedEncoding_restXml",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/rest-xml/SDKAppliedContentEncoding_restXml",
        "request compression is not implemented: no operation that reads asks for it",
    ),
    (
        "input/rest-xml/XmlAttributesOnPayload",
        "the model has lost the structure's own XML name; botocore skips the case, too",
    ),
    (
        "output/ec2/Ec2XmlLists",
        "a flattened list with two names: the model cannot say which one counts; botocore skips the case, too",
    ),
    (
        "output/query/QueryXmlLists",
        "a flattened list with two names: the model cannot say which one counts; botocore skips the case, too",
    ),
    (
        "output/rest-json/MediaTypeHeaderOutputBase64",
        "JSON in a header is decoded, the case wants its text; botocore skips the case, too",
    ),
    (
        "output/rest-xml/BodyWithXmlName",
        "the model has lost the structure's own XML name; botocore skips the case, too",
    ),
    (
        "output/rest-xml/XmlLists",
        "a flattened list with two names: the model cannot say which one counts; botocore skips the case, too",
    ),
];
