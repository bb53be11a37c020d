//! Statements: {% … %}, and text.

use super::calls;
use super::machine::{Arguments, Machine};
use super::text::print;
use super::value::{Loop, Map, Value};
use crate::failure::{fail, Code, Outcome};
use minijinja::machinery::ast::{Expr, ForLoop, Macro, Spanned, Stmt};
use std::collections::HashMap;
use std::rc::Rc;

#[derive(PartialEq)]
pub enum Flow {
    Next,
    Break,
    Continue,
}

impl<'a> Machine<'a> {
    pub fn statement(&mut self, statement: &'a Stmt<'a>) -> Outcome<Flow> {
        self.meter.enter()?;
        let flow = self.one(statement)?;
        self.meter.leave();
        Ok(flow)
    }

    fn block(&mut self, body: &'a [Stmt<'a>]) -> Outcome<Flow> {
        for statement in body {
            let flow = self.statement(statement)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn one(&mut self, statement: &'a Stmt<'a>) -> Outcome<Flow> {
        match statement {
            Stmt::Template(template) => return self.block(&template.children),
            Stmt::EmitExpr(emit) => {
                let value = self.evaluate(&emit.expr)?;
                let text = print(&mut self.meter, &value)?;
                self.emit(&text)?;
            }
            Stmt::EmitRaw(emit) => self.emit(emit.raw)?,
            Stmt::ForLoop(each) => return self.for_loop(each),
            Stmt::IfCond(choice) => {
                return if self.evaluate(&choice.expr)?.truth() {
                    self.block(&choice.true_body)
                } else {
                    self.block(&choice.false_body)
                }
            }
            Stmt::WithBlock(with) => {
                self.scopes.push(HashMap::new());
                for (target, expr) in &with.assignments {
                    let value = self.evaluate(expr)?;
                    self.assign(target, value)?;
                }
                let flow = self.block(&with.body)?;
                self.scopes.pop();
                return Ok(flow);
            }
            Stmt::Set(set) => {
                let value = self.evaluate(&set.expr)?;
                self.assign(&set.target, value)?;
            }
            Stmt::SetBlock(set) => {
                let mut value = self.captured(&set.body)?;
                if let Some(filter) = &set.filter {
                    self.piped.push(value);
                    value = self.evaluate(filter)?;
                }
                self.assign(&set.target, value)?;
            }
            Stmt::FilterBlock(block) => {
                let value = self.captured(&block.body)?;
                self.piped.push(value);
                let value = self.evaluate(&block.filter)?;
                let text = print(&mut self.meter, &value)?;
                self.emit(&text)?;
            }
            Stmt::AutoEscape(block) => {
                if self.evaluate(&block.enabled)?.truth() {
                    return fail(
                        Code::Incompatible,
                        "chat_template: no support for autoescape",
                    );
                }
                return self.block(&block.body);
            }
            Stmt::Macro(declared) => {
                let declared: &'a Spanned<Macro<'a>> = declared;
                self.define(declared.name, Value::Macro(declared));
            }
            Stmt::CallBlock(block) => {
                let caller: &'a Spanned<Macro<'a>> = &block.macro_decl;
                let mut arguments = self.arguments(&block.call.args)?;
                arguments.named.push(("caller", Value::Macro(caller)));
                let value = self.evaluate(&block.call.expr)?;
                let value = calls::invoke(self, &value, &arguments)?;
                let text = print(&mut self.meter, &value)?;
                self.emit(&text)?;
            }
            Stmt::Continue(_) => return Ok(Flow::Continue),
            Stmt::Break(_) => return Ok(Flow::Break),
            Stmt::Do(block) => {
                calls::call(self, &block.call)?;
            }
        }
        Ok(Flow::Next)
    }

    fn emit(&mut self, text: &str) -> Outcome<()> {
        self.meter.text(text.len())?;
        if let Some(out) = self.out.last_mut() {
            out.push_str(text);
        }
        Ok(())
    }

    fn captured(&mut self, body: &'a [Stmt<'a>]) -> Outcome<Value<'a>> {
        self.out.push(String::new());
        self.scopes.push(HashMap::new());
        self.block(body)?;
        self.scopes.pop();
        let text = self.out.pop().unwrap_or_default();
        self.meter.text(text.len())?;
        Ok(Value::from(text))
    }

    fn for_loop(&mut self, each: &'a ForLoop<'a>) -> Outcome<Flow> {
        if each.recursive {
            return fail(
                Code::Incompatible,
                "chat_template: no support for recursive loops",
            );
        }
        let value = self.evaluate(&each.iter)?;
        let mut items = self.items(&value)?;
        if let Some(filter) = &each.filter_expr {
            let mut kept = Vec::new();
            for item in items {
                self.scopes.push(HashMap::new());
                self.assign(&each.target, item.clone())?;
                if self.evaluate(filter)?.truth() {
                    kept.push(item);
                }
                self.scopes.pop();
            }
            items = kept;
        }
        if items.is_empty() {
            return self.block(&each.else_body);
        }
        let Value::List(items) = Value::list(items)? else {
            return Ok(Flow::Next);
        };
        let seen = Rc::default();
        for index in 0..items.items.len() {
            self.meter.step()?;
            self.scopes.push(HashMap::new());
            let state = Loop {
                index,
                items: items.clone(),
                seen: Rc::clone(&seen),
            };
            self.define("loop", Value::Loop(Rc::new(state)));
            self.assign(&each.target, items.items[index].clone())?;
            let flow = self.block(&each.body)?;
            self.scopes.pop();
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn assign(
        &mut self,
        target: &'a Expr<'a>,
        value: Value<'a>,
    ) -> Outcome<()> {
        match target {
            Expr::Var(var) => {
                self.define(var.id, value);
                Ok(())
            }
            Expr::List(list) => {
                let values = self.items(&value)?;
                if values.len() != list.items.len() {
                    return fail(
                        Code::Corrupt,
                        format!(
                            "chat_template: {} values for {} names",
                            values.len(),
                            list.items.len()
                        ),
                    );
                }
                for (target, value) in list.items.iter().zip(values) {
                    self.assign(target, value)?;
                }
                Ok(())
            }
            Expr::GetAttr(get) => match self.evaluate(&get.expr)? {
                Value::Namespace(map) if value.is_data() => {
                    self.meter.values(map.borrow().entries.len())?;
                    map.borrow_mut().set(get.name, value);
                    Ok(())
                }
                other => fail(
                    Code::Corrupt,
                    format!(
                        "chat_template: cannot set .{} of {} to {}",
                        get.name,
                        other.kind(),
                        value.kind()
                    ),
                ),
            },
            _ => fail(Code::Corrupt, "chat_template: not a name to set"),
        }
    }

    /// Calls a macro: its text. It sees the template's variables and its own.
    pub fn run_macro(
        &mut self,
        declared: &'a Spanned<Macro<'a>>,
        arguments: &Arguments<'a>,
    ) -> Outcome<Value<'a>> {
        self.meter.enter()?;
        let floor = std::mem::replace(&mut self.floor, self.scopes.len());
        self.scopes.push(HashMap::new());
        self.bind_extra(declared, arguments)?;
        let without = declared.args.len() - declared.defaults.len();
        for (index, target) in declared.args.iter().enumerate() {
            let Expr::Var(var) = target else { continue };
            let by_place = arguments.positional.get(index);
            let by_name = named(arguments, var.id);
            if by_place.is_some() && by_name.is_some() {
                return fail(
                    Code::Corrupt,
                    format!(
                        "chat_template: {}: {} is given twice",
                        declared.name, var.id
                    ),
                );
            }
            let value = match by_place.or(by_name) {
                Some(value) => value.clone(),
                None if index >= without => {
                    self.evaluate(&declared.defaults[index - without])?
                }
                None => Value::Undefined,
            };
            self.define(var.id, value);
        }
        let text = self.captured(&declared.body)?;
        self.scopes.pop();
        self.floor = floor;
        self.meter.leave();
        Ok(text)
    }

    /// What a macro is given beyond its own arguments is for one that speaks
    /// of `varargs`, `kwargs` or `caller`; for others it is a mistake.
    fn bind_extra(
        &mut self,
        declared: &'a Spanned<Macro<'a>>,
        arguments: &Arguments<'a>,
    ) -> Outcome<()> {
        let span = declared.span();
        let body = self
            .source
            .get(span.start_offset as usize..span.end_offset as usize)
            .unwrap_or(self.source);
        self.meter.text(body.len())?;
        let owns = |name: &str| {
            let mut targets = declared.args.iter();
            targets.any(|one| matches!(one, Expr::Var(var) if var.id == name))
        };
        let refuse = |what: &str| {
            fail(
                Code::Corrupt,
                format!("chat_template: {}: {what}", declared.name),
            )
        };
        let count = declared.args.len();
        let more = arguments.positional.iter().skip(count).cloned();
        let more: Vec<_> = more.collect();
        self.meter.values(more.len())?;
        if body.contains("varargs") {
            self.define("varargs", Value::tuple(more)?);
        } else if !more.is_empty() {
            return refuse(&format!(
                "expected at most {count} arguments, found {}",
                arguments.positional.len()
            ));
        }
        let mut others = Map::default();
        for (name, value) in &arguments.named {
            if *name == "caller" && !owns(name) && body.contains("caller") {
                self.define("caller", value.clone());
            } else if !owns(name) && body.contains("kwargs") {
                self.meter.values(others.entries.len() + 1)?;
                others.set(name, value.clone());
            } else if !owns(name) {
                return refuse(&format!("no argument named {name}"));
            }
        }
        if body.contains("kwargs") {
            self.define("kwargs", Value::map(others)?);
        }
        Ok(())
    }
}

fn named<'v, 'a>(
    arguments: &'v Arguments<'a>,
    name: &str,
) -> Option<&'v Value<'a>> {
    let mut named = arguments.named.iter();
    named.find(|(key, _)| *key == name).map(|(_, value)| value)
}
