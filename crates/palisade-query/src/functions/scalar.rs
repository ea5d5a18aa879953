//! What the functions share: a declared type for each argument, and a closure over one row.
use datafusion::arrow::array::{
    Array, ArrayRef, BooleanBuilder, Int64Array, Int64Builder, ListBuilder, StringArray,
    StringBuilder, TimestampMicrosecondArray, new_empty_array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::arrow::json::ReaderBuilder;
use datafusion::common::cast::{as_int64_array, as_string_array, as_timestamp_microsecond_array};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use palisade_core::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// A timestamp column's type.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(palisade_table::UTC.into()))
}

/// A list of texts.
pub(crate) fn texts() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

/// The arguments of one row; none of them is NULL.
pub(crate) struct Row<'a> {
    columns: &'a [Column],
    row: usize,
}

enum Column {
    Text(StringArray),
    Integer(Int64Array),
    Time(TimestampMicrosecondArray),
}

impl Row<'_> {
    /// The text of an argument that was declared as text.
    pub(crate) fn text(&self, argument: usize) -> &str {
        match self.columns.get(argument) {
            Some(Column::Text(a)) => a.value(self.row),
            _ => "",
        }
    }
    /// The value of an argument that was declared as a whole number or timestamp (microseconds).
    pub(crate) fn integer(&self, argument: usize) -> i64 {
        match self.columns.get(argument) {
            Some(Column::Integer(a)) => a.value(self.row),
            Some(Column::Time(a)) => a.value(self.row),
            _ => 0,
        }
    }
    /// Whether an argument is NULL (only functions that take NULL themselves need to ask).
    pub(crate) fn is_null(&self, argument: usize) -> bool {
        match self.columns.get(argument) {
            Some(Column::Text(a)) => a.is_null(self.row),
            Some(Column::Integer(a)) => a.is_null(self.row),
            Some(Column::Time(a)) => a.is_null(self.row),
            None => true,
        }
    }
}

/// What a row gives; `None` is NULL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Boolean(Option<bool>),
    Integer(Option<i64>),
    Text(Option<String>),
    Texts(Option<Vec<String>>),
    /// Elements of a list of structs, as JSON of the declared type.
    Structs(Vec<serde_json::Value>),
}

type Body = dyn Fn(&Row<'_>) -> Result<Answer, String> + Send + Sync;

/// A function over rows.
pub(crate) struct Function {
    name: &'static str,
    signature: Signature,
    arguments: Vec<DataType>,
    returns: DataType,
    /// Called also when an argument is NULL.
    takes_null: bool,
    /// The time of the scan, in functions that know it.
    time: Option<Timestamp>,
    /// The answer for equal arguments is kept during one batch: the body is expensive.
    remembers: bool,
    body: Box<Body>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
// The body follows from the name and the time.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.time == other.time
    }
}
impl Eq for Function {}
impl std::hash::Hash for Function {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Function {
    pub(crate) fn new(
        name: &'static str,
        arguments: Vec<DataType>,
        returns: DataType,
        body: impl Fn(&Row<'_>) -> Result<Answer, String> + Send + Sync + 'static,
    ) -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self {
            name,
            signature,
            arguments,
            returns,
            takes_null: false,
            time: None,
            remembers: false,
            body: Box::new(body),
        }
    }
    pub(crate) fn takes_null(mut self) -> Self {
        self.takes_null = true;
        self
    }
    pub(crate) fn counting_from(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.time
    }
    pub(crate) fn remembers(mut self) -> Self {
        self.remembers = true;
        self
    }
    pub(crate) fn into_udf(self) -> ScalarUDF {
        ScalarUDF::new_from_impl(self)
    }

    fn answer(&self, row: &Row<'_>) -> Result<Answer> {
        (self.body)(row)
            .map_err(|reason| DataFusionError::Execution(format!("{}: {reason}", self.name)))
    }

    fn rows(&self, columns: &[Column], count: usize) -> Result<ArrayRef> {
        let mut out = Builder::new(&self.returns);
        let mut seen: HashMap<Vec<String>, Answer> = HashMap::new();
        for row in 0..count {
            let row = Row { columns, row };
            if !self.takes_null && (0..columns.len()).any(|i| row.is_null(i)) {
                out.push(None)?;
                continue;
            }
            if !self.remembers {
                out.push(Some(self.answer(&row)?))?;
                continue;
            }
            let key: Vec<String> = (0..columns.len()).map(|i| row.text(i).to_owned()).collect();
            let answer = match seen.get(&key) {
                Some(answer) => answer.clone(),
                None => {
                    let answer = self.answer(&row)?;
                    seen.insert(key, answer.clone());
                    answer
                }
            };
            out.push(Some(answer))?;
        }
        out.finish()
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }
    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if given.len() != self.arguments.len() {
            let (n, s) = (
                self.arguments.len(),
                if self.arguments.len() == 1 { "" } else { "s" },
            );
            return datafusion::common::plan_err!(
                "`{}` takes {n} argument{s}, not {}",
                self.name,
                given.len()
            );
        }
        for (i, (have, want)) in given.iter().zip(&self.arguments).enumerate() {
            let fits = match want {
                DataType::Utf8 => have.is_string() || have.is_null(),
                DataType::Int64 => have.is_integer() || have.is_null(),
                _ => {
                    have.is_string()
                        || have.is_null()
                        || matches!(have, DataType::Timestamp(..) | DataType::Date32)
                }
            };
            if !fits {
                let word = match want {
                    DataType::Utf8 => "text",
                    DataType::Int64 => "a whole number",
                    _ => "a timestamp",
                };
                return datafusion::common::plan_err!(
                    "argument {} of `{}` must be {word}, not {have}",
                    i + 1,
                    self.name
                );
            }
        }
        Ok(self.arguments.clone())
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args
            .args
            .iter()
            .all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let count = if scalar { 1 } else { args.number_rows };
        let columns = args
            .args
            .into_iter()
            .map(|a| {
                let array = a.into_array(count)?;
                Ok(match array.data_type() {
                    DataType::Utf8 => Column::Text(as_string_array(&array)?.clone()),
                    DataType::Int64 => Column::Integer(as_int64_array(&array)?.clone()),
                    DataType::Timestamp(TimeUnit::Microsecond, _) => {
                        Column::Time(as_timestamp_microsecond_array(&array)?.clone())
                    }
                    other => return exec_err!("{}: cannot take {other}", self.name),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let out = self.rows(&columns, count)?;
        if scalar {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&out, 0)?))
        } else {
            Ok(ColumnarValue::Array(out))
        }
    }
}

enum Builder {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Text(StringBuilder),
    Texts(ListBuilder<StringBuilder>),
    Structs(DataType, Vec<serde_json::Value>),
}

impl Builder {
    fn new(ty: &DataType) -> Self {
        match ty {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::List(item) if item.data_type().is_nested() => {
                Self::Structs(ty.clone(), Vec::new())
            }
            _ => Self::Texts(ListBuilder::new(StringBuilder::new())),
        }
    }
    fn push(&mut self, answer: Option<Answer>) -> Result<()> {
        match (self, answer) {
            (Self::Boolean(b), Some(Answer::Boolean(v))) => b.append_option(v),
            (Self::Boolean(b), None) => b.append_null(),
            (Self::Integer(b), Some(Answer::Integer(v))) => b.append_option(v),
            (Self::Integer(b), None) => b.append_null(),
            (Self::Text(b), Some(Answer::Text(v))) => b.append_option(v),
            (Self::Text(b), None) => b.append_null(),
            (Self::Texts(b), Some(Answer::Texts(v))) => {
                b.append_option(v.map(|items| items.into_iter().map(Some)))
            }
            (Self::Texts(b), None) => b.append_null(),
            (Self::Structs(_, rows), Some(Answer::Structs(v))) => rows.push(v.into()),
            (Self::Structs(_, rows), None) => rows.push(serde_json::Value::Null),
            (_, Some(answer)) => {
                return exec_err!("an answer of another type than declared: {answer:?}");
            }
        }
        Ok(())
    }
    fn finish(self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Boolean(mut b) => Arc::new(b.finish()),
            Self::Integer(mut b) => Arc::new(b.finish()),
            Self::Text(mut b) => Arc::new(b.finish()),
            Self::Texts(mut b) => Arc::new(b.finish()),
            Self::Structs(ty, rows) => structs(ty, rows)?,
        })
    }
}

/// JSON values as a column.
fn structs(ty: DataType, rows: Vec<serde_json::Value>) -> Result<ArrayRef> {
    if rows.is_empty() {
        return Ok(new_empty_array(&ty));
    }
    let schema = Arc::new(Schema::new(vec![Field::new("value", ty, true)]));
    let mut decoder = ReaderBuilder::new(schema)
        .with_batch_size(rows.len())
        .build_decoder()?;
    let rows: Vec<_> = rows
        .into_iter()
        .map(|value| serde_json::json!({ "value": value }))
        .collect();
    decoder.serialize(&rows)?;
    match decoder.flush()? {
        Some(batch) => Ok(batch.column(0).clone()),
        None => exec_err!("no rows where there should be some"),
    }
}
