//! Every limit, with its flag, its environment variable and its default.

use clap::Args;

/// The limits. herald refuses a request beyond a limit with an error that names the limit.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Characters in a message.
    #[arg(long, env = "HERALD_MAX_MESSAGE_CHARS", value_name = "N", default_value_t = 10_000)]
    pub max_message_chars: usize,
    /// Participants of a conversation.
    #[arg(long, env = "HERALD_MAX_PARTICIPANTS", value_name = "N", default_value_t = 1_000)]
    pub max_participants: u32,
    /// Participants of the largest conversation in which everyone is told of every mark. In a larger one, herald
    /// tells only the senders of the messages that the mark covers, and the user who marked.
    #[arg(long, env = "HERALD_SMALL_CONVERSATION", value_name = "N", default_value_t = 32)]
    pub small_conversation: u32,
    /// Elements of a page when the query names no `first` or `last`.
    #[arg(long, env = "HERALD_PAGE_SIZE", value_name = "N", default_value_t = 50)]
    pub page_size: usize,
    /// Elements that a query may ask for in one page.
    #[arg(long, env = "HERALD_MAX_PAGE_SIZE", value_name = "N", default_value_t = 200)]
    pub max_page_size: usize,
    /// Bytes of a GraphQL document.
    #[arg(long, env = "HERALD_MAX_DOCUMENT_BYTES", value_name = "BYTES", default_value_t = 32 * 1024)]
    pub max_document_bytes: usize,
    /// Tokens of a GraphQL document, where each stretch of white space and each comment counts as one.
    #[arg(long, env = "HERALD_MAX_TOKENS", value_name = "N", default_value_t = 8_000)]
    pub max_tokens: usize,
    /// Depth to which a document's selections nest. GraphiQL's introspection needs 15.
    #[arg(long, env = "HERALD_MAX_DEPTH", value_name = "N", default_value_t = 20)]
    pub max_depth: usize,
    /// Fields that a document may come to, each counted as often as the pages around it have elements.
    #[arg(long, env = "HERALD_MAX_COMPLEXITY", value_name = "N", default_value_t = 150_000)]
    pub max_complexity: usize,
    /// Bytes of an answer. herald ends the execution with an error when the answer would be larger.
    #[arg(long, env = "HERALD_MAX_ANSWER_BYTES", value_name = "BYTES", default_value_t = 8 * 1024 * 1024)]
    pub max_answer_bytes: usize,
    /// Fields that the different subscriptions of one user may select in all.
    #[arg(long, env = "HERALD_MAX_SUBSCRIBED_FIELDS", value_name = "N", default_value_t = 5_000)]
    pub max_subscribed_fields: usize,
    /// Fields that one event may come to in the different subscriptions of one user, counted as for
    /// `--max-complexity`.
    #[arg(long, env = "HERALD_MAX_SUBSCRIBED_COMPLEXITY", value_name = "N", default_value_t = 20_000)]
    pub max_subscribed_complexity: usize,
    /// Aliases in a document.
    #[arg(long, env = "HERALD_MAX_ALIASES", value_name = "N", default_value_t = 50)]
    pub max_aliases: usize,
    /// Directives in a document.
    #[arg(long, env = "HERALD_MAX_DIRECTIVES", value_name = "N", default_value_t = 50)]
    pub max_directives: usize,
    /// Bytes of an HTTP request's body, and of a WebSocket message.
    #[arg(long, env = "HERALD_MAX_BODY_BYTES", value_name = "BYTES", default_value_t = 256 * 1024)]
    pub max_body_bytes: usize,
    /// Bytes of an HTTP request's head.
    #[arg(long, env = "HERALD_MAX_HEADER_BYTES", value_name = "BYTES", default_value_t = 32 * 1024)]
    pub max_header_bytes: usize,
    /// TCP connections at a time. Further ones are answered with 503.
    #[arg(long, env = "HERALD_MAX_CONNECTIONS", value_name = "N", default_value_t = 20_000)]
    pub max_connections: usize,
    /// TCP connections of one address at a time. An IPv6 network (/64) counts as one address. The default is three
    /// quarters of all. With --trust-proxy, requests under way and WebSockets count instead, by X-Forwarded-For.
    #[arg(long, env = "HERALD_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N")]
    pub max_connections_per_address: Option<usize>,
    /// WebSockets of one address on which nobody is signed in. Nobody is signed in before connection_init.
    #[arg(long, env = "HERALD_MAX_ANONYMOUS_SOCKETS", value_name = "N", default_value_t = 100)]
    pub max_anonymous_sockets: usize,
    /// Bytes of one address's messages and requests that have arrived only in part.
    #[arg(long, env = "HERALD_MAX_UNFINISHED_BYTES", value_name = "BYTES", default_value_t = 8 * 1024 * 1024)]
    pub max_unfinished_bytes: usize,
    /// WebSockets, and subscriptions over HTTP, that one user may have open on this node.
    #[arg(long, env = "HERALD_MAX_SOCKETS_PER_USER", value_name = "N", default_value_t = 50)]
    pub max_sockets_per_user: usize,
    /// Operations under way on one WebSocket.
    #[arg(long, env = "HERALD_MAX_OPERATIONS_PER_SOCKET", value_name = "N", default_value_t = 100)]
    pub max_operations_per_socket: usize,
    /// Events that wait for one subscription. A subscription that falls further behind goes back to replaying.
    #[arg(long, env = "HERALD_SUBSCRIBER_QUEUE", value_name = "N", default_value_t = 64)]
    pub subscriber_queue: usize,
    /// Bytes of memory for recent events and what they were rendered to. Whoever comes back after a short while is
    /// served from there, and whoever was away for longer from the log.
    #[arg(long, env = "HERALD_RECENT_BYTES", value_name = "BYTES", default_value_t = 16 * 1024 * 1024)]
    pub recent_bytes: usize,
    /// Commands that are committed together.
    #[arg(long, env = "HERALD_MAX_BATCH", value_name = "N", default_value_t = 256)]
    pub max_batch: usize,
    /// Commands that wait to be committed. herald answers the next one with UNAVAILABLE.
    #[arg(long, env = "HERALD_WRITE_QUEUE", value_name = "N", default_value_t = 4_096)]
    pub write_queue: usize,
    /// Fields that one user's queries, mutations and subscriptions may come to per second, counted as for
    /// `--max-complexity`, with ten seconds' worth at once. Where nobody is signed in, the address counts instead.
    /// herald refuses queries beyond this rate, and lets subscriptions wait.
    #[arg(long, env = "HERALD_FIELDS_PER_SECOND", value_name = "N", default_value_t = 200_000)]
    pub fields_per_second: u32,
    /// Seconds in which a request's head must arrive, and then its body. A WebSocket message has the same time from its
    /// first byte to its last.
    #[arg(long, env = "HERALD_REQUEST_TIMEOUT", value_name = "SECONDS", default_value_t = 15)]
    pub request_timeout: u64,
    /// Seconds after which herald closes a connection on which nothing was asked since the last answer. It has to be
    /// longer than what a proxy keeps such connections for, which is 60 with nginx and in the clouds. Else a request and the
    /// end of the connection cross at times, and the proxy cannot repeat a mutation.
    #[arg(long, env = "HERALD_KEEP_ALIVE_TIMEOUT", value_name = "SECONDS", default_value_t = 75, value_parser = clap::value_parser!(u64).range(1..))]
    pub keep_alive_timeout: u64,
    /// Seconds in which the client of a WebSocket must send connection_init.
    #[arg(long, env = "HERALD_INIT_TIMEOUT", value_name = "SECONDS", default_value_t = 10)]
    pub init_timeout: u64,
    /// Seconds after which herald closes a WebSocket on which nobody is signed in and no operation runs. It looks
    /// once in this time, so closing takes at most twice as long.
    #[arg(long, env = "HERALD_ANONYMOUS_TIMEOUT", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub anonymous_timeout: u64,
    /// Seconds between the pings of a WebSocket, and between the heartbeats of a subscription over HTTP. A WebSocket
    /// client that is silent for two pings is gone.
    #[arg(long, env = "HERALD_PING_INTERVAL", value_name = "SECONDS", default_value_t = 25)]
    pub ping_interval: u64,
    /// Seconds without an event after which a subscription that asks for checkpoints is told one.
    #[arg(long, env = "HERALD_CHECKPOINT_INTERVAL", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub checkpoint_interval: u64,
    /// Seconds that a client may take to accept what is sent to it.
    #[arg(long, env = "HERALD_WRITE_TIMEOUT", value_name = "SECONDS", default_value_t = 20)]
    pub write_timeout: u64,
    /// Seconds between two looks into the log, whatever the feed says. herald looks twice as often for sessions that
    /// other nodes have ended.
    #[arg(long, env = "HERALD_POLL_INTERVAL", value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub poll_interval: u64,
    /// Seconds that requests under way are given at shutdown.
    #[arg(long, env = "HERALD_SHUTDOWN_TIMEOUT", value_name = "SECONDS", default_value_t = 10)]
    pub shutdown_timeout: u64,
    /// Messages that one user may send per second, with ten seconds' worth at once.
    #[arg(long, env = "HERALD_SENDS_PER_SECOND", value_name = "N", default_value_t = 100)]
    pub sends_per_second: u32,
    /// Marks, and leavings, that one user may make per second, with ten seconds' worth at once.
    #[arg(long, env = "HERALD_MARKS_PER_SECOND", value_name = "N", default_value_t = 500)]
    pub marks_per_second: u32,
    /// Conversations that one user may start per minute, with two minutes' worth at once.
    #[arg(long, env = "HERALD_CONVERSATIONS_PER_MINUTE", value_name = "N", default_value_t = 60)]
    pub conversations_per_minute: u32,
    /// People whom one user may invite per minute, into new conversations or known ones, with two minutes' worth or a
    /// whole conversation at once.
    #[arg(long, env = "HERALD_INVITATIONS_PER_MINUTE", value_name = "N", default_value_t = 600)]
    pub invitations_per_minute: u32,
    /// Times per minute that one user may invite the same person.
    #[arg(long, env = "HERALD_INVITATIONS_PER_PERSON", value_name = "N", default_value_t = 10)]
    pub invitations_per_person: u32,
    /// Registrations and sign-ins per minute from one address, with two minutes' worth at once. An IPv6 network (/64)
    /// counts as one address.
    #[arg(long, env = "HERALD_SIGN_INS_PER_MINUTE", value_name = "N", default_value_t = 60)]
    pub sign_ins_per_minute: u32,
    /// Sign-ins per minute to one handle from one address.
    #[arg(long, env = "HERALD_SIGN_INS_PER_HANDLE", value_name = "N", default_value_t = 10)]
    pub sign_ins_per_handle: u32,
    /// Passwords that are hashed at a time. Each takes 19 MiB and some 30 ms of a processor.
    #[arg(long, env = "HERALD_MAX_HASHING", value_name = "N", default_value_t = 2)]
    pub max_hashing: usize,
    /// Days after which an unused session ends.
    #[arg(long, env = "HERALD_SESSION_IDLE_DAYS", value_name = "DAYS", default_value_t = 30)]
    pub session_idle_days: u32,
    /// Days after which every session ends.
    #[arg(long, env = "HERALD_SESSION_DAYS", value_name = "DAYS", default_value_t = 180)]
    pub session_days: u32,
}
