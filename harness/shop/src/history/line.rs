//! An operation as one flat JSON object, strict enough that a slip of the pen is an error.

use purchase_service::order::{ItemId, Money, Order, PurchaseId, UserId};
use serde::{Deserialize, Serialize};

use super::{Completion, Operation, Receipt, Refusal, Request, Unknown};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    user_id: UserId,
    item_id: ItemId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Where it is `invoked_ns`, as in every history written by hand, it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intended_ns: Option<u64>,
    invoked_ns: u64,
    /// May be left out beside `info`: such an operation has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ok: Option<ReceiptLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fail: Option<Refusal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info: Option<Unknown>,
}

/// A [`Receipt`] that takes nothing it does not know; an HTTP answer may say more.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptLine {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purchase_id: Option<PurchaseId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    price: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    balance_left: Option<Money>,
}

/// Why an object of the right shape is no operation.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoOperation {
    #[error("an operation ends with exactly one of \"ok\", \"fail\" and \"info\", not {0} of them")]
    Completions(usize),
    #[error("\"completed_ns\" is missing; only an operation with \"info\" may go without")]
    NoEnd,
    #[error("completed_ns {completed_ns} is before invoked_ns {invoked_ns}")]
    EndsBeforeItBegins { invoked_ns: u64, completed_ns: u64 },
}

impl TryFrom<Line> for Operation {
    type Error = NoOperation;

    fn try_from(line: Line) -> Result<Self, NoOperation> {
        let completions = [
            line.ok.map(|receipt| Completion::Ok(receipt.into())),
            line.fail.map(Completion::Fail),
            line.info.map(Completion::Info),
        ];
        let mut completions: Vec<_> = completions.into_iter().flatten().collect();
        let completion = match (completions.pop(), completions.len()) {
            (Some(completion), 0) => completion,
            (last, others) => {
                let count = others + usize::from(last.is_some());
                return Err(NoOperation::Completions(count));
            }
        };
        let invoked_ns = line.invoked_ns;
        let completed_ns = match (line.completed_ns, &completion) {
            (Some(completed_ns), _) => completed_ns,
            (None, Completion::Info(_)) => invoked_ns,
            (None, _) => return Err(NoOperation::NoEnd),
        };
        if completed_ns < invoked_ns {
            return Err(NoOperation::EndsBeforeItBegins {
                invoked_ns,
                completed_ns,
            });
        }
        let order = Order {
            user_id: line.user_id,
            item_id: line.item_id,
        };
        Ok(Operation {
            request: Request {
                order,
                key: line.key,
            },
            intended_ns: line.intended_ns.unwrap_or(invoked_ns),
            invoked_ns,
            completed_ns,
            status: line.status,
            completion,
        })
    }
}

impl From<Operation> for Line {
    fn from(operation: Operation) -> Line {
        let Operation {
            request: Request { order, key },
            intended_ns,
            invoked_ns,
            completed_ns,
            status,
            completion,
        } = operation;
        let (mut ok, mut fail, mut info) = (None, None, None);
        match completion {
            Completion::Ok(receipt) => ok = Some(receipt.into()),
            Completion::Fail(refusal) => fail = Some(refusal),
            Completion::Info(unknown) => info = Some(unknown),
        }
        Line {
            user_id: order.user_id,
            item_id: order.item_id,
            key,
            intended_ns: (intended_ns != invoked_ns).then_some(intended_ns),
            invoked_ns,
            completed_ns: Some(completed_ns),
            status,
            ok,
            fail,
            info,
        }
    }
}

impl From<ReceiptLine> for Receipt {
    fn from(line: ReceiptLine) -> Receipt {
        Receipt {
            purchase_id: line.purchase_id,
            price: line.price,
            balance_left: line.balance_left,
        }
    }
}

impl From<Receipt> for ReceiptLine {
    fn from(receipt: Receipt) -> ReceiptLine {
        ReceiptLine {
            purchase_id: receipt.purchase_id,
            price: receipt.price,
            balance_left: receipt.balance_left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Operation, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_operation_reads_back_from_its_json() {
        for completion in [
            Completion::Ok(Receipt {
                price: Some(Money(100)),
                ..Receipt::default()
            }),
            Completion::Fail(Refusal::Other("404 not_found".into())),
            Completion::Info(Unknown::HungUp),
        ] {
            let operation = Operation {
                request: Request::new(1, 2).with_key("k"),
                intended_ns: 3,
                invoked_ns: 4,
                completed_ns: 5,
                status: Some(404),
                completion,
            };
            let json = serde_json::to_string(&operation).unwrap();
            assert_eq!(read(&json), Ok(operation), "{json}");
        }
    }

    #[test]
    fn a_line_by_hand_needs_no_more_than_it_says() {
        let operation =
            read(r#"{"user_id":1,"item_id":2,"invoked_ns":7,"info":"timed_out"}"#).unwrap();
        assert_eq!((operation.intended_ns, operation.completed_ns), (7, 7));
        let json = serde_json::to_string(&operation).unwrap();
        let expected =
            r#"{"user_id":1,"item_id":2,"invoked_ns":7,"completed_ns":7,"info":"timed_out"}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn a_slip_of_the_pen_is_an_error() {
        let whole = r#"{"user_id":1,"item_id":2,"invoked_ns":7,"completed_ns":9,"#;
        for (rest, says) in [
            (r#""ok":{},"fail":"busy"}"#, "not 2 of them"),
            (r#""status":200}"#, "not 0 of them"),
            (r#""ok":{"balance":1}}"#, "unknown field `balance`"),
            (r#""key_":"k","ok":{}}"#, "unknown field `key_`"),
            (r#""fail":"sold_out"}"#, "unknown variant `sold_out`"),
        ] {
            let error = read(&format!("{whole}{rest}")).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let backwards = r#"{"user_id":1,"item_id":2,"invoked_ns":7,"completed_ns":6,"ok":{}}"#;
        assert!(read(backwards).unwrap_err().contains("before"));
        let endless = r#"{"user_id":1,"item_id":2,"invoked_ns":7,"ok":{}}"#;
        assert!(read(endless).unwrap_err().contains("completed_ns"));
    }
}
