//! Marks at the rare branches of the core. A replica remembers which of them it has ever taken, in
//! one word of bits. A fault campaign counts in how many of its runs each was taken: what never
//! happens in it, it cannot have tested.

use strum::{EnumCount, EnumString, IntoStaticStr, VariantArray};

/// A rare branch of the core, or something rare that comes of several.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    EnumCount,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Mark {
    // Elections.
    /// The own promise put off a candidacy (rule R7).
    CandidacyPutOffByPromise,
    /// A campaign dropped the long election timeout that its leader had stated (rule R29).
    StatedTimeoutDropped,
    /// A new term ended the wait of a member that had been told not to watch its leader (rule R30).
    StatedWaitEnded,
    /// A campaign began without pre-votes.
    CampaignWithoutPreVote,
    /// Those who had not answered a campaign were asked again.
    CampaignAskedAgain,
    /// A campaign was not answered often enough, and waits for the next election timeout.
    CampaignGaveUpAsking,
    /// A repeated candidacy asked nobody again, since nobody had answered but who did before.
    RepeatedCandidacyEnded,
    /// A yes came after the last request, and the others were asked again.
    AskedAgainAfterLateYes,
    /// A pre-vote was refused because a promise was in force (rule R7).
    PreVoteRefusedByPromise,
    /// A pre-vote was refused because its term is no higher than the own.
    PreVoteRefusedByTerm,
    /// A pre-vote was refused because the own log is longer (§5.4.1).
    PreVoteRefusedByLog,
    /// Of two that asked at once, this one stands first (rule R25).
    PreVoteRefusedByTurn,
    /// A pre-candidate said yes to another and let it try first (rule R25).
    PreCandidateYielded,
    /// A member with the longer log stood at once (rule R18).
    StoodAtOnce,
    /// A member with the longer log stood when its turn had come (rule R25).
    StoodInTurn,
    /// A vote was refused because of a promise, before any term was looked at (rule R7).
    VoteRefusedByPromise,
    /// A vote was refused because another has it.
    VoteRefusedAsGiven,
    /// A vote was refused because the term has a leader.
    VoteRefusedForLeader,
    /// A vote was refused because the own log is longer (§5.4.1).
    VoteRefusedByLog,
    /// A candidate of a lower term was answered with the own (rule R7).
    VoteOfLowerTerm,
    /// The same vote was asked for and given again (rule R21).
    VoteRepeated,
    /// A no ended the hurry of a pre-candidate: it waits for a leader or another candidate.
    PreCandidateWaited,
    /// An answer to a campaign that is over was dropped.
    AnswerToOldCampaign,
    /// A vote told of a higher commit index than the candidate had heard of (rule R3).
    VoteHintUsed,
    /// After a refused vote the others were asked at once.
    OthersAskedForVotes,
    /// Too many refused: the candidate tries again soon (rule R25).
    SplitVoteGivenUp,
    /// A replica was elected a second time.
    ElectedTwice,
    /// A new leader held entries that are not known to be committed.
    ElectedWithBacklog,
    /// A leader stepped down because of a higher term (§5.1).
    DeposedByTerm,
    /// A leader stepped down because no quorum answered (check-quorum).
    DeposedByQuorum,
    /// A replica was deposed a second time.
    DeposedTwice,
    /// Reads that waited were released at a step-down (rule R2).
    ReadsReleasedAtStepDown,
    /// A campaign ended because a leader was heard (rule R21).
    CampaignEndedByLeader,
    /// An old copy of an append ended no campaign (rule R21).
    CampaignOutlivedOldCopy,
    // Inquiries.
    /// A silent leader was asked whether it lives (rule R28).
    LeaderAsked,
    /// A leader that was given up was asked once more before a further candidacy (rule R28).
    LeaderAskedOnceMore,
    /// A silent leader answered and was kept (rule R28).
    LeaderKept,
    /// A leader left its inquiries unanswered and was given up.
    LeaderGivenUp,
    /// A leader that was asked for its life or for a pre-vote showed that it leads.
    LifeShown,
    /// A member that had long been silent was sent what it lacks when it asked (rule R28).
    BacklogSentWithLife,
    /// The one that was asked leads no more and said so.
    LeaderDenied,
    /// A pre-vote was answered only after the own leader had been asked.
    PreVoteAnsweredLate,
    /// A pre-vote was refused before the own leader had been asked, since it would be in any case.
    PreVoteRefusedEarly,
    /// A refusal of a later term named a leader, who was asked (rule R28).
    LeaderNamed,
    /// A pre-vote that waited was refused because the leader answered.
    PreVoteRefusedForLeader,
    /// The leader was given up, and the answers waited for the end of the promise (rule R7).
    PreVoteHeldByPromise,
    /// None of those who waited could win, so this member stood itself (rule R18).
    StoodForOthers,
    /// A client waited, and the leader was asked because of it.
    LeaderAskedForClient,
    /// A leader out of touch was told that a client waits (rule R6).
    QuorumAskedForClient,
    // A follower and its log.
    /// An append was refused: the log has no such entry before it.
    AppendRefused,
    /// An append of a lower term was answered with the own term (rule R7).
    AppendOfLowerTerm,
    /// Entries were cut off at a conflict of terms (rule R12).
    LogTruncated,
    /// An append began below the commit index.
    AppendBelowCommit,
    /// Some of an append's entries were in the log already.
    AppendPartlyKnown,
    /// All of an append's entries were in the log already.
    AppendRepeated,
    /// The leader's commit index lay beyond what its append had checked (rule R11).
    CommitHeldBack,
    /// An append of a round that is no news was accepted (rule R21).
    OldRoundAccepted,
    /// A hop relayed an append (rule R14).
    AppendRelayed,
    /// A copy of an append was not passed on again (rule R14).
    CopyNotPassedOn,
    /// The last of a chain acknowledged for several (rule R14).
    ChainAcknowledged,
    /// A refusal told of hops that had accepted before (rule R14).
    ChainBroken,
    /// Acknowledgements of one drain became one (rule R13).
    AcknowledgementsShared,
    /// A new term came before a shared acknowledgement was sent.
    AcknowledgementDropped,
    // A leader and its followers.
    /// A leader committed entries of earlier terms, by one of its own (§5.4.2).
    OldTermCommitted,
    /// A quorum holds entries of an earlier term alone, which are not counted (figure 8).
    OldTermNotCounted,
    /// An answer to a leadership that is over was dropped.
    AnswerToOldLeadership,
    /// A follower's log agrees where its hint says.
    HintShowedAgreement,
    /// A hint showed no agreement, and the leader looks further down.
    HintShowedNone,
    /// A refusal that is no news was ignored (rule R13).
    OldRefusalIgnored,
    /// An answer came in time no more: resent.
    AnswerOverdue,
    /// An append that went along a chain was not answered in time (rule R16).
    RelayOverdue,
    /// A follower was silent to a direct message (rule R16).
    FollowerSuspected,
    /// A new leader took the one that it had given up for dead (rule R16).
    SuspectedFromTheBeginning,
    /// A suspect answered.
    SuspectTrusted,
    /// A suspect answered, so the other suspects were asked, too (rule R16).
    OtherSuspectsAsked,
    /// A silent member is asked no more until the next heartbeat: nothing waits for it.
    SilenceAccepted,
    /// One more follower was brought in for a silent one.
    SubstituteSent,
    /// A batch went to others because its quorum had shrunk.
    QuorumWidened,
    /// The oldest batch was sent again because too few can be counted on.
    OldestResent,
    /// A leader without a quorum asked fewer suspects than were due (rule R16).
    SuspectsAskedInTurn,
    /// A member was suspected sooner because another one had just been (rule R16).
    SuspicionsCameTogether,
    /// Silence was taken for loss, not for death.
    SilenceTakenForLoss,
    /// A chain fell apart into direct sends because much is lost (rule R16).
    ChainFellApart,
    /// No quorum could be had for a batch.
    BatchWithoutQuorum,
    /// A backlog went out before the batch that it leaves no room for.
    BacklogSentFirst,
    /// An append was cut by its bytes (rule R19).
    AppendCutByBytes,
    /// The pipeline was full: a put waits for a commit.
    WindowFull,
    /// A follower that lags was sent what it lacks.
    LaggardSentEntries,
    /// A slow follower was left out of a quorum (rule R26).
    SlowLeftOut,
    /// A heartbeat asked a suspect whether it lives.
    SuspectProbed,
    /// A message for the commit index alone was sent (`eager_commit`).
    CommitTold,
    /// All watchers had one heartbeat in a chain (rule R30).
    WatchersBeat,
    /// A watcher that fell silent was replaced (rule R30).
    WatcherReplaced,
    /// A watcher was relieved.
    WatcherRelieved,
    // Reads and leases.
    /// A read was answered under the lease.
    ReadUnderLease,
    /// A read came when the lease had lapsed.
    LeaseLapsed,
    /// A read came before the term was opened.
    ReadBeforeOpening,
    /// Reads that waited were released by a round.
    ReadsReleasedByRound,
    /// Reads that waited were released by a lease.
    ReadsReleasedByLease,
    /// A batch on its way served as the round for reads.
    RoundSharedWithBatch,
    /// A broken chain was sent again as a chain (rule R32).
    ChainSentAgain,
    /// A hop answered for the rest of a route that it knew to hold the entries (rule R32).
    AcknowledgementRepeated,
    /// No quorum could be had for the reads' round: everyone was asked.
    RoundWithoutQuorum,
    // Knobs.
    /// Knobs were replaced.
    Retuned,
    /// Knobs were replaced while this replica led.
    RetunedWhileLeading,
    /// Knobs were replaced while a promise longer than the new one was in force (rule R7).
    RetunedUnderPromise,
}

impl Mark {
    /// The mark's name in tables.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A set of marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u128);

// A set is one word of bits.
const _: () = assert!(Mark::COUNT <= 128);

impl Marks {
    /// Adds `mark`.
    pub const fn add(&mut self, mark: Mark) {
        self.0 |= 1 << mark as u8;
    }

    /// Adds `mark` if `happened`.
    pub const fn add_if(&mut self, happened: bool, mark: Mark) {
        self.0 |= (happened as u128) << mark as u8;
    }

    /// Adds all of `other`.
    pub const fn join(&mut self, other: Marks) {
        self.0 |= other.0;
    }

    /// Whether `mark` is in the set.
    pub const fn contains(self, mark: Mark) -> bool {
        self.0 >> mark as u8 & 1 == 1
    }

    /// The marks, in their order.
    pub fn iter(self) -> impl Iterator<Item = Mark> {
        Mark::VARIANTS.iter().copied().filter(move |mark| self.contains(*mark))
    }
}
