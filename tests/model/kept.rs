//! Things that are kept once and named by numbers from 0 on.

use rustc_hash::FxHashMap;

use crate::node::Print;

/// All different things of one kind that were ever met.
#[derive(Debug)]
pub struct Kept<T> {
    things: Vec<T>,
    numbers: FxHashMap<Print, u32>,
}

impl<T> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept { things: Vec::new(), numbers: FxHashMap::default() }
    }
}

impl<T> Kept<T> {
    /// The number of the thing with that fingerprint; `thing` if it is new.
    pub fn number(&mut self, print: Print, thing: T) -> u32 {
        let next = self.things.len() as u32;
        let number = *self.numbers.entry(print).or_insert(next);
        if number == next {
            self.things.push(thing);
        }
        number
    }

    /// The thing of that number.
    pub fn get(&self, number: u32) -> &T {
        &self.things[number as usize]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.things.len()
    }
}
