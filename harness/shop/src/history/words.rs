//! What became of an operation, in words for people.

use std::fmt;

use super::{Completion, Receipt, Refusal};

impl fmt::Display for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Completion::Ok(receipt) => receipt.fmt(f),
            Completion::Fail(refusal) => refusal.fmt(f),
            Completion::Info(unknown) => unknown.fmt(f),
        }
    }
}

impl fmt::Display for Receipt {
    /// `purchased (purchase 7, price 10, balance left 90)`, as far as it is told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.purchase_id.map(|id| format!("purchase {id}"));
        let price = self.price.map(|price| format!("price {price}"));
        let left = self.balance_left.map(|left| format!("balance left {left}"));
        let told: Vec<_> = [id, price, left].into_iter().flatten().collect();
        match told.is_empty() {
            true => f.write_str("purchased"),
            false => write!(f, "purchased ({})", told.join(", ")),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::OutOfStock => "out of stock",
            Refusal::InsufficientBalance => "insufficient balance",
            Refusal::UnknownItem => "unknown item",
            Refusal::UnknownUser => "unknown user",
            Refusal::Conflict => "conflict",
            Refusal::KeyReused => "key belongs to another payload",
            Refusal::Busy => "busy",
            Refusal::NotSent => "never sent",
            Refusal::Unstated(answer) => return write!(f, "refused ({answer})"),
            Refusal::Other(answer) => answer,
        })
    }
}

#[cfg(test)]
mod tests {
    use purchase_service::order::{Money, PurchaseId};
    use rowlock_core::answer::Unknown;

    use super::super::{Operation, Request};
    use super::*;

    fn described(status: Option<u16>, completion: Completion) -> String {
        let operation = Operation {
            request: Request::new(1, 2).with_key("k"),
            intended_ns: 0,
            invoked_ns: 0,
            completed_ns: 1,
            status,
            completion,
        };
        operation.describe()
    }

    #[test]
    fn an_operation_is_described_in_words() {
        let receipt = Receipt {
            purchase_id: Some(PurchaseId(7)),
            price: None,
            balance_left: Some(Money(90)),
        };
        for (status, completion, words) in [
            (
                Some(200),
                Completion::Ok(receipt),
                "200, purchased (purchase 7, balance left 90)",
            ),
            (
                Some(200),
                Completion::Ok(Receipt::default()),
                "200, purchased",
            ),
            (
                Some(400),
                Completion::Fail(Refusal::OutOfStock),
                "400, out of stock",
            ),
            (
                None,
                Completion::Fail(Refusal::NotSent),
                "no answer, never sent",
            ),
            (
                None,
                Completion::Info(Unknown::HungUp),
                "no answer, hung up",
            ),
        ] {
            let described = described(status, completion);
            assert_eq!(described, format!("user 1 item 2 key \"k\": {words}"));
        }
    }
}
