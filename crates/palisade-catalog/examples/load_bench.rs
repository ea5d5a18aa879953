//! How long loading takes: `cargo run --release -p palisade-catalog --example load_bench [checks]`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that is run by hand"
)]
use palisade_catalog::{Source, load, validate_models};
use palisade_model::Models;
use std::time::{Duration, Instant};

/// Time on the processor of this process's main thread; a busy machine does not add to it.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Best and median of several runs, without dropping the result; the first is the time on the processor.
fn measure<T>(what: &str, runs: usize, mut run: impl FnMut() -> T) {
    let mut times: Vec<(Duration, Duration)> = (0..runs)
        .map(|_| {
            let (processor, start) = (on_processor(), Instant::now());
            let result = run();
            let times = (on_processor() - processor, start.elapsed());
            drop(result);
            times
        })
        .collect();
    times.sort();
    let best = times.first().unwrap();
    let median = times.get(runs / 2).unwrap();
    println!(
        "{what}: on the processor best {:.2?}, median {:.2?}; by the clock {:.2?}",
        best.0, median.0, best.1
    );
}

fn page(service: usize, check: usize) -> (String, String) {
    let id = format!("s{service}-thing-state-{check}");
    let why =
        "Anyone who finds the name can read what is stored, and nothing records that they did. "
            .repeat(4);
    let text = format!(
        "+++\ntitle = \"Thing {check} is in its state\"\nseverity = \"medium\"\nresource = \"s{service}_thing\"\ncategory = \"data\"\n\
         since = \"0.1.0\"\nsame_as = {{ prowler = [\"a_{service}_{check}\"], security_hub = [\"S{service}.{check}\"], config = [\"c-{service}-{check}\"] }}\n\n\
         [params.days]\ndefault = 90\nabout = \"Days.\"\n+++\n{why}\n\n## Fix\n{why}\n\n```fix\ns3:PutBucketVersioning Bucket=${{name}} VersioningConfiguration={{Status=Enabled}}\n```\n\n\
         ## Check\n```sql where\ncreation_date IS NOT NULL\n```\n```sql\narray_any_match(rules, r -> r['status'] = 'Enabled' AND r['days'] > $days)\n```\n\
         pass: `it is`\nfail: `it is ${{coalesce(state['status'], 'off')}}`\n\n## Fixtures\n```rows\n\
         pass    {{ \"name\": \"a\", \"rules\": [{{ \"status\": \"Enabled\", \"days\": 100 }}] }}\n\
         fail    {{ \"name\": \"b\", \"rules\": [{{ \"status\": \"Suspended\", \"days\": 100 }}] }}\n\
         fail    {{ \"name\": \"c\", \"rules\": null }}\nunknown {{ \"name\": \"d\", \"rules\": !AccessDenied }}\n```\n"
    );
    (format!("checks/s{service}/{id}.md"), text)
}

fn service(number: usize) -> (String, String) {
    let call = "[[table.X.call]]\ncall = \"GetThing\"\nparams = { Name = \"${name}\" }\ninto = \"I\"\nabsent = [\"NotFound\"]\n";
    let mut text = format!("title = \"Service {number}\"\n");
    for table in ["thing", "other", "third"] {
        let name = format!("s{number}_{table}");
        text.push_str(&format!(
            "[table.{name}]\nabout = \"Things.\"\nid = \"name\"\narn = \"arn:${{partition}}:s::${{account_id}}:${{name}}\"\n\
             list = {{ call = \"ListThings\", params = {{ MaxResults = 100 }}, rows = \"Things[]\" }}\n"
        ));
        for i in 0..4 {
            text.push_str(&call.replace('X', &name).replace('I', &format!("i{i}")));
        }
    }
    (format!("services/s{number}.toml"), text)
}

fn main() {
    let checks: usize = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(350);
    let services = 60;
    let pages = (0..checks).map(|i| page(i % services, i));
    let files: Vec<_> = (0..services).map(service).chain(pages).collect();
    let bytes: usize = files.iter().map(|(_, t)| t.len()).sum();
    let source = Source::from_texts(files);
    let loaded = load(std::slice::from_ref(&source));
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(loaded.catalog.checks.len(), checks);
    println!(
        "generated: {checks} checks, {} tables, {bytes} bytes",
        loaded.catalog.tables.len()
    );
    measure("  load", 25, || load(std::slice::from_ref(&source)));

    let shipped = Source::embedded();
    let loaded = load(std::slice::from_ref(&shipped));
    let catalog = &loaded.catalog;
    println!(
        "shipped: {} services, {} tables, {} checks, {} frameworks",
        catalog.services.len(),
        catalog.tables.len(),
        catalog.checks.len(),
        catalog.frameworks.len()
    );
    measure("  load", 25, || load(std::slice::from_ref(&shipped)));
    measure("  requirements of all checks", 5, || {
        let membership = catalog.membership();
        let ids = catalog.checks.keys();
        ids.map(|id| membership.of(id)).collect::<Vec<_>>()
    });
    measure("  validate against the models, decoding them", 3, || {
        validate_models(&catalog.clone(), &Models::embedded())
    });
}
