//! What the properties need to remember of the past: who led, what was committed, what had been
//! answered when a read came. It is written for this test alone, so that a fault in the library's
//! own invariants does not hide here.

use laconic::raft::{Event, Index, Member, Output, Raft, Term, Ticket};

/// The past of a cluster, as far as a later fault can depend on it.
#[derive(Clone, Debug, Default, Hash)]
pub struct Ghost {
    /// Who led, by term.
    leaders: Vec<(Term, Member)>,
    /// The committed entries: term, command, and the lowest term that committed it.
    committed: Vec<(Term, Vec<u8>, Term)>,
    /// Reads that wait, each with what had been committed, and so perhaps answered, when it came.
    reads: Vec<(Ticket, Index)>,
}

impl Ghost {
    /// A read was asked for.
    pub fn asked(&mut self, ticket: Ticket) {
        self.reads.push((ticket, self.committed.len() as Index));
    }

    /// Checks what `raft` has just put out; `before` is its commit index before that.
    ///
    /// # Errors
    /// What is broken.
    pub fn observe(
        &mut self,
        raft: &Raft,
        before: Index,
        outputs: &[Output],
    ) -> Result<(), String> {
        let member = raft.member();
        for output in outputs {
            match output {
                Output::Event(Event::BecameLeader { term, .. }) => self.on_leader(raft, *term)?,
                Output::Event(Event::Truncated { first, .. }) if *first <= before => {
                    return Err(format!("{member} truncated committed entry {first}"));
                }
                Output::Commit { through } => self.on_commit(raft, before, *through)?,
                Output::ReadReady(ticket) => {
                    let floor = self.take(*ticket).unwrap_or(0);
                    if raft.commit() < floor {
                        let commit = raft.commit();
                        return Err(format!(
                            "{member} answers a read from commit {commit}, but {floor} was \
                             committed when it came"
                        ));
                    }
                }
                Output::Refused(ticket, _) => {
                    self.take(*ticket);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, ticket: Ticket) -> Option<Index> {
        let place = self.reads.iter().position(|(other, _)| *other == ticket)?;
        Some(self.reads.remove(place).1)
    }

    fn on_leader(&mut self, raft: &Raft, term: Term) -> Result<(), String> {
        let member = raft.member();
        if let Some((_, other)) = self.leaders.iter().find(|(led, _)| *led == term) {
            return Err(format!("{other} and {member} are both elected in term {term}"));
        }
        self.leaders.push((term, member));
        self.leaders.sort_unstable();
        self.check_leader(raft, term)
    }

    /// Leader Completeness: what was committed in an earlier term is in the leader's log.
    fn check_leader(&self, raft: &Raft, term: Term) -> Result<(), String> {
        for ((of, command, committed_in), index) in self.committed.iter().zip(1..) {
            let holds = raft
                .log()
                .entry(index)
                .is_some_and(|entry| entry.term == *of && entry.command[..] == command[..]);
            if *committed_in < term && !holds {
                let member = raft.member();
                return Err(format!("{member} leads term {term} without committed entry {index}"));
            }
        }
        Ok(())
    }

    fn on_commit(&mut self, raft: &Raft, before: Index, through: Index) -> Result<(), String> {
        let member = raft.member();
        for index in before + 1..=through {
            let Some(entry) = raft.log().entry(index) else {
                return Err(format!("{member} commits entry {index}, which it does not hold"));
            };
            match self.committed.get_mut(index as usize - 1) {
                None => self.committed.push((entry.term, entry.command.to_vec(), raft.term())),
                Some((term, command, committed_in))
                    if *term == entry.term && command[..] == entry.command[..] =>
                {
                    *committed_in = raft.term().min(*committed_in);
                }
                Some(_) => return Err(format!("{member} commits another entry {index}")),
            }
        }
        Ok(())
    }

    /// Checks what must hold of every state: whoever leads holds what earlier terms committed, also
    /// what they committed after its election.
    ///
    /// # Errors
    /// What is broken.
    pub fn check<'a>(&self, rafts: impl Iterator<Item = &'a Raft>) -> Result<(), String> {
        for raft in rafts.filter(|raft| raft.is_leader()) {
            self.check_leader(raft, raft.term())?;
        }
        Ok(())
    }
}
