create table customer (id integer primary key, name text not null unique);
create table visit (
    customer integer primary key references customer (id),
    pages    integer not null,
    seen     timestamptz
);
create table page_view (
    id       bigserial primary key,
    customer integer not null references customer (id),
    path     text not null
);
create table category (id integer primary key, name text not null, parent integer references category (id));
create table product (
    id          integer primary key,
    name        text not null,
    price       integer not null,
    category_id integer not null references category (id)
);
create table review (id serial primary key, product_id integer not null references product (id), stars integer not null);
create table stock (product_id integer primary key references product (id), on_hand integer not null);
create table zone (id integer primary key, name text not null, above integer not null, price integer not null);
create table basket_line (
    customer   integer not null references customer (id),
    product_id integer not null references product (id),
    quantity   integer not null,
    primary key (customer, product_id)
);
create table orders (
    id       bigserial primary key,
    customer integer not null references customer (id),
    placed   timestamptz not null default now()
);
create table order_line (
    order_id   bigint not null references orders (id),
    product_id integer not null references product (id),
    quantity   integer not null,
    price      integer not null,
    primary key (order_id, product_id)
);

insert into customer select i, 'customer ' || i from generate_series(1, 5) as i;
insert into visit select id, 0, null from customer;
insert into category values (1, 'all', null), (2, 'ink', 1), (3, 'pens', 1);
insert into product select i, 'product ' || i, 100 * i, 2 + i % 2 from generate_series(1, 15) as i;
insert into review (product_id, stars) select i % 15 + 1, i % 5 + 1 from generate_series(1, 60) as i;
insert into stock select id, case id when 2 then 1 else 10 end from product;
insert into zone values (1, 'near', 0, 5), (2, 'far', 500, 9);
insert into basket_line select c.id, p.id, 1 from customer c cross join product p where p.id < 4 and c.id < 3;
