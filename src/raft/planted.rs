//! Bugs that can be planted on purpose, to see whether a fault campaign finds them. Each is of a
//! kind that real implementations of Raft had. Without the feature `planted` no bug can be chosen,
//! [`Core::has`](super::core::Core::has) is a constant, and nothing of them is left in the program.

use strum::{EnumMessage, EnumString, IntoStaticStr, VariantArray};

/// A bug. Its message is the rule, or the section of the paper, that it breaks.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, EnumMessage, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum Planted {
    // Elections.
    /// A vote is forgotten, so a member votes twice in a term.
    #[strum(message = "§5.2")]
    VoteForgotten,
    /// A candidate does not note its own vote, and votes for another as well.
    #[strum(message = "§5.2")]
    OwnVoteForgotten,
    /// A vote is kept when a new term begins, so nobody else can get it.
    #[strum(message = "§5.2")]
    VoteKeptOverTerms,
    /// Logs are compared by length alone when votes are given.
    #[strum(message = "§5.4.1")]
    LogComparedByLength,
    /// Logs are not compared when votes are given.
    #[strum(message = "§5.4.1")]
    LogNotCompared,
    /// A refused vote counts.
    #[strum(message = "§5.2")]
    NoTakenForYes,
    /// A vote that comes twice counts twice.
    #[strum(message = "§5.2")]
    VoteCountedTwice,
    /// A vote of an earlier term counts in the new one.
    #[strum(message = "§5.2")]
    VoteOfOldTermCounted,
    /// Half of an even number of members is taken for a quorum.
    #[strum(message = "§5.2")]
    EvenQuorum,
    /// Votes are given although a promise is in force.
    #[strum(message = "R7")]
    PromiseIgnored,
    /// A retuning makes the promise in force shorter.
    #[strum(message = "R7")]
    PromiseShortenedByRetune,
    /// A request for a pre-vote raises the term of who is asked.
    #[strum(message = "R7")]
    PreVoteRaisesTerm,
    /// An old copy of an append renews timer, promise and hearing.
    #[strum(message = "R21")]
    StaleRoundRenews,
    /// A round that a newer one has overtaken promises nothing, however long its own promise is.
    #[strum(message = "R31")]
    OvertakenPromiseForgotten,
    /// The append of a leader that was replaced is obeyed.
    #[strum(message = "§5.1")]
    OldLeaderObeyed,
    /// Who is behind is not told the term, and stays behind.
    #[strum(message = "R7")]
    LowerTermUnanswered,
    // Logs and acknowledgements.
    /// An acknowledgement of an earlier term counts in the new one.
    #[strum(message = "R13")]
    AnswerOfOldTermCounted,
    /// A hop answers a new leader also for those who were in its last chain of the old one.
    #[strum(message = "R32")]
    RelayOfOldTermRepeated,
    /// A shared acknowledgement covers an append that was refused.
    #[strum(message = "R13")]
    SharedAckOfRefused,
    /// An acknowledgement names the own last index.
    #[strum(message = "R13")]
    AckOfOwnLast,
    /// A hop relays before it checks.
    #[strum(message = "R14")]
    RelayBeforeCheck,
    /// A heartbeat is accepted without a look at the log.
    #[strum(message = "§5.3")]
    HeartbeatUnchecked,
    /// Entries that match are cut off and written again.
    #[strum(message = "R12")]
    TruncatesMatching,
    /// The log is made to end where the append ends.
    #[strum(message = "R12")]
    TruncatesToAppend,
    /// The commit index rises past what the append has checked.
    #[strum(message = "R11")]
    CommitPastChecked,
    /// A refusal is counted as an acknowledgement.
    #[strum(message = "R13")]
    RefusalTakenForMatch,
    /// Entries count as held when they are sent.
    #[strum(message = "R13")]
    CountedWhenSent,
    /// Entries of earlier terms are committed by counting (figure 8).
    #[strum(message = "§5.4.2")]
    OldTermCounted,
    /// A watcher counts as holder of all that was sent to anyone.
    #[strum(message = "R30")]
    WatcherTakenForHolder,
    /// A commit of several batches frees the place of one in the window.
    #[strum(message = "liveness")]
    WindowLeaks,
    /// The leader tries again where it was refused, whatever the hint.
    #[strum(message = "§5.3")]
    HintLoops,
    /// A suspect that answers stays a suspect.
    #[strum(message = "R16")]
    SuspectForEver,
    // Reads.
    /// A repeated acknowledgement counts for the new round.
    #[strum(message = "R32")]
    RepeatedForNewRound,
    /// A lease is dated by the receipt of the answer.
    #[strum(message = "R9")]
    LeaseFromReceipt,
    /// A lease is as long as the tuning says now, not as its round asked.
    #[strum(message = "R31")]
    LeaseOfPresentTuning,
    /// A new leader answers reads before it has committed an entry of its term.
    #[strum(message = "§8")]
    ReadBeforeOpening,
    /// A leader answers reads without any proof that it leads.
    #[strum(message = "§8")]
    ReadWithoutProof,
    /// A round that began before a read came proves leadership for it.
    #[strum(message = "R9")]
    ReadOfOlderRound,
    /// A read is answered before what is committed has taken effect.
    #[strum(message = "§8")]
    ReadBeforeApplied,
    /// Reads that wait are forgotten at a step-down.
    #[strum(message = "R2")]
    ReadsForgotten,
    // Answers to clients.
    /// A put is answered when the leader has written it into its log.
    #[strum(message = "R2")]
    OkWhenTaken,
    /// A follower answers puts that it had taken in as leader.
    #[strum(message = "R2")]
    FollowerSaysOk,
    /// A leader answers its own client, and then once more as new leader.
    #[strum(message = "R3")]
    AnswersTwice,
    /// A new leader answers nothing that an earlier one had taken in.
    #[strum(message = "R3")]
    NewLeaderSilent,
    /// A voter tells its last index in place of the commit index that it has heard of.
    #[strum(message = "R3")]
    HeardTooMuch,
    /// A put is redirected as soon as it is cut off a log.
    #[strum(message = "R1")]
    RedirectWhenTruncated,
    /// A leader that steps down redirects all its puts.
    #[strum(message = "R1")]
    RedirectAtStepDown,
    /// A commit redirects also puts of its own term.
    #[strum(message = "R22")]
    OwnTermBuried,
    /// Answers leave as fast as they can.
    #[strum(message = "R27")]
    AnswersUnpaced,
}

impl Planted {
    /// The bug's name.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The rule, or the section of the paper, that it breaks.
    pub fn rule(self) -> &'static str {
        self.get_message().unwrap_or_default()
    }

    /// What it does, in one sentence.
    pub fn what(self) -> &'static str {
        self.get_documentation().unwrap_or_default()
    }
}
