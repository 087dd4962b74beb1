//! A map for at most some thousands of entries: one vector, in the order of its keys.
//!
//! Has the methods of `BTreeMap` that are in use, by the same names; it takes a tenth of the code for each
//! kind of key and value, and no room for entries to come. A look-up halves the vector until it is there; an
//! insertion or a removal moves all entries behind. A map that may grow past that belongs elsewhere.
//!
//! Invariant: keys rise strictly from each entry to the next.

/// A map in a sorted vector.
#[derive(Debug, Clone)]
pub(crate) struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        SortedMap::new()
    }
}

impl<K, V> SortedMap<K, V> {
    /// An empty map; allocates nothing yet.
    pub(crate) const fn new() -> Self {
        SortedMap { entries: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> + ExactSizeIterator {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub(crate) fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> + ExactSizeIterator {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// The values in the order of their keys, the map used up.
    pub(crate) fn into_values(self) -> impl Iterator<Item = V> {
        self.entries.into_iter().map(|(_, value)| value)
    }

    /// The entry at this position.
    pub(crate) fn nth(&self, at: usize) -> Option<(&K, &V)> {
        self.entries.get(at).map(|(key, value)| (key, value))
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
    }

    pub(crate) fn pop_last(&mut self) -> Option<(K, V)> {
        self.entries.pop()
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    fn find(&self, key: &K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(other, _)| other.cmp(key))
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.find(key).ok().map(|at| &self.entries[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).ok().map(|at| &mut self.entries[at].1)
    }

    /// Puts a value in, and gives back the one that was there.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.entries[at].1, value)),
            Err(at) => {
                self.entries.insert(at, (key, value));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key).ok()?;
        Some(self.entries.remove(at).1)
    }

    /// The value of this key, which is made first if there is none.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(&key) {
            Ok(at) => at,
            Err(at) => {
                self.entries.insert(at, (key, make()));
                at
            }
        };
        &mut self.entries[at].1
    }

    /// The value of this key, which is the default at first.
    pub(crate) fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.get_or_insert_with(key, V::default)
    }

    /// All entries in order, beginning with this key or the next above it, and around.
    pub(crate) fn around(&self, key: &K) -> impl Iterator<Item = (&K, &V)> {
        let (below, from) = self.entries.split_at(self.find(key).unwrap_or_else(|at| at));
        from.iter().chain(below).map(|(key, value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::Random;

    #[test]
    fn does_what_btreemap_does() {
        let mut random = Random::seeded(7);
        let (mut sorted, mut model) = (SortedMap::new(), BTreeMap::new());
        for step in 0..20_000u32 {
            let key = random.below(60) as u8;
            match random.below(6) {
                0 | 1 => assert_eq!(sorted.insert(key, step), model.insert(key, step)),
                2 | 3 => assert_eq!(sorted.remove(&key), model.remove(&key)),
                4 => {
                    let made = *sorted.get_or_insert_with(key, || step);
                    assert_eq!(made, *model.entry(key).or_insert(step));
                }
                _ => {
                    *sorted.get_mut(&key).unwrap_or(&mut 0) += 1;
                    *model.get_mut(&key).unwrap_or(&mut 0) += 1;
                }
            }
            assert_eq!(sorted.get(&key), model.get(&key));
            assert_eq!(sorted.contains_key(&key), model.contains_key(&key));
            assert!(sorted.iter().eq(model.iter()));
            assert!(sorted.around(&key).eq(model.range(key..).chain(model.range(..key))));
        }
        sorted.retain(|key, _| key % 3 == 0);
        model.retain(|key, _| key % 3 == 0);
        assert_eq!(sorted.pop_last(), model.pop_last());
        assert!(sorted.keys().eq(model.keys()) && sorted.into_values().eq(model.into_values()));
    }
}
