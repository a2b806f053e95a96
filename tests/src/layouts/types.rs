//! The structures in the type information of a PDB.

use pdb2::{FallibleIterator as _, PDB, TypeData, TypeFinder, TypeIndex, TypeInformation};
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

/// Where the generated bindings are, as the PDB names types.
const BINDINGS: &str = "wdk_sys::types::bindings::_";

/// A member of a structure, at any depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Names of the members on the way to it.
    pub path: String,
    /// Bytes from the start of the structure.
    pub offset: usize,
    /// Bytes it occupies.
    pub size: usize,
}

/// The structures that a driver was compiled with.
pub struct Driver {
    structures: HashMap<String, (usize, Vec<Member>)>,
}

impl Driver {
    /// Reads those of the `wanted` structures that the PDB describes.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(pdb: &Path, wanted: &[&str]) -> Result<Self, String> {
        let read = || -> pdb2::Result<Self> {
            let mut pdb = PDB::open(File::open(pdb)?)?;
            let information = pdb.type_information()?;
            let types = Types::new(&information)?;
            let mut structures = HashMap::new();
            for structure in wanted {
                if let Some(&index) = types.defined.get(&format!("{BINDINGS}{structure}")) {
                    let mut members = Vec::new();
                    types.collect(index, "", 0, &mut members)?;
                    structures.insert((*structure).to_owned(), (types.size(index)?, members));
                }
            }
            Ok(Self { structures })
        };
        read().map_err(|error| format!("{}: {error}", pdb.display()))
    }

    /// Bytes of a structure; `None` if the driver has it not.
    #[must_use]
    pub fn size(&self, structure: &str) -> Option<usize> {
        self.structures.get(structure).map(|(size, _)| *size)
    }

    /// Its members, those of unnamed types inside it included.
    #[must_use]
    pub fn members(&self, structure: &str) -> Option<&[Member]> {
        self.structures
            .get(structure)
            .map(|(_, members)| &**members)
    }
}

struct Types<'p> {
    finder: TypeFinder<'p>,
    /// Index of the definition of each structure and union; elsewhere it may be declared only.
    defined: HashMap<String, TypeIndex>,
}

impl<'p> Types<'p> {
    fn new(information: &'p TypeInformation<'_>) -> pdb2::Result<Self> {
        let mut finder = information.finder();
        let mut defined = HashMap::new();
        let mut types = information.iter();
        while let Some(item) = types.next()? {
            finder.update(&types);
            // Records of a kind that the reader does not know hold no structure.
            let (name, properties) = match item.parse() {
                Ok(TypeData::Class(class)) => (class.name, class.properties),
                Ok(TypeData::Union(union)) => (union.name, union.properties),
                _ => continue,
            };
            if !properties.forward_reference() {
                defined.insert(name.to_string().into_owned(), item.index());
            }
        }
        Ok(Self { finder, defined })
    }

    fn data(&self, index: TypeIndex) -> pdb2::Result<TypeData<'p>> {
        self.finder.find(index)?.parse()
    }

    /// Name, members and size of a structure or union; by its definition, wherever it is declared.
    fn aggregate(
        &self,
        index: TypeIndex,
    ) -> pdb2::Result<Option<(String, Option<TypeIndex>, usize)>> {
        let (name, fields, size, declared) = match self.data(index)? {
            TypeData::Class(class) => (
                class.name,
                class.fields,
                class.size,
                class.properties.forward_reference(),
            ),
            TypeData::Union(union) => (
                union.name,
                Some(union.fields),
                union.size,
                union.properties.forward_reference(),
            ),
            _ => return Ok(None),
        };
        let name = name.to_string().into_owned();
        match self.defined.get(&name) {
            Some(&definition) if declared => self.aggregate(definition),
            _ => Ok(Some((name, fields, size as usize))),
        }
    }

    fn size(&self, index: TypeIndex) -> pdb2::Result<usize> {
        if let Some((_, _, size)) = self.aggregate(index)? {
            return Ok(size);
        }
        Ok(match self.data(index)? {
            TypeData::Primitive(primitive) if primitive.indirection.is_some() => 8,
            TypeData::Primitive(primitive) => size_of_primitive(primitive.kind),
            TypeData::Pointer(pointer) => pointer.attributes.size() as usize,
            // The last dimension counts bytes of the whole.
            TypeData::Array(array) => array.dimensions.last().map_or(0, |&bytes| bytes as usize),
            TypeData::Enumeration(enumeration) => self.size(enumeration.underlying_type)?,
            TypeData::Modifier(modifier) => self.size(modifier.underlying_type)?,
            _ => 0,
        })
    }

    /// Collects the members of a type, and those of the unnamed types that they have.
    fn collect(
        &self,
        index: TypeIndex,
        prefix: &str,
        base: usize,
        into: &mut Vec<Member>,
    ) -> pdb2::Result<()> {
        let mut next = self.aggregate(index)?.and_then(|(_, fields, _)| fields);
        // A list that is too long for one record goes on in another.
        while let Some(index) = next {
            let TypeData::FieldList(list) = self.data(index)? else {
                break;
            };
            for field in &list.fields {
                let TypeData::Member(member) = field else {
                    continue;
                };
                let path = format!("{prefix}{}", member.name);
                let offset = base + member.offset as usize;
                into.push(Member {
                    path: path.clone(),
                    offset,
                    size: self.size(member.field_type)?,
                });
                let name = self.aggregate(member.field_type)?.map(|(name, _, _)| name);
                // The type of a member that has none of its own in the header.
                if name.is_some_and(|name| name.contains("__bindgen_ty_")) {
                    self.collect(member.field_type, &format!("{path}."), offset, into)?;
                }
            }
            next = list.continuation;
        }
        Ok(())
    }
}

fn size_of_primitive(kind: pdb2::PrimitiveKind) -> usize {
    use pdb2::PrimitiveKind as Kind;
    match kind {
        Kind::Char
        | Kind::RChar
        | Kind::UChar
        | Kind::I8
        | Kind::U8
        | Kind::Bool8
        | Kind::Char8 => 1,
        Kind::WChar
        | Kind::Short
        | Kind::UShort
        | Kind::I16
        | Kind::U16
        | Kind::Bool16
        | Kind::RChar16 => 2,
        Kind::Long | Kind::ULong | Kind::I32 | Kind::U32 | Kind::Bool32 | Kind::RChar32 => 4,
        Kind::Quad | Kind::UQuad | Kind::I64 | Kind::U64 | Kind::Bool64 => 8,
        _ => 0,
    }
}
