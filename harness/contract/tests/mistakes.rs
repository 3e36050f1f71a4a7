//! What a contract is told of its mistakes, one kind after another.

use rowlock_contract::Contract;

/// What stands before each case unless it begins with `!`: a right contract of seven lines.
const RIGHT: &str = r#"[service]
command = "node server.js"
[calls.login]
path = "/login"
form = { user = "${user}" }
capture = { token = { json = "$.token" } }
answers = [{ status = 401, means = "invalid" }]
[calls.buy]
path = "/buy"
headers = { Authorization = "Bearer ${token}" }
json = { item = "${item}" }
[variables]
item = 1
[actors.alice]
user = "1"
prepare = ["login"]
story = ["buy"]
"#;

const SYNTAX: &[&str] = &[
    "!",
    "![service\ncommand = 1",
    "!a = 1\na = 2\nb = \n[service]",
];

const SERVICE: &[&str] = &[
    "![calls.a]\npath = \"/\"",
    "![service]\ncommand = \"x\"",
    "![service]\ncommand = \"x\"\n[calls]",
    "![service]\ncommand = \"x\"\nstory = [\"a\"]\n[calls.a]\npath = \"/\"",
    "![service]\ncomand = \"x\"\n[calls.a]\npath = \"/\"",
    "![service]\ncommand = \"sh 'a\"\nreplicas = 0\nport = 70000\n[calls.a]\npath = \"/\"",
    "![service]\ncommand = []\nenv = { \"A=\" = 1, B = [1] }\n[calls.a]\npath = \"/\"",
    "![service]\ncommand = 7\nshell = \"yes\"\n[calls.a]\npath = \"/\"",
    "![service]\ncommand = \"x\"\nport = 80\nreplicas = 2\n[calls.a]\npath = \"/\"",
    "![service]\ncommand = \"x ${prot}\"\nenv = { A = \"${database.nam}\" }\n[calls.a]\npath = \"/\"",
    "![service]\ncommand = \"x\"\nready = { path = \"health\", status = 600, within_s = 0 }\n\
     stop = { signal = \"term\", within = 1 }\nfiles = [{ path = \"a\" }]\n[calls.a]\npath = \"/\"",
];

const DATABASE: &[&str] = &[
    "[database]\nmigrate = \"npx knex\"\nmemory = \"forget\"\nignore = [1]",
    "[database]\nsql = \"a\"\nsql_file = \"b\"",
    "[database]\nbackground = [{}, { text = \"a\", matches = \"b\" }, { matches = \"(\" }]",
    "[database]\ncalls = [\"bye\", { call = \"login\", actor = \"alica\" }]\nsql = \"${user}\"",
    "[database]\ncalls = [\"login\"]",
];

const CALLS: &[&str] = &[
    "[calls.a]\npath = \"buy\"\nmethd = \"GET\"",
    "[calls.a]\nmethod = \"GE T\"",
    "[calls.a]\npath = \"/\"\njson = {}\nform = {}",
    "[calls.a]\npath = \"/${item\"\nheaders = { \"a b\" = \"\", Host = \"x\", A = \"\", a = \"\" }",
    "[calls.a]\npath = \"/\"\nheaders = { A = 1 }\njson = { a = nan }",
    "[calls.a]\npath = \"/\"\ngraphql = { variables = 1 }",
    "[calls.a]\npath = \"/\"\ncapture = { a = { json = \"a\" }, b = { regex = \"(\" }, c = {}, \
     d = { json = \"$\", header = \"b\" }, e = \"$.a\" }",
    "[calls.\"a b\"]\npath = \"/\"",
];

const ANSWERS: &[&str] = &[
    "[calls.a]\npath = \"/\"\nanswers = [{ status = \"5x\" }, { status = \"+4xx\", means = \"ok\" }, { means = \"no\" }, { status = [] , means = \"ok\" }]",
    "[calls.a]\npath = \"/\"\nanswers = [{ json = \"$.a\", header = \"b\", means = \"ok\" }]",
    "[calls.a]\npath = \"/\"\nanswers = [{ json = \"$.a\", equals = 1, matches = \"b\", means = \"ok\" }]",
    "[calls.a]\npath = \"/\"\nanswers = [{ header = \"a\", type = \"string\", means = \"ok\", reason = \"b\" }]",
    "[calls.a]\npath = \"/\"\nanswers = [{ json = \"$.a\", type = \"text\", means = \"refused\", reason = 1 }]",
    "[calls.a]\npath = \"/\"\nanswers = [{ means = \"ok\" }, { status = 400, means = \"refused\" }]",
    "[calls.a]\npath = \"/\"\nanswers = [{ status = 400, means = \"ok\" }, { status = 400, means = \"refused\" }]",
    "[calls.a]\npath = \"/\"\nanswers = [{ all = [{}], means = \"ok\" }]",
];

const ACTORS: &[&str] = &[
    "[actors.bob]\nuser = \"2\"\nprepar = [\"login\"]\nstory = [\"buy\"]",
    "[actors.bob]\nprepare = \"login\"\nstory = []",
    "[actors.bob]\nstory = [\"buy\"]\nstories = [[\"buy\"]]",
    "[actors.bob]\nstory = [\"bye\", { with = {} }, 1]",
    "[actors.bob]\nuser = \"2\"\nstory = [\"buy\"]",
    "[actors.bob]\nusr = \"2\"\nprepare = [\"login\"]",
    "[actors.bob]\na = \"${b}\"\nb = \"1\"\n\"c d\" = 1",
    "[actors.env]\nuser = \"2\"\n[actors.\"a.b\"]\nuser = \"3\"",
    "[actors.bob]\nuser = \"${alice.user}\"\nprepare = [\"login\"]",
    "[calls.give]\npath = \"/${alice.usr}\"\n[actors.bob]\nstory = [\"give\"]",
    "[calls.cancel]\npath = \"/orders/${order}\"\n[actors.bob]\ntoken = \"x\"",
];

const PROGRAMS: &[&str] = &[
    "[[programs]]\nactors = []",
    "[[programs]]\nname = \"\"\nactors = [\"alica\", { actor = \"alice\", stry = [\"buy\"] }]",
    "[[programs]]\nname = \"a\"\nactors = [\"alice\"]\nrefused = [\"bob\"]\natomic = \"calls\"",
    "[[programs]]\nname = \"a\"\nrows = \"${itm}\"\nactors = [{ actor = \"alice\", key = \"k\" }]",
    "[[programs]]\nname = \"a\"\nactors = [\"alice\"]\n[[programs]]\nname = \"a\"\nactors = [\"alice\"]",
    "[actors.bob]\nuser = \"2\"\ntoken = \"x\"\nstories = [[\"buy\"], [\"login\"]]\n\
     [[programs]]\nname = \"a\"\nactors = [\"bob\"]",
    "[actors.bob]\ntoken = \"x\"\n[[programs]]\nname = \"a\"\nactors = [\"alice\"]\nrefused = [\"bob\"]",
    "[calls.pay]\npath = \"/${order}\"\n[[programs]]\nname = \"a\"\n\
     actors = [{ actor = \"alice\", story = [\"pay\"] }]",
];

const INVARIANTS: &[&str] = &[
    "[[invariants]]\nviolations = \"a\"\nnumber = \"b\"",
    "[[invariants]]\nname = \"a\"",
    "[[invariants]]\nname = \"a\"\nnumber = \"b\"",
    "[[invariants]]\nname = \"a\"\nviolations = \"b\"\nholds = \"after == 1\"",
    "[[invariants]]\nname = \"a\"\nnumber = \"b\"\nholds = \"after = before - ok(by)\"",
    "[[invariants]]\nname = \"a\"\nnumber = \"b ${itm}\"\nholds = \"after == before - ok(by)\"",
];

/// Each case with what is said of it.
fn told(cases: &[&str]) -> String {
    let mut told = String::new();
    for case in cases {
        let (text, shown) = match case.strip_prefix('!') {
            Some(whole) => (whole.to_owned(), whole),
            None => (format!("{RIGHT}{case}"), *case),
        };
        let said = match Contract::parse(&text, "rowlock.toml") {
            Ok(_) => "nothing is wrong".to_owned(),
            Err(error) => error.to_string(),
        };
        told += &format!("{shown}\n--\n{said}\n\n");
    }
    told
}

#[test]
fn the_contract_before_the_cases_is_right() {
    assert_eq!(told(&["#"]), "#\n--\nnothing is wrong\n\n");
}

#[test]
fn each_kind_of_mistake_says_file_line_key_and_what_is_allowed() {
    let kinds = [
        ("syntax", SYNTAX),
        ("service", SERVICE),
        ("database", DATABASE),
        ("calls", CALLS),
        ("answers", ANSWERS),
        ("actors", ACTORS),
        ("programs", PROGRAMS),
        ("invariants", INVARIANTS),
    ];
    for (kind, cases) in kinds {
        let told = told(cases);
        assert!(!told.contains("nothing is wrong"), "{told}");
        insta::assert_snapshot!(kind, told);
    }
}
