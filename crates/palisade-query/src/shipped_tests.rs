//! What comes with the binary is what planning makes of the shipped checks, and nothing else is taken from it.
use super::*;
use crate::iam::ESCALATIONS;
use crate::plan::Source;
use crate::{FIXTURE_NOW, Params};
use datafusion::physical_plan::displayable;
use palisade_catalog::{Catalog, Source as Files};
use palisade_model::Models;
use std::sync::LazyLock;

static SHIPPED: LazyLock<Arc<Catalog>> =
    LazyLock::new(|| Arc::new(palisade_catalog::load(&[Files::embedded()]).catalog));

fn engine() -> Engine {
    let models = Arc::new(Models::embedded());
    Engine::new(Arc::clone(&SHIPPED), models, FIXTURE_NOW, Params::new()).unwrap()
}

fn checks(wanted: impl Fn(&Check) -> bool) -> Vec<Arc<Check>> {
    let checks = SHIPPED.checks.values().filter(|check| wanted(check));
    checks.cloned().collect()
}

fn plan(check: &Check) -> Option<&'static [u8]> {
    entry(check)?.plan(check, &SHIPPED)
}

fn shipped(check: &Check) -> Option<Shipped<'static>> {
    Shipped::read(plan(check)?)
}

#[test]
fn all_that_comes_with_the_binary_is_written_down() {
    let engine = engine();
    let (plan, problems) = engine.plan(&checks(|_| true));
    assert!(problems.is_empty(), "{problems:?}");
    for check in &plan.checks {
        let of = &check.check;
        assert!(shipped(of).is_some(), "{}", of.id);
        assert_eq!(
            entry(of).unwrap().requirements(),
            check.requirements.to_vec(),
            "{}",
            of.id
        );
    }
}

/// A plan in which the time is would be another one tomorrow.
#[test]
fn what_depends_on_the_time_is_planned() {
    let check = checks(|check| check.id == "iam-server-certificate-valid");
    let mut with_time = Check::clone(&check[0]);
    with_time.sql.0 = "expiration > $now".to_owned();
    let both = [Arc::new(with_time), Arc::clone(&check[0])];
    let written = both.map(|check| {
        let engines = [FIXTURE_NOW, Timestamp::from_micros(0)].map(|now| {
            let models = Arc::new(Models::embedded());
            Engine::new(Arc::clone(&SHIPPED), models, now, Params::new()).unwrap()
        });
        let file = shipped_plans(engines, &[check]).unwrap();
        let bytes = zstd::decode_all(file.as_slice()).unwrap();
        let file: File<'_> = postcard::from_bytes(&bytes).unwrap();
        file.checks["iam-server-certificate-valid"].plan.is_some()
    });
    assert_eq!(written, [false, true]);
}

#[test]
fn what_runs_a_query_is_what_planning_makes() {
    let mut engine = engine();
    for check in checks(|check| check.is_query && shipped(check).is_some()) {
        engine.planner.forget_numbers();
        let check = [check];
        let [now, later] = [engine.plan(&check), engine.plan_as_needed(&check)].map(|(plan, _)| {
            let query = plan.checks[0].query(&engine.planner).unwrap().unwrap();
            let is_written = matches!(query.source, Source::Written(..));
            let executable = evaluate::block_here(query.executable(&engine.planner)).unwrap();
            let executable = executable.unwrap();
            let shown = displayable(executable.as_ref()).indent(true).to_string();
            let facts = format!(
                "{:?} {:?} {:?} {:?} {} {} {:?} {:?}",
                query.frame.arrow,
                query.scans,
                query.apart,
                query.evidence,
                query.row_wise,
                query.region_bound,
                query.emptiness,
                reach(&engine.planner, &plan.checks[0])
            );
            (is_written, shown, facts)
        });
        let id = &check[0].id;
        assert!(!now.0 && later.0, "{id}");
        assert_eq!((now.1, now.2), (later.1, later.2), "{id}");
    }
}

#[test]
fn a_check_that_was_changed_is_planned() {
    let check = checks(|check| check.applies.is_some() && !check.params.is_empty());
    let check = check.into_iter().find(|check| shipped(check).is_some());
    let check = Check::clone(&check.unwrap());
    let changes: [fn(&mut Check); 6] = [
        |c| c.sql.0.push(' '),
        |c| c.applies = None,
        |c| c.pass_message.0.push('!'),
        |c| c.fail_message.0.push('!'),
        |c| c.resource.push('x'),
        |c| {
            let param = c.params.values_mut().next().unwrap();
            param.default = palisade_catalog::ParameterValue::Integer(-1);
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = check.clone();
        change(&mut changed);
        assert!(shipped(&changed).is_none(), "{number}");
    }
    let mut unknown = check.clone();
    unknown.id.push('x');
    assert!(entry(&unknown).is_none());
    assert!(shipped(&check).is_some());
}

#[test]
fn a_check_that_reads_a_view_which_was_changed_is_planned() {
    let names = |check: &Check| check.sql.0.contains("logs_trail_metric_filter");
    let [reads, does_not] = [true, false].map(|wanted| {
        let found = checks(|check| names(check) == wanted && plan(check).is_some());
        found.first().cloned().unwrap()
    });
    let mut changed = palisade_catalog::load(&[Files::embedded()]).catalog;
    let view = changed.views.get_mut("logs_trail_metric_filter").unwrap();
    Arc::make_mut(view).sql.push(' ');
    let plan = |check: &Check| entry(check)?.plan(check, &changed);
    assert!(plan(&reads).is_none());
    assert!(plan(&does_not).is_some());
}

/// Columns that have moved since a plan was made are not taken for those that it was made for.
#[test]
fn an_expression_over_other_columns_is_an_error() {
    let engine = engine();
    let check = checks(|check| !check.is_query && check.resource == "s3_bucket");
    let (plan, _) = engine.plan_as_needed(&check);
    let read = plan.checks.iter().find_map(|planned| {
        let predicate = planned.predicate(&engine.planner).unwrap().unwrap();
        match shipped(&planned.check)?.kind {
            ShippedKind::Predicate { holds, .. } if holds.columns.len() == 1 => {
                Some((holds, Arc::clone(&predicate.frame.arrow)))
            }
            _ => None,
        }
    });
    let (holds, frame) = read.unwrap();
    let over = |schema: &Schema| expression(&engine.planner, &holds.physical, schema);
    assert!(over(&frame).is_ok());
    let mut moved: Vec<_> = frame.fields().iter().cloned().collect();
    moved.rotate_left(1);
    assert!(over(&Schema::new(moved)).is_err());
    assert!(over(&Schema::empty()).is_err());
}

/// Nothing that is not a plan of ours is taken for one.
#[test]
fn damaged_plans_are_errors() {
    let engine = engine();
    let query = checks(|check| check.is_query && shipped(check).is_some());
    let Some(ShippedKind::Query(query)) = query.first().and_then(|c| shipped(c)).map(|s| s.kind)
    else {
        panic!("it is a query")
    };
    let written = query.executable.into_owned();
    assert!(executable(&engine.planner, &written).is_ok());
    for cut in [1, written.len() / 2, written.len() - 1] {
        assert!(executable(&engine.planner, &written[..cut]).is_err());
    }
    let codec = Codec(Some((
        Arc::clone(&engine.planner.tables),
        engine.planner.now(),
    )));
    let read = |table: &str, leaf: Leaf<'_>, codec: &Codec| {
        let bytes = postcard::to_allocvec(&(table, leaf)).unwrap();
        let context = engine.planner.functions();
        let converter = datafusion_proto::physical_plan::DefaultPhysicalProtoConverter {};
        codec.try_decode(&bytes, &[], context, &converter).is_ok()
    };
    let columns = |columns: &[&'static str]| Leaf::Table(columns.to_vec());
    assert!(read("s3_bucket", columns(&["name"]), &codec));
    assert!(!read("s3_bucket", columns(&["no_such"]), &codec));
    assert!(!read("no_such", columns(&["name"]), &codec));
    assert!(!read("s3_bucket", columns(&["name"]), &Codec(None)));
    let computed = |projection| {
        Leaf::Computed(Computed {
            projection,
            ..Computed::default()
        })
    };
    assert!(read(ESCALATIONS, computed(None), &codec));
    assert!(read(ESCALATIONS, computed(Some(vec![0, 2])), &codec));
    assert!(!read(ESCALATIONS, computed(Some(vec![99])), &codec));
    assert!(!read("s3_bucket", computed(None), &codec));
    assert!(!read(ESCALATIONS, computed(None), &Codec(None)));
}
