//! Conversations fed to a session in any pieces, without a socket.

use proptest::collection::vec;
use proptest::prelude::*;
use rowlock_testing::seed::for_all;

use super::*;

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn row(text: &str) -> Vec<u8> {
    let length = (text.len() as u32).to_be_bytes();
    message(b'D', &[&[0, 1], &length[..], text.as_bytes()].concat())
}

fn error(sqlstate: &str) -> Vec<u8> {
    message(b'E', format!("VERROR\0C{sqlstate}\0Mno\0\0").as_bytes())
}

fn batch(sql: &str, last: u8) -> Vec<u8> {
    let parse = message(b'P', format!("\0{sql}\0\0\0").as_bytes());
    let bind = message(b'B', b"\0\0\0\0\0\x01\0\0\0\x02hi\0\0");
    [
        parse,
        bind,
        message(b'E', b"\0\0\0\0\0"),
        message(last, b""),
    ]
    .concat()
}

/// What a client sends in one go, and what the server answers.
fn exchange(choice: u8, state: u8) -> (Vec<u8>, Vec<u8>) {
    let bound = [message(b'1', b""), message(b'2', b"")].concat();
    let done = message(b'C', b"SELECT 1\0");
    let ready = message(b'Z', &[state]);
    let columns = message(
        b'T',
        b"\0\x01n\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0",
    );
    let notice = message(b'N', b"SNOTICE\0\0");
    let sync = message(b'S', b"");
    match choice {
        0 => (
            message(b'Q', b"select 1\0"),
            [columns, row("1"), done, ready].concat(),
        ),
        1 => (
            batch("select $1", b'S'),
            [bound, row("hi"), notice, done, ready].concat(),
        ),
        2 => (
            batch("select 1/0", b'S'),
            [bound, error("22012"), ready].concat(),
        ),
        3 => (
            [batch("select 2", b'H'), sync].concat(),
            [bound, row("2"), done, ready].concat(),
        ),
        4 => (sync, ready),
        5 => (
            [
                message(b'Q', b"copy t from stdin\0"),
                message(b'd', b"1\n"),
                message(b'c', b""),
            ]
            .concat(),
            [message(b'G', b"\0\0\0"), message(b'C', b"COPY 1\0"), ready].concat(),
        ),
        6 => (message(b'Q', b"\0"), [message(b'I', b""), ready].concat()),
        _ => (
            message(b'Q', b"listen c\0"),
            [message(b'A', b"\0\0\0\x01c\0\0"), done, ready].concat(),
        ),
    }
}

#[derive(Debug, Default, PartialEq)]
struct Seen {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    ended: Vec<(Step, Reply)>,
}

struct Conversation {
    session: Session,
    watch: Watch,
    waiting: VecDeque<Assembly>,
    seen: Seen,
}

impl Conversation {
    fn new(watch: Watch) -> Self {
        let mut session = Session::new(SessionId(1));
        session.state = Some(TransactionState::Idle);
        Self {
            session,
            watch,
            waiting: VecDeque::new(),
            seen: Seen::default(),
        }
    }

    /// Sends what waits as soon as it may go, as a pump without a gate's objection does.
    fn advance(&mut self) {
        while self.session.is_quiet()
            && let Some(assembly) = self.waiting.pop_front()
        {
            let offered = self.session.offer(assembly);
            self.seen
                .to_server
                .extend(self.session.send(offered, Instant::now()));
        }
    }

    fn client(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let (taken, outcome) = self
                .session
                .client(&bytes[at..], self.watch, Instant::now());
            match outcome {
                FromClient::Pass => self.seen.to_server.extend(&bytes[at..at + taken]),
                FromClient::Kept => {}
                FromClient::Ready(assembly) => self.waiting.push_back(*assembly),
            }
            at += taken;
            self.advance();
        }
    }

    fn server(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let (taken, outcome) = self.session.server(&bytes[at..]);
            match outcome {
                FromServer::Pass => self.seen.to_client.extend(&bytes[at..at + taken]),
                FromServer::Kept => {}
                FromServer::Release(kept) => self.seen.to_client.extend(kept),
                FromServer::Complete(completed) => {
                    let kept = completed
                        .bytes
                        .unwrap_or_else(|| bytes[at..at + taken].to_vec());
                    self.seen.to_client.extend(kept);
                    self.seen.ended.push((completed.step, completed.reply));
                }
            }
            at += taken;
            self.advance();
        }
    }
}

/// Runs the exchanges one after the other, each cut at the sizes given.
fn run(exchanges: &[(u8, u8)], watch: Watch, sizes: &[usize]) -> Seen {
    let mut conversation = Conversation::new(watch);
    let mut sizes = sizes.iter().cycle();
    let mut cut = |bytes: &[u8], feed: &mut dyn FnMut(&[u8])| {
        let mut at = 0;
        while at < bytes.len() {
            let end = bytes
                .len()
                .min(at + sizes.next().copied().unwrap_or(usize::MAX));
            feed(&bytes[at..end]);
            at = end;
        }
    };
    for (choice, state) in exchanges {
        let (asked, answered) = exchange(*choice, *state);
        cut(&asked, &mut |bytes| conversation.client(bytes));
        cut(&answered, &mut |bytes| conversation.server(bytes));
    }
    conversation.seen
}

fn any_exchanges() -> impl Strategy<Value = Vec<(u8, u8)>> {
    let state = prop_oneof![Just(b'I'), Just(b'T'), Just(b'E')];
    vec((0u8..8, state), 1..12)
}

const UNWATCHED: Watch = Watch {
    observe: false,
    hold: false,
};
const OBSERVED: Watch = Watch {
    observe: true,
    hold: false,
};
const HELD: Watch = Watch {
    observe: true,
    hold: true,
};

const CASES: u32 = 256;

#[test]
fn however_the_reads_cut_the_stream_the_steps_are_the_same() {
    let sizes = vec(1usize..40, 1..40);
    for_all(CASES, &(any_exchanges(), sizes), |(exchanges, sizes)| {
        for watch in [OBSERVED, HELD] {
            let whole = run(&exchanges, watch, &[usize::MAX]);
            prop_assert_eq!(&run(&exchanges, watch, &[1]), &whole);
            prop_assert_eq!(&run(&exchanges, watch, &sizes), &whole);
        }
        Ok(())
    });
}

#[test]
fn every_byte_passes_in_order_whoever_watches() {
    let sizes = vec(1usize..40, 1..40);
    for_all(CASES, &(any_exchanges(), sizes), |(exchanges, sizes)| {
        let bytes = exchanges.iter();
        let bytes: Vec<_> = bytes
            .map(|(choice, state)| exchange(*choice, *state))
            .collect();
        let asked: Vec<u8> = bytes.iter().flat_map(|(asked, _)| asked.clone()).collect();
        let answered: Vec<u8> = bytes
            .iter()
            .flat_map(|(_, answered)| answered.clone())
            .collect();
        for watch in [UNWATCHED, OBSERVED, HELD] {
            let seen = run(&exchanges, watch, &sizes);
            prop_assert_eq!(&seen.to_server, &asked);
            prop_assert_eq!(&seen.to_client, &answered);
            // A batch that Flush cuts, and its Sync, are two steps.
            let steps = exchanges
                .iter()
                .map(|(choice, _)| if *choice == 3 { 2 } else { 1 });
            let expected: usize = if watch.observe { steps.sum() } else { 0 };
            prop_assert_eq!(seen.ended.len(), expected);
        }
        Ok(())
    });
}

#[test]
fn bytes_that_are_no_protocol_at_all_pass() {
    let bytes = || vec(any::<u8>(), 1..300);
    for_all(CASES, &(bytes(), bytes()), |(asked, answered)| {
        let mut conversation = Conversation::new(OBSERVED);
        conversation.client(&asked);
        conversation.server(&answered);
        prop_assert_eq!(&conversation.seen.to_server, &asked);
        prop_assert_eq!(&conversation.seen.to_client, &answered);
        Ok(())
    });
}

#[test]
fn a_failed_piece_cut_with_flush_skips_the_pieces_up_to_the_sync() {
    let mut conversation = Conversation::new(OBSERVED);
    conversation.client(&batch("select 1/0", b'H'));
    conversation.client(&batch("select 1", b'H'));
    conversation.client(&message(b'S', b""));
    conversation.server(&error("22012"));
    let skipped = conversation.session.next_unanswered(false).unwrap();
    assert_eq!(skipped.reply.end, ReplyEnd::Skipped);
    assert_eq!(skipped.step.statements[0].sql, "select 1");
    assert!(conversation.session.next_unanswered(false).is_none());
    conversation.server(&message(b'Z', b"I"));
    conversation.client(&batch("select 2", b'H'));
    assert!(
        conversation.session.next_unanswered(false).is_none(),
        "the Sync ends the skipping"
    );
}

/// Replication: the server streams, and its client answers, for as long as both like.
#[test]
fn a_copy_in_both_directions_passes_as_it_comes_although_steps_are_held() {
    let mut conversation = Conversation::new(HELD);
    conversation.client(&message(b'Q', b"start_replication slot s logical 0/0\0"));
    let begun = message(b'W', b"\0\0\0");
    conversation.server(&begun);
    assert_eq!(conversation.seen.to_client, begun);
    let streamed = message(b'd', b"wal");
    conversation.server(&streamed);
    assert_eq!(conversation.seen.to_client, [begun, streamed].concat());
}

#[test]
fn transactions_are_numbered_within_their_session() {
    let mut conversation = Conversation::new(OBSERVED);
    for (sql, state) in [
        ("begin", b'T'),
        ("select 1", b'T'),
        ("commit", b'I'),
        ("select 2", b'I'),
    ] {
        conversation.client(&message(b'Q', format!("{sql}\0").as_bytes()));
        conversation.server(&[message(b'C', b"X\0"), message(b'Z', &[state])].concat());
        conversation.client(&message(b'S', b""));
        conversation.server(&message(b'Z', &[state]));
    }
    let numbers: Vec<_> = conversation
        .seen
        .ended
        .iter()
        .map(|(step, _)| step.transaction)
        .collect();
    assert_eq!(numbers, [1, 1, 1, 1, 1, 1, 2, 2]);
}
