//! What is no HTTP, or nearly is.

/// How many pieces there are.
pub(super) const COUNT: usize = 20;

const CHUNKED: &str = "POST /api/purchase/ HTTP/1.1\r\nhost: shop\r\n\
    content-type: application/json\r\ntransfer-encoding: chunked\r\n";
const SIZED: &str = "POST /api/purchase/ HTTP/1.1\r\nhost: shop\r\n\
    content-type: application/json\r\n";
const ORDER: &str = "{\"user_id\": 2, \"item_id\": 2}";

/// The piece of this round, and what it is.
pub(super) fn piece(round: usize) -> (&'static str, Vec<u8>) {
    let item = "GET /api/items/2 HTTP/1.1\r\nhost: shop\r\n\r\n";
    let (what, bytes): (_, Vec<u8>) = match round % COUNT {
        0 => (
            "a chunk's size that is none",
            format!("{CHUNKED}\r\nzz\r\n").into(),
        ),
        1 => (
            "a chunk's size beyond 64 bits",
            format!("{CHUNKED}\r\nffffffffffffffffff\r\n").into(),
        ),
        2 => (
            "a negative chunk",
            format!("{CHUNKED}\r\n-1\r\n{ORDER}\r\n0\r\n\r\n").into(),
        ),
        3 => (
            "a chunk that stops",
            format!("{CHUNKED}\r\n1c\r\n{{\"user_id\"").into(),
        ),
        4 => (
            "a chunk without its end",
            format!("{CHUNKED}\r\n4\r\n{ORDER}\r\n0\r\n\r\n").into(),
        ),
        5 => (
            "a chunk of 2 GiB",
            format!("{CHUNKED}\r\n7fffffff\r\n{}", "x".repeat(8_000)).into(),
        ),
        6 => (
            "an endless extension",
            format!("{CHUNKED}\r\n1;{}\r\n", "e".repeat(40_000)).into(),
        ),
        7 => (
            "many empty trailers",
            format!("{CHUNKED}\r\n0\r\n{}", "a: b\r\n".repeat(5_000)).into(),
        ),
        8 => (
            "chunks and a length",
            format!("{CHUNKED}content-length: 4\r\n\r\n1\r\n{{\r\n0\r\n\r\n").into(),
        ),
        9 => (
            "a length that is none",
            format!("{SIZED}content-length: -1\r\n\r\n{ORDER}").into(),
        ),
        10 => (
            "two lengths",
            format!("{SIZED}content-length: 28\r\ncontent-length: 5\r\n\r\n{ORDER}").into(),
        ),
        11 => (
            "a length beyond 64 bits",
            format!("{SIZED}content-length: 99999999999999999999\r\n\r\n{ORDER}").into(),
        ),
        12 => (
            "a huge length",
            format!("{SIZED}content-length: 4000000000\r\n\r\n{ORDER}").into(),
        ),
        13 => (
            "a head of 64 KiB",
            format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "h".repeat(65_536)).into(),
        ),
        14 => (
            "a thousand headers",
            format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1_000)).into(),
        ),
        15 => (
            "a path of 32 KiB",
            format!("GET /{} HTTP/1.1\r\n\r\n", "p".repeat(32_768)).into(),
        ),
        16 => ("zeros", vec![0; 512]),
        17 => (
            "TLS",
            [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 500]].concat(),
        ),
        18 => (
            "HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        ),
        _ => (
            "a pipeline that ends in nonsense",
            format!("{}\r\n\r\n\0{CHUNKED}", item.repeat(50)).into(),
        ),
    };
    (what, bytes)
}
