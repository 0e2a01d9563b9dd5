//! The ABI that a KMDF 1.15 client and its framework agree on, as one table with its sources.
//!
//! Three parts of the Linux build must agree on it though no compiler sees them together: the headers that `wdk-sys`
//! makes its bindings from, the runtime that answers the calls, and Windows, where the same image is to run. The table
//! in `abi/` is what they are held to: this package's tests compile it against the headers, and a runtime can compare
//! with it what a client hands in.

use std::{collections::BTreeMap, error::Error, fmt};

use serde::Deserialize;

const FUNCTIONS: &str = include_str!("../abi/functions.toml");
const STRUCTS: &str = include_str!("../abi/structs.toml");

/// The whole table.
#[derive(Clone, Debug)]
pub struct Abi {
    /// The framework's functions.
    pub functions: Functions,
    /// Structure layouts, in groups of one source.
    pub groups: Vec<Group>,
}

/// The framework's functions, by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Functions {
    /// Where the order is known from.
    pub source: String,
    /// How many entries the table has: a client states it at bind, and it must be exact.
    pub count: u32,
    /// The place of each function in the table.
    pub index: BTreeMap<String, u32>,
}

/// Layouts that are known from the same source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Where the figures are known from.
    pub source: String,
    /// The structures by the name of their type.
    pub structs: BTreeMap<String, Layout>,
}

/// One structure, in bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// What `sizeof` gives.
    pub size: u32,
    /// What `offsetof` gives for members; those within unnamed structures by their path.
    #[serde(default)]
    pub at: BTreeMap<String, u32>,
}

/// Why the table could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AbiError {
    /// A file is not of the form that [`Abi`] describes.
    Malformed(String),
    /// No function has this index, or several have.
    Index(u32),
    /// A structure is listed twice.
    Repeated(String),
}

impl fmt::Display for AbiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "the ABI table is malformed: {what}"),
            Self::Index(index) => write!(f, "function index {index} is not given exactly once"),
            Self::Repeated(name) => write!(f, "{name} is listed twice"),
        }
    }
}

impl Error for AbiError {}

impl Abi {
    /// The table of KMDF 1.15.
    ///
    /// # Errors
    ///
    /// [`AbiError`], if the files in `abi/` are not as described here; the tests hold that they are.
    pub fn kmdf_1_15() -> Result<Self, AbiError> {
        Self::parse(FUNCTIONS, STRUCTS)
    }

    fn parse(functions: &str, structs: &str) -> Result<Self, AbiError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Structs {
            group: Vec<Group>,
        }

        let malformed = |error: toml::de::Error| AbiError::Malformed(error.to_string());
        let functions: Functions = toml::from_str(functions).map_err(malformed)?;
        let Structs { group: groups } = toml::from_str(structs).map_err(malformed)?;
        let abi = Self { functions, groups };
        abi.check()?;
        Ok(abi)
    }

    /// What the form of the files cannot say.
    fn check(&self) -> Result<(), AbiError> {
        let mut indices: Vec<u32> = self.functions.index.values().copied().collect();
        indices.sort_unstable();
        let mut given = indices.into_iter();
        for index in 0..self.functions.count {
            if given.next() != Some(index) {
                return Err(AbiError::Index(index));
            }
        }
        if let Some(beyond) = given.next() {
            return Err(AbiError::Index(beyond));
        }
        let mut seen = BTreeMap::new();
        for (name, layout) in self.structs() {
            if seen.insert(name, layout).is_some() {
                return Err(AbiError::Repeated(name.to_owned()));
            }
        }
        Ok(())
    }

    /// Every structure of every group.
    pub fn structs(&self) -> impl Iterator<Item = (&str, &Layout)> {
        self.groups
            .iter()
            .flat_map(|group| &group.structs)
            .map(|(name, layout)| (name.as_str(), layout))
    }

    /// The layout of a structure, by its type's name.
    pub fn layout(&self, name: &str) -> Option<&Layout> {
        self.groups.iter().find_map(|group| group.structs.get(name))
    }

    /// Function names in the order of the table.
    pub fn function_names(&self) -> Vec<&str> {
        let mut names: Vec<(u32, &str)> = self
            .functions
            .index
            .iter()
            .map(|(name, &index)| (index, name.as_str()))
            .collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Abi, AbiError};

    const STRUCTS: &str =
        "[[group]]\nsource = 'here'\n[group.structs.A]\nsize = 8\nat.First = 0\nat.'u.Second' = 4\n";

    fn functions(count: u32, index: &str) -> String {
        format!("source = 'here'\ncount = {count}\n[index]\n{index}")
    }

    #[test]
    fn the_table_reads() {
        let abi = Abi::kmdf_1_15().expect("the committed table is well-formed");
        assert_eq!(abi.functions.count, 444);
        let names = abi.function_names();
        assert_eq!((names.len(), names[116]), (444, "WdfDriverCreate"));
        assert_eq!(
            abi.layout("WDF_DRIVER_CONFIG").map(|layout| layout.size),
            Some(32)
        );
        assert!(
            abi.groups.iter().all(|group| !group.source.is_empty()),
            "each group says where it is from"
        );
    }

    #[test]
    fn members_are_found_by_path() {
        let abi = Abi::parse(&functions(1, "F = 0"), STRUCTS).expect("it is well-formed");
        assert_eq!(
            abi.layout("A").and_then(|layout| layout.at.get("u.Second")),
            Some(&4)
        );
        assert!(abi.layout("B").is_none());
    }

    #[test]
    fn gaps_repetitions_and_surplus_are_refused() {
        let index = |count, index| Abi::parse(&functions(count, index), STRUCTS).err();
        assert_eq!(index(2, "F = 0\nG = 1"), None);
        assert_eq!(index(2, "F = 0"), Some(AbiError::Index(1)));
        assert_eq!(index(2, "F = 0\nG = 0"), Some(AbiError::Index(1)));
        assert_eq!(index(1, "F = 0\nG = 1"), Some(AbiError::Index(1)));
        let twice = format!("{STRUCTS}{STRUCTS}");
        let error = Abi::parse(&functions(1, "F = 0"), &twice).err();
        assert_eq!(error, Some(AbiError::Repeated("A".to_owned())));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = Abi::parse("source = ''\ncount = 0\nextra = 1\n[index]\n", STRUCTS).err();
        assert!(matches!(error, Some(AbiError::Malformed(_))), "{error:?}");
    }
}
