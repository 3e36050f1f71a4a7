create table screening (
    id   uuid primary key,
    film text not null
);

create table seat (
    screening uuid not null references screening (id),
    place     text not null,
    taken_by  text,
    primary key (screening, place)
);

create table reservation (
    id        bigint generated always as identity primary key,
    screening uuid not null,
    place     text not null,
    holder    text not null,
    made_at   timestamptz not null default now(),
    foreign key (screening, place) references seat (screening, place)
);

insert into screening values ('5f0c8a52-6f0e-4c55-9a35-0d5d2c1f7d10', 'Metropolis');
insert into seat (screening, place) values
    ('5f0c8a52-6f0e-4c55-9a35-0d5d2c1f7d10', 'C4'),
    ('5f0c8a52-6f0e-4c55-9a35-0d5d2c1f7d10', 'C5');
