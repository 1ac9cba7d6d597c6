//! Our rules for physical plans, each of which is about one operator at a time.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::ExecutionPlan;

use super::dictionary_aggregates::from_dictionaries;
use super::exchanges::with_one_writer;
use super::grouped_distincts::of_all_groups;
use super::lags::moved_down;
use super::numbered_groups::by_numbers;
use super::text_filters::answered_by_scan;

/// The operator anew, with its inputs, if the rule is about it.
type Anew = fn(&Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>>;

/// DataFusion's rules and ours: first what has an influence on which sorts there are; the others come
/// before those that hand filters to a scan that are only known when the query runs.
pub(super) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let place = rules
        .iter()
        .position(|rule| rule.name() == "EnsureCooperative");
    let place = place.unwrap_or(rules.len());
    let ours: [Arc<dyn PhysicalOptimizerRule + Send + Sync>; 5] = [
        of_whole_plan("text_filters", answered_by_scan),
        of_whole_plan("dictionary_aggregates", from_dictionaries),
        of_whole_plan("numbered_groups", by_numbers),
        of_whole_plan("lags", moved_down),
        of_whole_plan("one_writer", with_one_writer),
    ];
    rules.splice(place..place, ours);
    let first = EachOperator {
        name: "grouped_distincts",
        anew: of_all_groups,
        is_whole: false,
    };
    rules.insert(0, Arc::new(first));
    rules
}

fn of_whole_plan(name: &'static str, anew: Anew) -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    Arc::new(EachOperator {
        name,
        anew,
        is_whole: true,
    })
}

/// A rule by its name.
struct EachOperator {
    name: &'static str,
    anew: Anew,
    /// Whether the plan has its sorts and exchanges already.
    is_whole: bool,
}

impl PhysicalOptimizerRule for EachOperator {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let anew = self.anew;
        let changed = Arc::clone(&plan).transform_up(|operator| {
            Ok(match anew(&operator)? {
                Some(other) => Transformed::yes(other),
                None => Transformed::no(operator),
            })
        })?;
        if !changed.transformed {
            return Ok(plan);
        }
        if !self.is_whole {
            return Ok(changed.data);
        }
        // A parent may count on what its input is known for, as that a filter leaves one value of a
        // column: where ours is not known for it, the plan stays as it was.
        match SanityCheckPlan::new().optimize(Arc::clone(&changed.data), config) {
            Ok(_) => Ok(changed.data),
            Err(_) => Ok(plan),
        }
    }

    fn name(&self) -> &str {
        self.name
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl fmt::Debug for EachOperator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}
