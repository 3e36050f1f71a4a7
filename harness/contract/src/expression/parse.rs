//! From text to terms, by recursive descent. The grammar stands in the module above.

use super::token::{Token, tokens};
use super::{Comparison, Expression, Extreme, Operation, Relation, Term};

/// How deep parentheses and signs may stand in one another.
const DEEPEST: usize = 50;

pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        depth: 0,
    };
    let mut comparisons = parser.comparisons()?;
    while parser.takes_word("and") {
        comparisons.extend(parser.comparisons()?);
    }
    match parser.tokens.first() {
        None => Ok(Expression {
            text: text.trim().to_owned(),
            comparisons,
        }),
        Some(token) => Err(format!("{} does not belong here", describe(Some(token)))),
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    depth: usize,
}

fn describe(token: Option<&Token>) -> String {
    match token {
        None => "the end".to_owned(),
        Some(Token::Number(number)) => format!("`{number}`"),
        Some(Token::Word(word)) => format!("`{word}`"),
        Some(Token::Sign(sign)) => format!("`{sign}`"),
    }
}

impl Parser<'_> {
    fn next(&mut self) -> Option<&Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    /// Takes the first of `signs` that comes next, if one does.
    fn takes<T: Copy>(&mut self, signs: &[(&str, T)]) -> Option<T> {
        let Some(Token::Sign(next)) = self.tokens.first() else {
            return None;
        };
        let (_, meaning) = signs.iter().find(|(sign, _)| sign == next)?;
        self.next();
        Some(*meaning)
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.tokens.first(), Some(Token::Word(next)) if next == word);
        if is_next {
            self.next();
        }
        is_next
    }

    fn expects(&mut self, sign: &str) -> Result<(), String> {
        match self.takes(&[(sign, ())]) {
            Some(()) => Ok(()),
            None => {
                let found = describe(self.tokens.first());
                Err(format!("`{sign}` is expected, not {found}"))
            }
        }
    }

    /// One comparison, or several in a row: `0 <= after <= before`.
    fn comparisons(&mut self) -> Result<Vec<Comparison>, String> {
        let mut comparisons = Vec::new();
        let mut left = self.sum()?;
        while let Some(relation) = self.takes(&[
            ("==", Relation::Equal),
            ("!=", Relation::Unequal),
            ("<=", Relation::AtMost),
            (">=", Relation::AtLeast),
            ("<", Relation::Less),
            (">", Relation::More),
        ]) {
            let right = self.sum()?;
            comparisons.push(Comparison {
                left,
                relation,
                right: right.clone(),
            });
            left = right;
        }
        match comparisons.is_empty() {
            false => Ok(comparisons),
            true => {
                let found = describe(self.tokens.first());
                Err(format!("a comparison like `==` is expected, not {found}"))
            }
        }
    }

    fn sum(&mut self) -> Result<Term, String> {
        let mut term = self.product()?;
        while let Some(operation) = self.takes(&[("+", Operation::Plus), ("-", Operation::Minus)]) {
            term = Term::Binary(Box::new(term), operation, Box::new(self.product()?));
        }
        Ok(term)
    }

    fn product(&mut self) -> Result<Term, String> {
        let mut term = self.unary()?;
        while let Some(operation) = self.takes(&[("*", Operation::Times), ("/", Operation::Over)]) {
            term = Term::Binary(Box::new(term), operation, Box::new(self.unary()?));
        }
        Ok(term)
    }

    fn unary(&mut self) -> Result<Term, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("it is nested too deep".to_owned());
        }
        let term = match self.next().cloned() {
            Some(Token::Sign("-")) => Ok(Term::Negative(Box::new(self.unary()?))),
            Some(Token::Sign("(")) => {
                let term = self.sum()?;
                self.expects(")")?;
                Ok(term)
            }
            Some(Token::Number(number)) => Ok(Term::Number(number)),
            Some(Token::Word(word)) => self.word(&word),
            other => Err(format!(
                "a number is expected, not {}",
                describe(other.as_ref())
            )),
        };
        self.depth -= 1;
        term
    }

    fn word(&mut self, word: &str) -> Result<Term, String> {
        match word {
            "before" => Ok(Term::Before),
            "after" => Ok(Term::After),
            "ok" => self.call().map(Term::Ok),
            "unknown" => self.call().map(Term::Unknown),
            "min" => self.extreme(Extreme::Least),
            "max" => self.extreme(Extreme::Greatest),
            _ => Err(format!(
                "`{word}` is not known here; known are before, after, ok(CALL), unknown(CALL), min and max"
            )),
        }
    }

    /// A call's name in parentheses; one that a sign is part of, as in `sign-up`, is put together.
    fn call(&mut self) -> Result<String, String> {
        self.expects("(")?;
        let mut name = String::new();
        while self.takes(&[(")", ())]).is_none() {
            match self.next() {
                Some(Token::Word(word)) => name += word,
                Some(Token::Number(number)) => name += &number.to_string(),
                Some(Token::Sign("-")) => name.push('-'),
                other => {
                    let found = describe(other);
                    return Err(format!("a call's name and `)` are expected, not {found}"));
                }
            }
        }
        match name.is_empty() {
            false => Ok(name),
            true => Err("a call's name is expected in the parentheses".to_owned()),
        }
    }

    fn extreme(&mut self, extreme: Extreme) -> Result<Term, String> {
        self.expects("(")?;
        let mut terms = vec![self.sum()?];
        while self.takes(&[(",", ())]).is_some() {
            terms.push(self.sum()?);
        }
        self.expects(")")?;
        Ok(Term::Extreme(extreme, terms))
    }
}
