//! Values in numbered places that are used again: what a happening refers to stays small and nothing is allocated.

use alloc::vec::Vec;

/// Values by place. A place is free again once its value was taken.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// No values.
    pub const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    /// Puts `value` into a free place.
    pub fn put(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = Some(value);
                place
            }
            None => {
                self.places.push(Some(value));
                (self.places.len() - 1) as u32
            }
        }
    }

    /// The value in a place.
    ///
    /// # Panics
    /// When the place is empty.
    pub fn get(&self, place: u32) -> &T {
        self.places[place as usize].as_ref().expect("the place is taken")
    }

    /// The value in a place, to be changed.
    ///
    /// # Panics
    /// When the place is empty.
    pub fn get_mut(&mut self, place: u32) -> &mut T {
        self.places[place as usize].as_mut().expect("the place is taken")
    }

    /// Takes the value out of its place.
    ///
    /// # Panics
    /// When the place is empty: something happened twice.
    pub fn take(&mut self, place: u32) -> T {
        let value = self.places[place as usize].take().expect("a place is taken once");
        self.free.push(place);
        value
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}
