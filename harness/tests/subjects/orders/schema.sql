create table customer (
    id    serial primary key,
    email text not null unique,
    token text not null
);

create table product (
    sku   text primary key,
    stock integer not null
);

create table basket_line (
    customer integer not null references customer (id),
    sku      text not null references product (sku),
    quantity integer not null,
    primary key (customer, sku)
);

create table "order" (
    id       serial primary key,
    customer integer not null references customer (id),
    placed   timestamp not null default now()
);

create table order_line (
    "order"  integer not null references "order" (id),
    sku      text not null references product (sku),
    quantity integer not null,
    primary key ("order", sku)
);

insert into product values ('pen', 5), ('ink', 1);
