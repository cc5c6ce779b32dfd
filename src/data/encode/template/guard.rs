//! Bounds on what a chat template may take: a template is a program that came with a model, and fuel alone bounds its instructions,
//! not the memory that one of them asks for (`x ~ x`, forty times over) nor the time.
//!
//! Every value that an expression reads goes through a filter, which is written behind it before the template is compiled. It counts
//! what is read, looks at the clock, and ends the rendering where there is too much (`super::budget`). What joins values can make no more than it reads;
//! a product can, and is counted itself; the filters that can are bounded in `super::filters`.

use super::budget::{read, too_much, weigh};
use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{Token, WhitespaceConfig, parse, tokenize};
use minijinja::value::Value;
use minijinja::{Environment, Error};

const LONGEST_SOURCE: usize = 1 << 20;
/// The longest tag of the largest templates that models came with has some 150.
const MOST_TOKENS_OF_TAG: usize = 1000;
/// How a value is read; each is a filter.
#[derive(Debug, Clone, Copy)]
enum Use {
    /// By itself: a list is counted by its length.
    Read,
    /// With all that is in it, as it becomes text, is compared, or becomes a part of another.
    Whole,
}

/// A template that is read through the filters, and the longest text in it that is no expression.
pub(super) struct Guarded {
    pub source: String,
    pub longest_raw: usize,
}

/// Writes the filters into a template.
///
/// # Errors
/// What the template's parser says; a template or an expression of a size that no template has.
pub(super) fn guarded(source: &str) -> Result<Guarded, Error> {
    if source.len() > LONGEST_SOURCE {
        return Err(too_much(format!("its {} bytes are more than any template has", source.len())));
    }
    let whitespace =
        WhitespaceConfig { keep_trailing_newline: false, lstrip_blocks: true, trim_blocks: true };
    let mut tokens = Vec::new();
    let mut of_tag = 0;
    for token in tokenize(source, false, Default::default(), whitespace) {
        let (token, span) = token?;
        of_tag = match token {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => 0,
            _ => of_tag + 1,
        };
        if of_tag > MOST_TOKENS_OF_TAG {
            return Err(too_much(format!("one of its expressions has more than {MOST_TOKENS_OF_TAG} parts")));
        }
        let parenthesis = match token {
            Token::ParenOpen => 1,
            Token::ParenClose => -1,
            _ => 0,
        };
        tokens.push((span.start_offset as usize, parenthesis));
    }
    let mut reads = Reads { tokens, insertions: Vec::new(), longest_raw: 0 };
    reads.statement(&parse(source, "chat_template", Default::default(), whitespace)?);
    reads.insertions.sort_by_key(|(place, _)| *place);
    let (mut out, mut from) = (String::with_capacity(2 * source.len()), 0);
    for (place, text) in &reads.insertions {
        out.push_str(&source[from..*place]);
        out.push_str(text);
        from = *place;
    }
    out.push_str(&source[from..]);
    Ok(Guarded { source: out, longest_raw: reads.longest_raw })
}

pub(super) fn add_filters(env: &mut Environment) {
    env.add_filter("_read", |value: Value| read(&value).map(|()| value));
    env.add_filter("_whole", |value: Value| weigh(&value).map(|()| value));
}

/// Where expressions read values: the ends of names with all that follows them in points, brackets and parentheses.
struct Reads {
    /// Where each begins, and 1 for an opening parenthesis, -1 for a closing one.
    tokens: Vec<(usize, i32)>,
    /// What is written into the source, and where.
    insertions: Vec<(usize, &'static str)>,
    longest_raw: usize,
}

impl Reads {
    fn statements(&mut self, statements: &[Stmt]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr, Use::Read),
            Stmt::EmitRaw(raw) => self.longest_raw = self.longest_raw.max(raw.raw.len()),
            Stmt::ForLoop(each) => {
                self.expression(&each.iter, Use::Read);
                each.filter_expr.iter().for_each(|filter| self.expression(filter, Use::Read));
                self.statements(&each.body);
                self.statements(&each.else_body);
            }
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr, Use::Read);
                self.statements(&condition.true_body);
                self.statements(&condition.false_body);
            }
            Stmt::WithBlock(with) => {
                with.assignments.iter().for_each(|(_, value)| self.expression(value, Use::Read));
                self.statements(&with.body);
            }
            Stmt::Set(set) => self.expression(&set.expr, Use::Read),
            Stmt::SetBlock(set) => {
                set.filter.iter().for_each(|filter| self.expression(filter, Use::Read));
                self.statements(&set.body);
            }
            Stmt::AutoEscape(escape) => self.statements(&escape.body),
            Stmt::FilterBlock(filter) => {
                self.expression(&filter.filter, Use::Read);
                self.statements(&filter.body);
            }
            Stmt::Block(block) => self.statements(&block.body),
            Stmt::Macro(declared) => {
                declared.defaults.iter().for_each(|value| self.expression(value, Use::Read));
                self.statements(&declared.body);
            }
            Stmt::CallBlock(block) => {
                self.inner(&block.call.expr);
                self.arguments(&block.call.args);
                self.statements(&block.macro_decl.body);
            }
            Stmt::Do(call) => {
                self.inner(&call.call.expr);
                self.arguments(&call.call.args);
            }
            _ => {}
        }
    }

    fn expression(&mut self, expression: &Expr, how: Use) {
        match expression {
            Expr::Const(_) => {}
            Expr::Var(_) | Expr::Slice(_) | Expr::GetAttr(_) | Expr::GetItem(_) | Expr::Call(_) => {
                self.read(expression, how);
                self.inner(expression);
            }
            Expr::UnaryOp(operation) => self.expression(&operation.expr, how),
            Expr::BinOp(operation) => {
                let how = match operation.op {
                    BinOpKind::ScAnd | BinOpKind::ScOr | BinOpKind::Add => how,
                    _ => Use::Whole,
                };
                self.expression(&operation.left, how);
                self.expression(&operation.right, how);
                if let BinOpKind::Mul = operation.op {
                    self.product(expression);
                }
            }
            Expr::Compare(compare) => {
                self.expression(&compare.expr, Use::Whole);
                compare.ops.iter().for_each(|operation| self.expression(&operation.expr, Use::Whole));
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr, Use::Read);
                self.expression(&choice.true_expr, how);
                choice.false_expr.iter().for_each(|other| self.expression(other, how));
            }
            Expr::Filter(filter) => {
                filter.expr.iter().for_each(|value| self.expression(value, Use::Whole));
                self.arguments(&filter.args);
            }
            // Its argument may stand without parentheses and then takes no filter.
            Expr::Test(test) => self.expression(&test.expr, Use::Whole),
            Expr::List(list) => list.items.iter().for_each(|item| self.expression(item, Use::Whole)),
            Expr::Map(map) => {
                map.keys.iter().chain(&map.values).for_each(|item| self.expression(item, Use::Whole));
            }
        }
    }

    /// What stands before a point, a bracket or a parenthesis takes no filter itself; what is within them does.
    fn inner(&mut self, expression: &Expr) {
        match expression {
            Expr::GetAttr(attribute) => self.inner(&attribute.expr),
            Expr::GetItem(item) => {
                self.inner(&item.expr);
                self.expression(&item.subscript_expr, Use::Read);
            }
            Expr::Slice(slice) => {
                self.inner(&slice.expr);
                [&slice.start, &slice.stop, &slice.step]
                    .into_iter()
                    .flatten()
                    .for_each(|bound| self.expression(bound, Use::Read));
            }
            Expr::Call(call) => {
                self.inner(&call.expr);
                self.arguments(&call.args);
            }
            Expr::Var(_) | Expr::Const(_) => {}
            // In parentheses.
            other => self.expression(other, Use::Read),
        }
    }

    fn arguments(&mut self, arguments: &[CallArg]) {
        for argument in arguments {
            let (CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value)) = argument;
            self.expression(value, Use::Whole);
        }
    }

    fn read(&mut self, expression: &Expr, how: Use) {
        let filter = match how {
            Use::Read => "|_read",
            Use::Whole => "|_whole",
        };
        self.insertions.push((expression.span().end_offset as usize, filter));
    }

    /// Puts a product into parentheses, and its constants behind filters, so that it is not computed when the template is compiled.
    fn product(&mut self, product: &Expr) {
        self.constants(product);
        let end = product.span().end_offset as usize;
        let start = self.with_parentheses(first_place(product), end);
        self.insertions.push((start, "(("));
        self.insertions.push((end, ")|_read)"));
    }

    fn constants(&mut self, expression: &Expr) {
        match expression {
            Expr::Const(constant) => {
                self.insertions.push((constant.span().end_offset as usize, "|_read"));
            }
            Expr::UnaryOp(operation) => self.constants(&operation.expr),
            Expr::BinOp(operation) => {
                self.constants(&operation.left);
                self.constants(&operation.right);
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.constants(item)),
            Expr::Map(map) => map.values.iter().for_each(|value| self.constants(value)),
            _ => {}
        }
    }

    /// Where an expression begins whose first name begins at `start`: before the parentheses that are closed before `end`.
    fn with_parentheses(&self, start: usize, end: usize) -> usize {
        let first = self.tokens.partition_point(|(place, _)| *place < start);
        let within = self.tokens[first..].iter().take_while(|(place, _)| *place < end);
        let (mut open, mut missing) = (0, 0);
        for (_, parenthesis) in within {
            open += parenthesis;
            missing = missing.max(-open);
        }
        self.tokens[first.saturating_sub(missing as usize)].0
    }
}

/// Where the first name or constant of an expression begins.
fn first_place(expression: &Expr) -> usize {
    match expression {
        Expr::BinOp(operation) => first_place(&operation.left),
        Expr::Compare(compare) => first_place(&compare.expr),
        Expr::IfExpr(choice) => first_place(&choice.true_expr),
        Expr::Filter(filter) => filter.expr.as_ref().map_or(0, first_place),
        Expr::Test(test) => first_place(&test.expr),
        Expr::GetAttr(attribute) => first_place(&attribute.expr),
        Expr::GetItem(item) => first_place(&item.expr),
        Expr::Slice(slice) => first_place(&slice.expr),
        Expr::Call(call) => first_place(&call.expr),
        other => other.span().start_offset as usize,
    }
}
