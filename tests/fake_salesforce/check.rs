//! A query's check against its object: fields that exist, filters that are allowed, literals of the
//! right kind.

use super::answer::{Answer, api_error};
use super::ids;
use super::objects::{Field, Kind, Object};
use super::soql::{Comparison, Item, Literal, Name, Query, Test};

/// A query beside the object that it asks.
pub struct Checked<'a> {
    pub object: &'a Object,
    pub text: &'a str,
}

impl Checked<'_> {
    fn field(&self, name: &Name) -> Result<&Field, Answer> {
        self.object.field(&name.text).ok_or_else(|| {
            let parent = name.text.rsplit_once('.').map(|(parent, _)| parent);
            let known = |parent: &str| {
                let mut fields = self.object.fields.iter();
                fields.any(|field| {
                    let start = field.name.get(..parent.len() + 1);
                    start.is_some_and(|start| start.eq_ignore_ascii_case(&format!("{parent}.")))
                })
            };
            let object = &self.object.name;
            let what = match parent {
                Some(parent) if !known(parent) => format!(
                    "Didn't understand relationship '{parent}' in field path. If you are attempting \
                     to use a custom relationship, be sure to append the '__r' after the custom \
                     relationship name."
                ),
                _ => format!(
                    "No such column '{}' on entity '{object}'. If you are attempting to use a custom \
                     field, be sure to append the '__c' after the custom field name. Please \
                     reference your WSDL or the describe call for the appropriate names.",
                    name.text
                ),
            };
            api_error(400, "INVALID_FIELD", &at(self.text, name.place, &what))
        })
    }

    /// Names of the selected fields as the object spells them.
    pub fn fields(&self, query: &Query) -> Result<Vec<String>, Answer> {
        let mut fields = Vec::new();
        let malformed = |message: &str| Err(api_error(400, "MALFORMED_QUERY", message));
        for item in &query.select {
            match item {
                Item::Field(name) => {
                    let field = self.field(name)?.name.clone();
                    if fields.contains(&field) {
                        return Err(api_error(
                            400,
                            "INVALID_FIELD",
                            &format!("duplicate field selected: {field}"),
                        ));
                    }
                    fields.push(field);
                }
                Item::Count if query.select.len() == 1 => {}
                Item::Count => return malformed("unexpected token: COUNT()"),
                Item::CountOf(_) if self.object.no_aggregates => {
                    return malformed("aggregate functions are not supported on this object");
                }
                Item::CountOf(name) => {
                    self.field(name)?;
                }
                Item::AllFields if query.limit.is_none_or(|limit| limit > 200) => {
                    return malformed("The SOQL FIELDS function must have a LIMIT of at most 200");
                }
                Item::AllFields => {
                    let plain = self
                        .object
                        .fields
                        .iter()
                        .filter(|field| !field.name.contains('.'));
                    fields.extend(plain.map(|field| field.name.clone()));
                }
            }
        }
        if let Some(group) = &query.group {
            let group = self.field(group)?.name.clone();
            if self.object.no_aggregates || fields.iter().any(|field| *field != group) {
                return malformed("Field must be grouped or aggregated");
            }
        }
        for order in &query.order {
            self.field(&order.field)?;
        }
        if query.offset > 2000 && self.object.name != "OauthToken" {
            let message = "Maximum SOQL offset allowed is 2000";
            return Err(api_error(400, "NUMBER_OUTSIDE_VALID_RANGE", message));
        }
        Ok(fields)
    }

    pub fn filter(&self, query: &Query) -> Result<(), Answer> {
        query.filter.as_ref().map_or(Ok(()), |test| self.test(test))
    }

    fn test(&self, test: &Test) -> Result<(), Answer> {
        match test {
            Test::All(tests) | Test::Any(tests) => {
                tests.iter().try_for_each(|test| self.test(test))
            }
            Test::Not(test) => self.test(test),
            Test::Compare(name, comparison, literal) => {
                let field = self.filterable(name)?;
                if *comparison == Comparison::Like
                    && (field.kind != Kind::Text || field.name == "SourceIp")
                {
                    return Err(self.refused(name, "invalid operator on field"));
                }
                self.literal(field, name, literal)
            }
            Test::In(name, literals, _) => {
                let field = self.filterable(name)?;
                literals
                    .iter()
                    .try_for_each(|literal| self.literal(field, name, literal))
            }
        }
    }

    fn filterable(&self, name: &Name) -> Result<&Field, Answer> {
        let field = self.field(name)?;
        match field.filterable {
            true => Ok(field),
            false => {
                let what = format!("field '{}' can not be filtered in a query call", field.name);
                Err(self.refused(name, &what))
            }
        }
    }

    fn literal(&self, field: &Field, name: &Name, literal: &Literal) -> Result<(), Answer> {
        let (fits, kind) = match field.kind {
            Kind::Time => (
                !matches!(
                    literal,
                    Literal::Text(_) | Literal::Number(_) | Literal::Boolean(_) | Literal::Date(_)
                ),
                "dateTime and should not be enclosed in quotes",
            ),
            Kind::Boolean => (
                matches!(literal, Literal::Boolean(_) | Literal::Null),
                "boolean and should not be enclosed in quotes",
            ),
            Kind::Number => (
                matches!(literal, Literal::Number(_) | Literal::Null),
                "double and should not be enclosed in quotes",
            ),
            Kind::Id | Kind::Text => (
                matches!(literal, Literal::Text(_) | Literal::Null),
                "string and should be enclosed in quotes",
            ),
        };
        if !fits {
            let field = &field.name;
            let what =
                format!("value of filter criterion for field '{field}' must be of type {kind}");
            return Err(self.refused(name, &what));
        }
        if let (Kind::Id, Literal::Text(id)) = (field.kind, literal)
            && !ids::is_id(id)
        {
            let what = format!("invalid ID field: {id}");
            return Err(api_error(
                400,
                "INVALID_QUERY_FILTER_OPERATOR",
                &at(self.text, name.place, &what),
            ));
        }
        Ok(())
    }

    fn refused(&self, name: &Name, what: &str) -> Answer {
        api_error(400, "INVALID_FIELD", &at(self.text, name.place, what))
    }
}

/// The org's way to say where: the query, a mark below it, row and column.
pub fn at(text: &str, place: usize, what: &str) -> String {
    let mark = " ".repeat(place);
    let column = place + 1;
    format!("\n{text}\n{mark}^\nERROR at Row:1:Column:{column}\n{what}")
}
