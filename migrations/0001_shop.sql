-- The shop. Money is in minor units. The named checks are the backstop: if one fires,
-- the service has a bug, and the statement fails rather than the shop.

create table item (
    id    bigint not null,
    name  text   not null default '',
    price bigint not null,
    stock bigint not null,
    constraint item_pkey               primary key (id),
    constraint item_price_not_negative check (price >= 0),
    constraint item_stock_not_negative check (stock >= 0)
);

create table wallet (
    user_id bigint not null,
    balance bigint not null,
    constraint wallet_pkey                 primary key (user_id),
    constraint wallet_balance_not_negative check (balance >= 0)
);

create table purchase (
    id              bigint      not null generated always as identity,
    user_id         bigint      not null,
    item_id         bigint      not null,
    price           bigint      not null,
    balance_left    bigint,
    idempotency_key text,
    created_at      timestamptz not null default now(),
    constraint purchase_pkey                   primary key (id),
    constraint purchase_user_id_fkey           foreign key (user_id) references wallet (user_id),
    constraint purchase_item_id_fkey           foreign key (item_id) references item (id),
    constraint purchase_price_not_negative     check (price >= 0),
    -- A repeat returns the first receipt, so that must be whole.
    constraint purchase_keyed_has_receipt      check (idempotency_key is null or balance_left is not null),
    -- One purchase per key: what makes a retry safe even where the lookup raced.
    constraint purchase_idempotency_key_unique unique (idempotency_key)
);
