//! Prints how fast answers are decoded: `cargo run --release -p palisade-aws --example decode_speed`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints and may stop"
)]
use aws_smithy_runtime_api::http::Headers;
use palisade_aws::decode::Decoder;
use palisade_aws::encode::choose_protocol;
use palisade_model::{Model, Models};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// That of the binary.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let bytes = Models::embedded().get("ec2").unwrap().to_bytes().unwrap();
    let time = fastest(|| drop(black_box(Model::from_bytes("ec2", &bytes).unwrap())));
    println!(
        "ec2 model: decoded in {time:?} from {} kB",
        bytes.len() / 1024
    );

    let xml = security_groups(5_000);
    report(
        "EC2 XML, security groups",
        xml.len(),
        decode_time("ec2", "DescribeSecurityGroups", xml.as_bytes()),
    );
    let xml = instances(3_000);
    report(
        "EC2 XML, instances",
        xml.len(),
        decode_time("ec2", "DescribeInstances", xml.as_bytes()),
    );

    let json = functions(5_000);
    let ours = decode_time("lambda", "ListFunctions", json.as_bytes());
    let plain = fastest(|| {
        drop(black_box(
            serde_json::from_slice::<serde_json::Value>(json.as_bytes()).unwrap(),
        ));
    });
    report("Lambda JSON, functions", json.len(), ours);
    report("  serde_json::Value of the same", json.len(), plain);
    println!(
        "  {:.2} of its speed",
        plain.as_secs_f64() / ours.as_secs_f64()
    );
}

fn decode_time(service: &str, operation: &str, body: &[u8]) -> Duration {
    let model = Models::embedded().get(service).unwrap();
    let decoder = Decoder::new(model.clone(), choose_protocol(&model).unwrap());
    let operation = model.operation(operation).unwrap();
    let headers = Headers::new();
    fastest(|| {
        drop(black_box(
            decoder.answer(operation, 200, &headers, body).unwrap(),
        ))
    })
}

fn fastest(mut work: impl FnMut()) -> Duration {
    let once = |work: &mut dyn FnMut()| {
        let started = busy();
        work();
        busy().saturating_sub(started)
    };
    (0..15).map(|_| once(&mut work)).min().unwrap_or_default()
}

/// Time that this thread was running: on a busy machine the clock on the wall says little. Elsewhere than
/// on Linux it is the clock on the wall.
fn busy() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|n| n.parse().ok());
    nanos.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

fn report(what: &str, bytes: usize, time: Duration) {
    println!(
        "{what}: {:.1} MB at {:.0} MB/s",
        bytes as f64 / 1e6,
        bytes as f64 / 1e6 / time.as_secs_f64()
    );
}

fn security_groups(count: usize) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeSecurityGroupsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n    <requestId>1d62eae0-acdd-481d-88c9-example</requestId>\n    <securityGroupInfo>\n",
    );
    for n in 0..count {
        xml += &format!(
            "        <item>\n            <ownerId>123456789012</ownerId>\n            <groupId>sg-{n:017x}</groupId>\n            <groupName>web-{n}</groupName>\n            <groupDescription>Web &amp; API servers of stage {n}</groupDescription>\n            <vpcId>vpc-{n:017x}</vpcId>\n            <ipPermissions>\n"
        );
        for port in [22, 80, 443, 3306] {
            xml += &format!(
                "                <item>\n                    <ipProtocol>tcp</ipProtocol>\n                    <fromPort>{port}</fromPort>\n                    <toPort>{port}</toPort>\n                    <groups/>\n                    <ipRanges>\n                        <item>\n                            <cidrIp>10.{}.0.0/16</cidrIp>\n                            <description>internal</description>\n                        </item>\n                        <item>\n                            <cidrIp>0.0.0.0/0</cidrIp>\n                        </item>\n                    </ipRanges>\n                    <ipv6Ranges/>\n                    <prefixListIds/>\n                </item>\n",
                n % 256
            );
        }
        xml += "            </ipPermissions>\n            <ipPermissionsEgress/>\n            <tagSet>\n                <item>\n                    <key>stage</key>\n                    <value>production</value>\n                </item>\n            </tagSet>\n        </item>\n";
    }
    xml + "    </securityGroupInfo>\n</DescribeSecurityGroupsResponse>\n"
}

fn instances(count: usize) -> String {
    let mut xml = String::from(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><reservationSet>",
    );
    for n in 0..count {
        xml += &format!(
            "<item><reservationId>r-{n:017x}</reservationId><ownerId>123456789012</ownerId><groupSet/><instancesSet><item><instanceId>i-{n:017x}</instanceId><imageId>ami-0abcdef1234567890</imageId><instanceState><code>16</code><name>running</name></instanceState><privateDnsName>ip-10-0-0-{n}.ec2.internal</privateDnsName><dnsName>ec2-198-51-100-{n}.compute-1.amazonaws.com</dnsName><reason/><keyName>key</keyName><amiLaunchIndex>0</amiLaunchIndex><productCodes/><instanceType>m7g.large</instanceType><launchTime>2026-01-31T12:00:00.000Z</launchTime><placement><availabilityZone>us-east-1a</availabilityZone><groupName/><tenancy>default</tenancy></placement><monitoring><state>disabled</state></monitoring><subnetId>subnet-{n:017x}</subnetId><vpcId>vpc-{n:017x}</vpcId><privateIpAddress>10.0.0.1</privateIpAddress><sourceDestCheck>true</sourceDestCheck><groupSet><item><groupId>sg-1</groupId><groupName>web</groupName></item></groupSet><architecture>arm64</architecture><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-{n:017x}</volumeId><status>attached</status><attachTime>2026-01-31T12:00:00.000Z</attachTime><deleteOnTermination>true</deleteOnTermination></ebs></item></blockDeviceMapping><virtualizationType>hvm</virtualizationType><tagSet><item><key>Name</key><value>host-{n}</value></item></tagSet><ebsOptimized>true</ebsOptimized><metadataOptions><state>applied</state><httpTokens>required</httpTokens><httpPutResponseHopLimit>2</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint></metadataOptions></item></instancesSet></item>"
        );
    }
    xml + "</reservationSet></DescribeInstancesResponse>"
}

fn functions(count: usize) -> String {
    let one = |n: usize| {
        format!(
            "{{\"FunctionName\":\"function-{n}\",\"FunctionArn\":\"arn:aws:lambda:us-east-1:123456789012:function:function-{n}\",\"Runtime\":\"python3.13\",\"Role\":\"arn:aws:iam::123456789012:role/service-role/function-{n}\",\"Handler\":\"app.handler\",\"CodeSize\":{},\"Description\":\"handles \\\"orders\\\" of shop {n}\",\"Timeout\":30,\"MemorySize\":512,\"LastModified\":\"2026-01-31T12:00:00.000+0000\",\"CodeSha256\":\"NuKvPTfAmKrM4Sgsdfgsdfgsd5Fgsdfsdfgsdfg=\",\"Version\":\"$LATEST\",\"VpcConfig\":{{\"SubnetIds\":[\"subnet-1\",\"subnet-2\"],\"SecurityGroupIds\":[\"sg-1\"],\"VpcId\":\"vpc-1\",\"Ipv6AllowedForDualStack\":false}},\"Environment\":{{\"Variables\":{{\"STAGE\":\"production\",\"TABLE\":\"orders-{n}\",\"LOG_LEVEL\":\"info\"}}}},\"TracingConfig\":{{\"Mode\":\"Active\"}},\"RevisionId\":\"00000000-0000-4000-8000-{n:012}\",\"Layers\":[{{\"Arn\":\"arn:aws:lambda:us-east-1:123456789012:layer:base:7\",\"CodeSize\":1048576}}],\"PackageType\":\"Zip\",\"Architectures\":[\"arm64\"],\"EphemeralStorage\":{{\"Size\":512}},\"SnapStart\":{{\"ApplyOn\":\"None\",\"OptimizationStatus\":\"Off\"}}}}",
            n * 997
        )
    };
    format!(
        "{{\"Functions\":[{}]}}",
        (0..count).map(one).collect::<Vec<_>>().join(",")
    )
}
