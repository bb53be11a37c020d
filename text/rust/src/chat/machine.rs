//! The machine's state, and expressions.

use super::meter::Meter;
use super::operators::{binary, contains, equal, order};
use super::slices;
use super::value::Value;
use super::{calls, filters, tests};
use crate::failure::{fail, Code, Outcome};
use minijinja::machinery::ast::{
    BinOpKind, CallArg, CompareOpKind, Expr, Stmt, UnaryOpKind,
};
use minijinja::value::ValueKind;
use std::collections::HashMap;

pub struct Machine<'a> {
    pub meter: Meter,
    pub local_seconds: i64,
    /// What the syntax tree's places count in.
    pub source: &'a str,
    /// The first holds the template's own variables; a macro sees that one
    /// and those from `floor` on.
    pub scopes: Vec<HashMap<&'a str, Value<'a>>>,
    pub floor: usize,
    /// The last receives what is printed; set blocks and macros add one.
    pub out: Vec<String>,
    /// What {% filter %} and {% set x | f %} feed to the innermost filter.
    pub piped: Vec<Value<'a>>,
}

/// What a call was given.
#[derive(Default)]
pub struct Arguments<'a> {
    pub positional: Vec<Value<'a>>,
    pub named: Vec<(&'a str, Value<'a>)>,
}

impl<'a> Machine<'a> {
    pub fn new(fuel: u64, local_seconds: i64, source: &'a str) -> Machine<'a> {
        Machine {
            meter: Meter::new(fuel),
            local_seconds,
            source,
            scopes: vec![HashMap::new()],
            floor: 1,
            out: vec![String::new()],
            piped: Vec::new(),
        }
    }

    pub fn run(mut self, tree: &'a Stmt<'a>) -> Outcome<String> {
        self.statement(tree)?;
        Ok(self.out.pop().unwrap_or_default())
    }

    /// Sets a variable in the innermost scope.
    pub fn define(&mut self, name: &'a str, value: Value<'a>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name, value);
        }
    }

    pub fn lookup(&mut self, name: &str) -> Outcome<Value<'a>> {
        self.meter.pay((self.scopes.len() - self.floor) as u64)?;
        let inner = &self.scopes[self.floor.min(self.scopes.len())..];
        let found = inner
            .iter()
            .rev()
            .chain(&self.scopes[..1])
            .find_map(|scope| scope.get(name));
        Ok(match found {
            Some(value) => value.clone(),
            None => calls::function(name),
        })
    }

    pub fn evaluate(&mut self, expr: &'a Expr<'a>) -> Outcome<Value<'a>> {
        self.meter.enter()?;
        let value = self.expression(expr)?;
        self.meter.leave();
        Ok(value)
    }

    fn optional(&mut self, expr: &'a Option<Expr<'a>>) -> Outcome<Value<'a>> {
        match expr {
            Some(expr) => self.evaluate(expr),
            None => Ok(Value::Undefined),
        }
    }

    fn expression(&mut self, expr: &'a Expr<'a>) -> Outcome<Value<'a>> {
        match expr {
            Expr::Var(var) => self.lookup(var.id),
            Expr::Const(constant) => self.constant(&constant.value),
            Expr::Slice(slice) => {
                let value = self.evaluate(&slice.expr)?;
                let bounds = [
                    self.optional(&slice.start)?,
                    self.optional(&slice.stop)?,
                    self.optional(&slice.step)?,
                ];
                slices::slice(&mut self.meter, &value, bounds)
            }
            Expr::UnaryOp(unary) => {
                let value = self.evaluate(&unary.expr)?;
                match unary.op {
                    UnaryOpKind::Not => Ok(Value::Bool(!value.truth())),
                    UnaryOpKind::Neg => {
                        let zero = Value::Int(0);
                        binary(&mut self.meter, BinOpKind::Sub, &zero, &value)
                    }
                }
            }
            Expr::BinOp(both) => {
                let left = self.evaluate(&both.left)?;
                match both.op {
                    BinOpKind::ScAnd if !left.truth() => return Ok(left),
                    BinOpKind::ScOr if left.truth() => return Ok(left),
                    _ => {}
                }
                let right = self.evaluate(&both.right)?;
                match both.op {
                    BinOpKind::ScAnd | BinOpKind::ScOr => Ok(right),
                    op => binary(&mut self.meter, op, &left, &right),
                }
            }
            Expr::Compare(chain) => {
                let mut left = self.evaluate(&chain.expr)?;
                for link in &chain.ops {
                    let right = self.evaluate(&link.expr)?;
                    if !compare(&mut self.meter, link.op, &left, &right)? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Ok(Value::Bool(true))
            }
            Expr::IfExpr(choice) => {
                if self.evaluate(&choice.test_expr)?.truth() {
                    self.evaluate(&choice.true_expr)
                } else {
                    self.optional(&choice.false_expr)
                }
            }
            Expr::Filter(filter) => {
                let value = match &filter.expr {
                    Some(expr) => self.evaluate(expr)?,
                    None => self.piped.pop().unwrap_or(Value::Undefined),
                };
                let arguments = self.arguments(&filter.args)?;
                filters::apply(self, filter.name, &value, &arguments)
            }
            Expr::Test(test) => {
                let value = self.evaluate(&test.expr)?;
                let arguments = self.arguments(&test.args)?;
                let holds = tests::holds(self, test.name, &value, &arguments)?;
                Ok(Value::Bool(holds))
            }
            Expr::GetAttr(get) => {
                let value = self.evaluate(&get.expr)?;
                self.attribute(&value, get.name)
            }
            Expr::GetItem(get) => {
                let value = self.evaluate(&get.expr)?;
                let key = self.evaluate(&get.subscript_expr)?;
                slices::item(&mut self.meter, &value, &key)
            }
            Expr::Call(call) => calls::call(self, call),
            Expr::List(list) => {
                self.meter.values(list.items.len())?;
                let mut items = Vec::with_capacity(list.items.len());
                for item in &list.items {
                    items.push(self.evaluate(item)?);
                }
                Value::list(items)
            }
            Expr::Map(literal) => {
                // Each key is looked for among those before it.
                let count = literal.keys.len();
                self.meter.values(count.saturating_mul(count))?;
                let mut map = super::value::Map::default();
                for (key, value) in literal.keys.iter().zip(&literal.values) {
                    let key = self.evaluate(key)?;
                    let value = self.evaluate(value)?;
                    match &key {
                        Value::Text(key) => map.set(key, value),
                        other => {
                            return fail(
                                Code::Corrupt,
                                format!(
                                    "chat_template: a key of type {}, \
                                     expected text",
                                    other.kind()
                                ),
                            )
                        }
                    }
                }
                Value::map(map)
            }
        }
    }

    fn constant(&mut self, value: &minijinja::Value) -> Outcome<Value<'a>> {
        Ok(match value.kind() {
            ValueKind::None => Value::None,
            ValueKind::Bool => Value::Bool(value.is_true()),
            ValueKind::String => {
                let text = value.as_str().unwrap_or("");
                self.meter.text(text.len())?;
                Value::from(text)
            }
            ValueKind::Number if value.is_integer() => match value.as_i64() {
                Some(value) => Value::Int(value),
                None => {
                    return fail(
                        Code::Exhausted,
                        "chat_template: an integer beyond 64 bits",
                    )
                }
            },
            ValueKind::Number => {
                Value::Float(f64::try_from(value.clone()).unwrap_or(f64::NAN))
            }
            _ => Value::Undefined,
        })
    }

    pub fn attribute(
        &mut self,
        value: &Value<'a>,
        name: &str,
    ) -> Outcome<Value<'a>> {
        match value {
            Value::Loop(state) => {
                let count = state.items.items.len();
                let at = |index: Option<usize>| {
                    index
                        .and_then(|index| state.items.items.get(index))
                        .cloned()
                        .unwrap_or(Value::Undefined)
                };
                let number = |value: usize| Value::Int(value as i64);
                Ok(match name {
                    "index" => number(state.index + 1),
                    "index0" => number(state.index),
                    "revindex" => number(count - state.index),
                    "revindex0" => number(count - state.index - 1),
                    "first" => Value::Bool(state.index == 0),
                    "last" => Value::Bool(state.index + 1 == count),
                    "length" => number(count),
                    "previtem" => at(state.index.checked_sub(1)),
                    "nextitem" => at(Some(state.index + 1)),
                    // Recursive loops are refused.
                    "depth" => number(1),
                    "depth0" => number(0),
                    _ => Value::Undefined,
                })
            }
            Value::Undefined => fail(
                Code::Corrupt,
                format!("chat_template: .{name} of an undefined value"),
            ),
            _ => slices::item(&mut self.meter, value, &Value::from(name)),
        }
    }

    pub fn arguments(
        &mut self,
        given: &'a [CallArg<'a>],
    ) -> Outcome<Arguments<'a>> {
        let mut arguments = Arguments::default();
        for one in given {
            match one {
                CallArg::Pos(expr) => {
                    let value = self.evaluate(expr)?;
                    arguments.positional.push(value);
                }
                CallArg::Kwarg(name, expr) => {
                    let value = self.evaluate(expr)?;
                    arguments.named.push((name, value));
                }
                CallArg::PosSplat(expr) => {
                    let value = self.evaluate(expr)?;
                    arguments.positional.extend(self.items(&value)?);
                }
                CallArg::KwargSplat(_) => {
                    return fail(
                        Code::Incompatible,
                        "chat_template: no support for ** in a call",
                    )
                }
            }
        }
        Ok(arguments)
    }

    /// What a for loop over `value` would see.
    pub fn items(&mut self, value: &Value<'a>) -> Outcome<Vec<Value<'a>>> {
        match value {
            Value::Undefined => Ok(Vec::new()),
            Value::List(list) => {
                self.meter.values(list.items.len())?;
                Ok(list.items.clone())
            }
            Value::Map(map) => {
                self.meter.values(map.entries.len())?;
                let keys = map.entries.iter();
                Ok(keys.map(|(key, _)| Value::Text(key.clone())).collect())
            }
            Value::Text(text) => {
                self.meter.values(text.len().saturating_mul(2))?;
                Ok(text
                    .chars()
                    .map(|one| Value::from(one.to_string()))
                    .collect())
            }
            other => fail(
                Code::Corrupt,
                format!("chat_template: no loop over {}", other.kind()),
            ),
        }
    }
}

fn compare(
    meter: &mut Meter,
    op: CompareOpKind,
    left: &Value,
    right: &Value,
) -> Outcome<bool> {
    Ok(match op {
        CompareOpKind::Eq => equal(meter, left, right)?,
        CompareOpKind::Ne => !equal(meter, left, right)?,
        CompareOpKind::Lt => order(meter, left, right)?.is_lt(),
        CompareOpKind::Lte => order(meter, left, right)?.is_le(),
        CompareOpKind::Gt => order(meter, left, right)?.is_gt(),
        CompareOpKind::Gte => order(meter, left, right)?.is_ge(),
        CompareOpKind::In => contains(meter, right, left)?,
        CompareOpKind::NotIn => !contains(meter, right, left)?,
    })
}
