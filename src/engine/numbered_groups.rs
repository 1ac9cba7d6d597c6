//! Groups rows by numbers in the place of texts.
//!
//! ```text
//!                                              Project: text_of(n) AS user_id, text_of(n) AS app, count(*)
//! Aggregate: user_id, app, count(*)              Aggregate: number_of(user_id, app) AS n, count(*)
//!   Scan: user_id, app                   ─►        Scan: packed(user_id), packed(app)
//! ```
//! The files have each distinct text once per row group, in a dictionary: there it gets its number,
//! and of a row only the number is looked at. What is handed on, the groups of one partition, is as
//! it was; texts are compared again only where those of the partitions come together.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode};

use super::numbers::{NumberOf, TextOf, Texts};
use super::packed_input::in_dictionaries;

/// A column of text that rows are grouped by, and that nothing else looks at.
#[derive(Clone, Copy)]
struct GroupedBy {
    /// Its place among what rows are grouped by.
    place: usize,
    /// Its place in the input.
    column: usize,
}

/// An aggregate of rows and its input anew, if it groups by texts that are in dictionaries.
pub(super) fn by_numbers(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(aggregate) = node.downcast_ref::<AggregateExec>() else {
        return Ok(None);
    };
    let mut texts = grouped_by_texts(aggregate);
    let columns: Vec<usize> = texts.iter().map(|text| text.column).collect();
    let Some(input) = in_dictionaries(aggregate.input(), &columns)? else {
        return Ok(None);
    };
    texts.retain(|text| input.packed.contains(&text.column));
    let input = input.plan;
    let (groups, mut columns) = numbered(aggregate, &input.schema(), &texts)?;
    let schema = aggregate.schema();
    let states = schema.fields().iter().skip(columns.len()).enumerate();
    let states = states.map(|(n, field)| {
        let column = Column::new(field.name(), groups.len() + n);
        ProjectionExpr::new(Arc::new(column), field.name())
    });
    let states: Vec<_> = states.collect();
    columns.extend(states);
    let input_schema = input.schema();
    let anew = AggregateExec::try_new(
        *aggregate.mode(),
        PhysicalGroupBy::new_single(groups),
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        input,
        input_schema,
    )?;
    let anew = ProjectionExec::try_new(columns, Arc::new(anew))?;
    let is_alike = anew.schema() == schema;
    Ok(is_alike.then(|| Arc::new(anew) as Arc<dyn ExecutionPlan>))
}

fn grouped_by_texts(aggregate: &AggregateExec) -> Vec<GroupedBy> {
    let group_by = aggregate.group_expr();
    let is_of_rows = matches!(
        aggregate.mode(),
        AggregateMode::Partial | AggregateMode::Single
    );
    let is_unordered = *aggregate.input_order_mode() == InputOrderMode::Linear;
    let is_all = aggregate.limit_options().is_none() && group_by.is_single();
    if !(is_of_rows && is_unordered && is_all) {
        return Vec::new();
    }
    let filters = aggregate.filter_expr().iter().flatten().cloned();
    let functions = aggregate.aggr_expr().iter().flat_map(|function| {
        let read = function.all_expressions();
        read.args.into_iter().chain(read.order_by_exprs)
    });
    let groups = group_by.expr().iter().map(|(group, _)| Arc::clone(group));
    let read: Vec<Column> = groups
        .chain(functions)
        .chain(filters)
        .flat_map(|read| collect_columns(&read))
        .collect();
    let schema = aggregate.input().schema();
    let is_read_once = |column: &Column| {
        let mut times = read.iter().filter(|other| other.index() == column.index());
        times.next().is_some() && times.next().is_none()
    };
    let is_text = |column: &Column| *schema.field(column.index()).data_type() == DataType::Utf8View;
    let grouped = group_by.expr().iter().enumerate();
    let grouped = grouped.filter_map(|(place, (group, _))| {
        let column = group.downcast_ref::<Column>()?;
        (is_text(column) && is_read_once(column)).then(|| GroupedBy {
            place,
            column: column.index(),
        })
    });
    grouped.collect()
}

type Groups = Vec<(Arc<dyn PhysicalExpr>, String)>;

/// What to group by in the place of `texts`, and how to make of it what was grouped by.
fn numbered(
    aggregate: &AggregateExec,
    input: &Schema,
    texts: &[GroupedBy],
) -> Result<(Groups, Vec<ProjectionExpr>)> {
    let schema = aggregate.schema();
    let mut groups: Groups = Vec::new();
    let mut columns = vec![None; aggregate.group_expr().expr().len()];
    for pair in texts.chunks(2) {
        let kept: Vec<Arc<Texts>> = pair.iter().map(|_| Arc::default()).collect();
        let column = |text: &GroupedBy| -> Arc<dyn PhysicalExpr> {
            Arc::new(Column::new(input.field(text.column).name(), text.column))
        };
        let number = NumberOf::new(pair.iter().map(column).zip(kept.iter().cloned()));
        let name = number.to_string();
        let numbers: Arc<dyn PhysicalExpr> = Arc::new(Column::new(&name, groups.len()));
        for (n, (text, kept)) in pair.iter().zip(kept).enumerate() {
            let field = schema.field(text.place);
            let is_upper = n + 1 < pair.len();
            let text_of = TextOf::new(Arc::clone(&numbers), is_upper, kept, field.is_nullable());
            columns[text.place] = Some(ProjectionExpr::new(Arc::new(text_of), field.name()));
        }
        groups.push((Arc::new(number), name));
    }
    let columns = columns.into_iter().zip(aggregate.group_expr().expr());
    let columns = columns.map(|(column, (group, name))| {
        column.unwrap_or_else(|| {
            groups.push((Arc::clone(group), name.clone()));
            ProjectionExpr::new(Arc::new(Column::new(name, groups.len() - 1)), name)
        })
    });
    let columns = columns.collect();
    Ok((groups, columns))
}

#[cfg(test)]
mod tests {
    use super::super::Session;
    use super::super::text_filters_tests::{answers, lake, plan};
    use crate::registry::Registry;

    /// Groups in braces, what is asked of them, what to group by, and whether by numbers.
    const ASKED: [(&str, &str, bool); 17] = [
        ("{browser_type}, count(*), sum(line_no)", "1", true),
        ("{browser_type}, {login_type}, count(*)", "1, 2", true),
        (
            "{browser_type}, {login_type}, {user_id}, max(line_no)",
            "1, 2, 3",
            true,
        ),
        (
            "min(line_no), day, {user_id}, line_no % 3, {browser_type}",
            "2, 3, 4, 5",
            true,
        ),
        (
            "{browser_type}, {login_type}, day, {user_id}, {login_status}, count(*), count(login_key)",
            "5, 4, 3, 2, 1",
            true,
        ),
        (
            "{browser_type}, count(DISTINCT user_id), count(login_type)",
            "1",
            true,
        ),
        (
            "{browser_type}, {user_id}, count(*) FILTER (WHERE login_type = 'A')",
            "1, 2",
            true,
        ),
        (
            "{browser_type}, array_agg(DISTINCT login_type ORDER BY login_type)",
            "1",
            true,
        ),
        (
            // Sorted before it is grouped.
            "{browser_type}, array_agg(line_no ORDER BY line_no)",
            "1",
            false,
        ),
        ("{user_id}, min(login_type), sum(line_no)", "1", true),
        ("{user_id}, day, 'all'", "1, 2", true),
        // Of a column that something else looks at, too, the texts are wanted.
        ("{browser_type}, max(browser_type)", "1", false),
        (
            "{browser_type}, count(*) FILTER (WHERE browser_type > 'D')",
            "1",
            false,
        ),
        (
            "{login_type}, {browser_type}, upper(browser_type)",
            "1, 2, 3",
            true,
        ),
        ("upper(browser_type), count(*)", "1", false),
        (
            "browser_type, login_type, sum(line_no)",
            "ROLLUP (browser_type, login_type)",
            false,
        ),
        ("login_key, count(*)", "1", false),
    ];

    const CONDITIONS: [&str; 4] = [
        "true",
        "browser_type LIKE 'C%' OR login_type = 'A'",
        "line_no % 5 < 2",
        "login_type > 'none'",
    ];

    #[test]
    fn groups_by_numbers_are_the_groups_by_their_texts() {
        let fixture = lake();
        let registry = Registry::parse("", "registry.toml").unwrap();
        for threads in [1, 2] {
            let options = fixture.options(threads);
            let session =
                Session::open(&fixture.lake, &fixture.catalog, &registry, &options).unwrap();
            for (asked, groups, by_number) in ASKED {
                for condition in CONDITIONS {
                    let sql = |begin: &str, end: &str| {
                        let asked = asked.replace('{', begin).replace('}', end);
                        format!("SELECT {asked} FROM elf_login WHERE {condition} GROUP BY {groups}")
                    };
                    let questions = [sql("", ""), sql("substr(", ", 1)")];
                    let is_numbered = [&questions[0], &questions[1]]
                        .map(|sql| plan(&session, sql).contains("number_of("));
                    assert_eq!(is_numbered, [by_number, false], "{}", questions[0]);
                    let [mut answer, mut wanted] = answers(&session, &questions);
                    answer.sort();
                    wanted.sort();
                    assert_eq!(answer, wanted, "{}", questions[0]);
                    // Of no rows there is a grand total.
                    let is_empty = condition.contains("none") && !groups.contains("ROLLUP");
                    assert_eq!(answer.is_empty(), is_empty, "{}", questions[0]);
                }
            }
        }
    }

    #[test]
    fn texts_that_got_another_name_on_the_way_are_grouped_by_number_too() {
        let fixture = lake();
        let session = fixture.session("");
        let sql = |browser: &str| {
            format!(
                "SELECT browser, kind, count(*), max(user_id) FROM (
                     SELECT {browser} AS browser, upper(login_type) AS kind, user_id
                     FROM elf_login WHERE line_no % 3 = 1)
                 GROUP BY 1, 2 ORDER BY 1, 2"
            )
        };
        let questions = ["browser_type", "substr(browser_type, 1)"].map(sql);
        let is_numbered = questions
            .each_ref()
            .map(|sql| plan(&session, sql).contains("number_of(browser@"));
        assert_eq!(
            is_numbered,
            [true, false],
            "{}",
            plan(&session, &questions[0])
        );
        let [answer, wanted] = answers(&session, &questions);
        assert_eq!(answer, wanted);
    }
}
