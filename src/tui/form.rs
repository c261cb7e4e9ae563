//! The form: what has to be asked before something can be planned.

use super::request::{Asked, Field, Request, Value, Wrong};
use crate::forest::Forest;

/// A request that is being filled in.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) request: Request,
    /// The field with the focus, by number in the request.
    pub(super) field: usize,
    /// What is wrong with an answer; looked at anew with every key once it was said.
    pub(super) wrong: Option<Wrong>,
}

impl Form {
    pub(super) fn new(request: Request) -> Self {
        let mut form = Self { request, field: 0, wrong: None };
        form.field = form.fields().first().copied().unwrap_or(0);
        form
    }

    /// The fields that are asked here, by number.
    pub(super) fn fields(&self) -> Vec<usize> {
        let fields = self.request.fields.iter().enumerate();
        let asked = |field: &Field| field.asked != Asked::InPlace && self.request.matters(field);
        fields.filter(|(_, field)| asked(field)).map(|(i, _)| i).collect()
    }

    pub(super) fn focused(&mut self) -> Option<&mut Field> {
        self.request.fields.get_mut(self.field)
    }

    /// Whether letters are an answer here.
    pub(super) fn typing(&self) -> bool {
        let field = self.request.fields.get(self.field);
        field.is_some_and(|field| !matches!(field.value, Value::Toggle(_)))
    }

    pub(super) fn turn(&mut self, forward: bool) {
        let fields = self.fields();
        let Some(last) = fields.len().checked_sub(1) else { return };
        let at = fields.iter().position(|i| *i == self.field).unwrap_or(0);
        let next = match forward {
            true if at == last => 0,
            true => at + 1,
            false => at.checked_sub(1).unwrap_or(last),
        };
        self.field = fields[next];
    }

    /// Up and down: through the items of a choice, else through the fields.
    pub(super) fn step(&mut self, forward: bool, forest: &Forest) {
        match self.focused() {
            Some(field @ Field { value: Value::Choice(_), .. }) => {
                field.turn(forward);
                self.look_again(forest);
            }
            _ => self.turn(forward),
        }
    }

    /// After an answer changed.
    pub(super) fn look_again(&mut self, forest: &Forest) {
        if self.wrong.is_some() {
            self.wrong = self.request.operation(forest).err();
        }
    }

    /// Says what is wrong and goes there. Nothing when the answers make an operation.
    pub(super) fn check(&mut self, forest: &Forest) -> bool {
        self.wrong = self.request.operation(forest).err();
        let wrong = self.wrong.as_ref().map(|wrong| wrong.key);
        if let Some(at) = self.request.fields.iter().position(|field| Some(field.key) == wrong) {
            self.field = at;
        }
        self.wrong.is_none()
    }
}
