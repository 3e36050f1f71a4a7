//! How long a check may go on before it says that it does not know.

/// Steps that are left. A step is a look at one operation: tens of millions take a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Budget {
    steps: u64,
}

/// The budget is spent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent;

impl Budget {
    /// A budget of so many steps.
    pub const fn steps(steps: u64) -> Budget {
        Budget { steps }
    }

    /// How many steps are left.
    pub const fn left(self) -> u64 {
        self.steps
    }

    pub(super) fn spent_since(self, before: Budget) -> u64 {
        before.steps - self.steps
    }

    pub(super) fn spend(&mut self, steps: u64) -> Result<(), Spent> {
        // Every visit costs something, or a search among few operations would never end.
        match self.steps.checked_sub(steps.max(1)) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => {
                self.steps = 0;
                Err(Spent)
            }
        }
    }
}

impl Default for Budget {
    /// Some seconds' worth.
    fn default() -> Self {
        Budget::steps(50_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_step_by_step_and_never_overdrawn() {
        let all = Budget::steps(10);
        let mut budget = all;
        assert!(budget.spend(3).is_ok());
        assert_eq!((budget.left(), budget.spent_since(all)), (7, 3));
        assert!(budget.spend(0).is_ok());
        assert_eq!((budget.left(), budget.spent_since(all)), (6, 4));
        assert!(budget.spend(7).is_err());
        assert_eq!((budget.left(), budget.spent_since(all)), (0, 10));
        assert!(budget.spend(0).is_err());
    }
}
