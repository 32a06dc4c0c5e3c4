//! Salted commitments to named bytes, and the root over all the members of one set.
//!
//! **Invariant:** a root binds the number of members, their names and their order; two sets with
//! different names never share one.
//!
//! **Invariant:** a commitment says nothing about its value to whoever lacks the salt, and the
//! salts of other members do not help: each is derived from the seed and cannot be turned back.
//!
//! **Invariant:** no allocation per member.
//!
//! # Source
//!
//! The proof format, «Event, members, leaf».
//!
//! # Incomplete support
//!
//! The bytes are taken as they come: that a value is in canonical form, and that a name belongs to
//! the vocabulary, is for the caller to see to.

use thiserror::Error;

use crate::hash::{self, Hash, Inputs, KIND_COMMITMENT, KIND_ROOT, KIND_SALT};

/// The secret that the salts of one set of members come from: 16 bytes, from the system's random
/// source, one per set, never derived and never used twice.
pub type Seed = [u8; 16];

/// What hides the value in a commitment: 16 bytes.
pub type Salt = [u8; 16];

/// Most members that a root commits to.
pub const MEMBERS_MAX: usize = 256;

/// Longest name of a member, in bytes: the format gives its length two bytes.
pub const NAME_BYTES_MAX: usize = 65_535;

/// Room for a name that a root's input starts with: longer ones make it grow.
const NAME_BYTES_USUAL: usize = 30;

/// Room for a member's commitment, in blocks of the hash: a longer value makes it grow.
const COMMITMENT_BLOCKS_USUAL: usize = 2;

/// Why there is no commitment to a member, or no root over a set of them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MembersError {
    /// There is no member at all.
    #[error("there are no members: hand in at least one")]
    Empty,
    /// There are more members than a root commits to.
    #[error("{count} members are too many: hand in at most {max}")]
    TooMany {
        /// Members handed in.
        count: usize,
        /// [`MEMBERS_MAX`].
        max: usize,
    },
    /// A name equals the one before it, or comes before it in byte order.
    #[error("member {name:?} stands after {previous:?}: names are unique and in ascending byte order")]
    NotAscending {
        /// The name before it.
        previous: String,
        /// The name that is out of order.
        name: String,
    },
    /// A name's length does not fit the format.
    #[error("a member's name of {bytes} bytes is too long: use at most {max}")]
    NameTooLong {
        /// The name's length, in bytes.
        bytes: usize,
        /// [`NAME_BYTES_MAX`].
        max: usize,
    },
}

/// The salt of the member `name`: `H(04 ‖ seed ‖ name)`, its first 16 bytes.
#[must_use]
pub fn salt(seed: &Seed, name: &str) -> Salt {
    let whole = hash::hash(&[&[KIND_SALT], seed, name.as_bytes()]);
    let mut salt = [0; 16];
    salt.copy_from_slice(&whole[..16]);
    salt
}

/// The commitment to one member: `H(03 ‖ salt ‖ u16 length of name ‖ name ‖ value)`, the length
/// big-endian and in bytes.
///
/// # Errors
///
/// [`MembersError::NameTooLong`] if the name is longer than [`NAME_BYTES_MAX`].
pub fn commitment(salt: &Salt, name: &str, value: &[u8]) -> Result<Hash, MembersError> {
    let length = name_length(name)?;
    Ok(hash::hash(&[&[KIND_COMMITMENT], salt, &length, name.as_bytes(), value]))
}

/// The root over members whose commitments are known:
/// `H(02 ‖ u16 count ‖ for each: u16 length of name ‖ name ‖ commitment)`.
///
/// Names are unique and in strictly ascending byte order; there are 1 to [`MEMBERS_MAX`].
///
/// # Errors
///
/// Each variant of [`MembersError`], for the first member that breaks its rule.
pub fn root<'a>(commitments: impl ExactSizeIterator<Item = (&'a str, Hash)>) -> Result<Hash, MembersError> {
    let mut names = Names::announced(commitments.len())?;
    let mut input = RootInput::with_capacity(commitments.len());
    for (name, commitment) in commitments {
        input.add(names.next(name)?, name, &commitment);
    }
    input.hash(names)
}

/// The root over (name, value) pairs whose salts all come from one seed: the same as [`root`] over
/// [`commitment`] under [`salt`] of each.
///
/// # Errors
///
/// Each variant of [`MembersError`], for the first member that breaks its rule.
pub fn root_of_members<'a>(
    seed: &Seed,
    members: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Hash, MembersError> {
    let count = members.len();
    let mut names = Names::announced(count)?;
    let mut named = Vec::with_capacity(count);
    let mut inputs = Inputs::with_capacity(count, COMMITMENT_BLOCKS_USUAL * count);
    for (name, value) in members {
        let length = names.next(name)?;
        inputs.add([&[KIND_SALT], seed, name.as_bytes()]);
        named.push((length, name, value));
    }
    let mut hashes = Vec::with_capacity(count);
    inputs.hash_into(&mut hashes);
    for ((length, name, value), salt) in named.iter().zip(&hashes) {
        let (salt, _) = salt.split_at(size_of::<Salt>());
        inputs.add([&[KIND_COMMITMENT], salt, length, name.as_bytes(), value]);
    }
    inputs.hash_into(&mut hashes);
    let mut input = RootInput::with_capacity(count);
    for ((length, name, _), commitment) in named.iter().zip(&hashes) {
        input.add(*length, name, commitment);
    }
    input.hash(names)
}

/// Sees to it that names are as a root needs them.
struct Names<'a> {
    count: u16,
    previous: Option<&'a str>,
}

impl<'a> Names<'a> {
    /// Of members that are to be so many.
    fn announced(count: usize) -> Result<Self, MembersError> {
        if count > MEMBERS_MAX {
            return Err(too_many(count));
        }
        Ok(Names { count: 0, previous: None })
    }

    /// The next name's length, as it is hashed.
    fn next(&mut self, name: &'a str) -> Result<[u8; 2], MembersError> {
        // Counted again: an iterator's own word for its length is not to be relied on, and a count
        // that differs from what follows would make a root that no verifier arrives at.
        if usize::from(self.count) >= MEMBERS_MAX {
            return Err(too_many(usize::from(self.count) + 1));
        }
        let length = name_length(name)?;
        if let Some(previous) = self.previous
            && previous >= name
        {
            return Err(MembersError::NotAscending { previous: previous.to_owned(), name: name.to_owned() });
        }
        self.count += 1;
        self.previous = Some(name);
        Ok(length)
    }
}

/// A root's hash input while it is put together.
struct RootInput {
    /// All members so far. Kind and count come before them, and are known once all are here.
    members: Vec<u8>,
}

impl RootInput {
    fn with_capacity(count: usize) -> Self {
        let member_bytes = size_of::<u16>() + NAME_BYTES_USUAL + size_of::<Hash>();
        RootInput { members: Vec::with_capacity(count * member_bytes) }
    }

    fn add(&mut self, length: [u8; 2], name: &str, commitment: &Hash) {
        self.members.extend_from_slice(&length);
        self.members.extend_from_slice(name.as_bytes());
        self.members.extend_from_slice(commitment);
    }

    fn hash(self, names: Names) -> Result<Hash, MembersError> {
        if names.count == 0 {
            return Err(MembersError::Empty);
        }
        let [high, low] = names.count.to_be_bytes();
        Ok(hash::hash(&[&[KIND_ROOT, high, low], &self.members]))
    }
}

fn name_length(name: &str) -> Result<[u8; 2], MembersError> {
    match u16::try_from(name.len()) {
        Ok(length) => Ok(length.to_be_bytes()),
        Err(_) => Err(MembersError::NameTooLong { bytes: name.len(), max: NAME_BYTES_MAX }),
    }
}

fn too_many(count: usize) -> MembersError {
    MembersError::TooMany { count, max: MEMBERS_MAX }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::hash::hex;

    const SEED: Seed = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// Name, value, salt, commitment of each member of the proof format's worked example.
    const WORKED_EXAMPLE: [(&str, &str, &str, &str); 4] = [
        (
            "action",
            r#""flag.update""#,
            "8f176e9f2cb529705c4c373f225fb0c6",
            "3e3bd8a8f446efa5dafbf26915cda7b2ebd8a602cf4278677dff9eedd1a5119c",
        ),
        (
            "actor.id",
            r#""usr_1""#,
            "ebb83449c5b704e0fb0ffbcde8071009",
            "14a0e16a7ec78d641ca8fa8484ecc69d94314eecc21da6c2363cbad277304f4d",
        ),
        (
            "actor.name",
            r#""Iku""#,
            "0cebad29e4ac0b94ff54a6991c864915",
            "f0e38cd48a1db4ce3973ff0414ab716342e8a435273fbf59997c92688ddc3d51",
        ),
        (
            "id",
            r#""req-8f1c:0""#,
            "1eda7ad3366c0f0b28a1c07380832f03",
            "237f17c3d99fcf0ea1bd9614da1b75384480540d2ebd1ce145cfdb72680439e9",
        ),
    ];
    const WORKED_ROOT: &str = "020db77d7cf2d0e9592203e71b53c405f21577f535d851f8dc262b2b3f2832fb";

    /// Both ways to a root, which must agree.
    fn check(names: &[&str], expect: Result<(), MembersError>) {
        let by_commitments = root(names.iter().map(|name| (*name, [0; 32])));
        let by_members = root_of_members(&SEED, names.iter().map(|name| (*name, &b"1"[..])));
        assert_eq!(by_commitments.map(|_| ()), expect, "{names:?}");
        assert_eq!(by_members.map(|_| ()), expect, "{names:?}");
    }

    fn not_ascending(previous: &str, name: &str) -> Result<(), MembersError> {
        Err(MembersError::NotAscending { previous: previous.to_owned(), name: name.to_owned() })
    }

    fn numbered_names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("n{number:03}")).collect()
    }

    #[test]
    fn the_worked_example_has_its_salts() {
        for (name, _, expect, _) in WORKED_EXAMPLE {
            assert_eq!(hex::encode(&salt(&SEED, name)), expect, "{name}");
        }
    }

    #[test]
    fn the_worked_example_has_its_commitments() {
        for (name, value, salt, expect) in WORKED_EXAMPLE {
            let commitment = commitment(&hex::decode(salt), name, value.as_bytes()).unwrap();
            assert_eq!(hex::encode(&commitment), expect, "{name}");
        }
    }

    #[test]
    fn the_worked_example_has_its_root() {
        let members = WORKED_EXAMPLE.iter();
        let by_commitments = root(members.clone().map(|(name, _, _, c)| (*name, hex::decode(c))));
        assert_eq!(hex::encode(&by_commitments.unwrap()), WORKED_ROOT);
        let by_members = root_of_members(&SEED, members.map(|(name, value, _, _)| (*name, value.as_bytes())));
        assert_eq!(hex::encode(&by_members.unwrap()), WORKED_ROOT);
    }

    #[test]
    fn no_members_have_no_root() {
        check(&[], Err(MembersError::Empty));
    }

    #[test]
    fn names_out_of_byte_order_are_refused() {
        check(&["b", "a"], not_ascending("b", "a"));
        check(&["a", "c", "b", "d"], not_ascending("c", "b"));
        check(&["targets.2.id", "targets.10.id"], not_ascending("targets.2.id", "targets.10.id"));
        check(&["targets.10.id", "targets.2.id"], Ok(()));
    }

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        check(&["a", "a"], not_ascending("a", "a"));
        check(&["a", "b", "b"], not_ascending("b", "b"));
        check(&["", ""], not_ascending("", ""));
    }

    #[test]
    fn more_than_256_members_are_refused() {
        let names = numbered_names(300);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        check(&names[..1], Ok(()));
        check(&names[..256], Ok(()));
        for count in [257, 300] {
            check(&names[..count], Err(too_many(count)));
        }
    }

    #[test]
    fn a_name_longer_than_its_length_field_is_refused() {
        let longest = "n".repeat(NAME_BYTES_MAX);
        check(&[&longest], Ok(()));
        let expect = MembersError::NameTooLong { bytes: NAME_BYTES_MAX + 1, max: NAME_BYTES_MAX };
        let too_long = "n".repeat(NAME_BYTES_MAX + 1);
        check(&[&too_long], Err(expect.clone()));
        assert_eq!(commitment(&[0; 16], &too_long, b"1"), Err(expect));
    }

    #[test]
    fn refusals_say_what_to_do() {
        let not_ascending = MembersError::NotAscending { previous: "b".to_owned(), name: "a".to_owned() };
        let name_too_long = MembersError::NameTooLong { bytes: 65_536, max: NAME_BYTES_MAX };
        for (error, expect) in [
            (MembersError::Empty, "there are no members: hand in at least one"),
            (too_many(257), "257 members are too many: hand in at most 256"),
            (not_ascending, r#"member "a" stands after "b": names are unique and in ascending byte order"#),
            (name_too_long, "a member's name of 65536 bytes is too long: use at most 65535"),
        ] {
            assert_eq!(error.to_string(), expect);
        }
    }

    /// An iterator whose own word for its length is wrong.
    struct Announcing<I> {
        members: I,
        count: usize,
    }

    impl<I: Iterator> Iterator for Announcing<I> {
        type Item = I::Item;
        fn next(&mut self) -> Option<I::Item> {
            self.members.next()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.count, Some(self.count))
        }
    }

    impl<I: Iterator> ExactSizeIterator for Announcing<I> {}

    #[test]
    fn the_count_committed_to_is_that_of_the_members_seen() {
        let names = numbered_names(257);
        let members = |seen: usize, count| Announcing {
            members: names.iter().take(seen).map(|name| (name.as_str(), [0; 32])),
            count,
        };
        assert_eq!(root(members(3, 200)), root(members(3, 3)));
        assert_eq!(root(members(3, 0)), root(members(3, 3)));
        assert_eq!(root(members(0, 3)), Err(MembersError::Empty));
        assert_eq!(root(members(257, 3)), Err(too_many(257)));
    }

    #[test]
    fn bytes_moved_between_name_and_value_give_another_commitment() {
        let of = |name, value| commitment(&[0; 16], name, value).unwrap();
        assert_ne!(of("ab", b"c"), of("a", b"bc"));
    }

    /// The root as the proof format writes it, without any of the shortcuts.
    fn naive_root(seed: &Seed, members: &[(&str, &[u8])]) -> Hash {
        let number = |number: usize| u16::try_from(number).unwrap().to_be_bytes();
        let mut input = vec![2];
        input.extend(number(members.len()));
        for (name, value) in members {
            let name = [&number(name.len())[..], name.as_bytes()].concat();
            let salt = Sha256::digest([&[4][..], seed, &name[2..]].concat());
            let commitment = Sha256::digest([&[3][..], &salt[..16], &name, value].concat());
            input.extend(name);
            input.extend(commitment);
        }
        Sha256::digest(input).into()
    }

    proptest! {
        #[test]
        fn every_way_to_a_root_agrees(
            seed in any::<Seed>(),
            members in btree_map("[a-z_.0-9é]{0,300}", vec(any::<u8>(), 0..600), 1..40),
        ) {
            let members: Vec<(&str, &[u8])> = members
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_slice()))
                .collect();
            let expect = Ok(naive_root(&seed, &members));
            let by_commitments = root(members.iter().map(|(name, value)| {
                (*name, commitment(&salt(&seed, name), name, value).unwrap())
            }));
            prop_assert_eq!(&by_commitments, &expect);
            prop_assert_eq!(&root_of_members(&seed, members.iter().copied()), &expect);
        }

        #[test]
        fn a_change_of_any_member_changes_the_root(
            members in btree_map("[a-z]{1,8}", vec(any::<u8>(), 0..80), 1..20),
            at in any::<prop::sample::Index>(),
        ) {
            let root_of = |members: &[(String, Vec<u8>)]| {
                let pairs = members.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
                root_of_members(&SEED, pairs)
            };
            let mut members: Vec<(String, Vec<u8>)> = members.into_iter().collect();
            let before = root_of(&members);
            let at = at.index(members.len());
            members[at].1.push(0);
            prop_assert_ne!(&root_of(&members), &before);
            members.remove(at);
            prop_assert_ne!(&root_of(&members), &before);
        }
    }
}
