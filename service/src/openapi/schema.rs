//! What the document's values look like.

use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, Ref, Schema, SchemaFormat,
    SchemaType, Type,
};
use utoipa::openapi::{ComponentsBuilder, RefOr};

use crate::reads::PAGE;

/// The bodies that have a name.
pub(super) fn schemas() -> ComponentsBuilder {
    let nullable_id = id("what to pass as `after` for the following page, if there may be one")
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]));
    let item = || Ref::from_schema_name("Item");
    let page = ArrayBuilder::new().items(item()).max_items(Some(PAGE));
    let order = object([
        (
            "user_id",
            id("whose wallet pays; written without fraction or exponent").into(),
        ),
        (
            "item_id",
            id("the item of which one unit is bought; written in the same way").into(),
        ),
    ])
    .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    ComponentsBuilder::new()
        .schema("Order", order)
        .schema(
            "Receipt",
            object([
                ("purchase_id", id("the purchase").into()),
                ("user_id", id("whose wallet paid").into()),
                (
                    "item_id",
                    id("the item of which one unit was bought").into(),
                ),
                ("price", amount("what it cost, at the time").into()),
                (
                    "balance_left",
                    amount("what this purchase left in the wallet").into(),
                ),
            ]),
        )
        .schema(
            "Item",
            object([
                ("id", id("the item").into()),
                ("name", text("what it is called").into()),
                ("price", amount("what a unit costs").into()),
                ("stock", amount("how many units are left").into()),
            ]),
        )
        .schema(
            "Items",
            object([
                ("items", Schema::from(page).into()),
                ("next", nullable_id.into()),
            ]),
        )
        .schema(
            "Wallet",
            object([
                ("user_id", id("its owner").into()),
                ("balance", amount("what is in it").into()),
            ]),
        )
}

/// An object of exactly these properties.
fn object<const N: usize>(properties: [(&str, RefOr<Schema>); N]) -> ObjectBuilder {
    let object = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object));
    properties
        .into_iter()
        .fold(object, |object, (name, schema)| {
            object.property(name, schema).required(name)
        })
}

fn integer(description: &str, minimum: i64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Integer))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(minimum as isize))
        .maximum(Some(i64::MAX as isize))
        .description(Some(description))
}

pub(super) fn id(description: &str) -> ObjectBuilder {
    integer(description, i64::MIN)
}

pub(super) fn amount(description: &str) -> ObjectBuilder {
    integer(description, 0)
}

pub(super) fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .description(Some(description))
}

/// 1 to `max_len` visible ASCII characters.
pub(super) fn visible_ascii(max_len: usize) -> ObjectBuilder {
    text("visible ASCII")
        .min_length(Some(1))
        .max_length(Some(max_len))
        .pattern(Some(format!("^[!-~]{{1,{max_len}}}$")))
}
