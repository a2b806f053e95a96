//! The items of the sources by their paths, such as `wdm::irp::Irp::forward_with`.
//!
//! A path is that of the module in which the item is written, not of a re-export. A method is
//! found under its type or its trait; a misuse of `tests/ui` under `ui::NAME`.

use crate::{drivers, ui};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;

/// An item, or a whole module.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its file, relative to the repository.
    pub file: PathBuf,
    /// Its lines, those of its documentation included; the first is 1.
    pub lines: RangeInclusive<usize>,
    /// These lines.
    pub text: String,
}

impl Item {
    /// Whether it mentions a rule.
    #[must_use]
    pub fn cites(&self, id: &str) -> bool {
        let words = self.text.split(|letter: char| !letter.is_alphanumeric());
        words.into_iter().any(|word| word == id)
    }
}

/// All items of some source files.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<String, Vec<Item>>);

impl Sources {
    /// The items of the driver: `wdm::…` and `fsglass::…`.
    ///
    /// # Panics
    /// If a file cannot be read or parsed.
    #[must_use]
    pub fn of_driver() -> Self {
        let mut sources = Self::default();
        sources.add_tree("crates/wdm/src", "wdm");
        sources.add_tree("src", "fsglass");
        sources
    }

    /// The tests, `FILE::NAME` as cargo names them, and the misuses, `ui::NAME`.
    ///
    /// # Panics
    /// As [`Sources::of_driver`].
    #[must_use]
    pub fn of_tests() -> Self {
        let mut sources = Self::default();
        sources.add_tree("tests/tests", "");
        for name in ui::misuses(&ui::directory()) {
            let file = Path::new("tests/ui/examples").join(format!("{name}.rs"));
            sources.add_file(&file, &["ui".to_owned(), name]);
        }
        sources
    }

    /// The item of that path.
    ///
    /// # Errors
    /// What is wrong with the path.
    pub fn find(&self, path: &str) -> Result<&Item, String> {
        match self.0.get(path).map(Vec::as_slice) {
            None => Err(format!("there is no {path}")),
            Some([item]) => Ok(item),
            Some(items) => Err(format!("{path} is one of {} items", items.len())),
        }
    }

    /// The public functions and methods whose paths begin so.
    pub fn public_functions(&self, start: &str) -> impl Iterator<Item = (&str, &Item)> {
        let all = self
            .0
            .iter()
            .filter(move |(path, _)| path.starts_with(start));
        let all = all.flat_map(|(path, items)| items.iter().map(move |item| (path.as_str(), item)));
        all.filter(|(path, item)| {
            let name = path.rsplit("::").next().unwrap_or(path);
            let is_it = |line: &str| {
                let line = line.trim_start();
                let signature = ["pub fn ", "pub const fn ", "pub unsafe fn "];
                let rest = signature.iter().find_map(|start| line.strip_prefix(start));
                let rest = rest.and_then(|rest| rest.strip_prefix(name));
                rest.is_some_and(|rest| rest.starts_with(['(', '<']))
            };
            item.text.lines().any(is_it)
        })
    }

    fn add_tree(&mut self, directory: &str, name: &str) {
        let root: Vec<String> = (!name.is_empty())
            .then(|| name.to_owned())
            .into_iter()
            .collect();
        self.add_directory(Path::new(directory), &root);
    }

    fn add_directory(&mut self, directory: &Path, module: &[String]) {
        let path = drivers::repository().join(directory);
        let entries =
            std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for entry in entries.flatten() {
            let file = directory.join(entry.file_name());
            let name = file
                .file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
            let below: Vec<String> = module.iter().cloned().chain([name.clone()]).collect();
            if entry.path().is_dir() {
                self.add_directory(&file, &below);
            } else if file.extension().is_some_and(|extension| extension == "rs") {
                let is_root = matches!(name.as_str(), "lib" | "mod");
                self.add_file(&file, if is_root { module } else { &below });
            }
        }
    }

    fn add_file(&mut self, file: &Path, module: &[String]) {
        let path = drivers::repository().join(file);
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.add_text(file, module, &text);
    }

    fn add_text(&mut self, file: &Path, module: &[String], text: &str) {
        let parsed =
            syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let lines: Vec<&str> = text.lines().collect();
        let mut reader = Reader {
            sources: self,
            file,
            lines: &lines,
        };
        reader.add(module, 1..=lines.len());
        reader.items(module, &parsed.items);
    }
}

/// Reads one file.
struct Reader<'a> {
    sources: &'a mut Sources,
    file: &'a Path,
    lines: &'a [&'a str],
}

impl Reader<'_> {
    fn add(&mut self, path: &[String], lines: RangeInclusive<usize>) {
        let text = self.lines.get(lines.start() - 1..*lines.end());
        let item = Item {
            file: self.file.to_owned(),
            lines: lines.clone(),
            text: text.unwrap_or_default().join("\n"),
        };
        self.sources
            .0
            .entry(path.join("::"))
            .or_default()
            .push(item);
    }

    fn named(&mut self, module: &[String], name: &syn::Ident, item: &impl Spanned) -> Vec<String> {
        let path: Vec<String> = module.iter().cloned().chain([name.to_string()]).collect();
        let span = item.span();
        self.add(&path, span.start().line..=span.end().line);
        path
    }

    fn items(&mut self, module: &[String], items: &[syn::Item]) {
        for item in items {
            match item {
                syn::Item::Const(it) => drop(self.named(module, &it.ident, it)),
                syn::Item::Enum(it) => drop(self.named(module, &it.ident, it)),
                syn::Item::Fn(it) => drop(self.named(module, &it.sig.ident, it)),
                syn::Item::Static(it) => drop(self.named(module, &it.ident, it)),
                syn::Item::Struct(it) => drop(self.named(module, &it.ident, it)),
                syn::Item::Type(it) => drop(self.named(module, &it.ident, it)),
                syn::Item::Trait(it) => {
                    let path = self.named(module, &it.ident, it);
                    for item in &it.items {
                        if let syn::TraitItem::Fn(method) = item {
                            self.named(&path, &method.sig.ident, method);
                        }
                    }
                }
                syn::Item::Mod(it) => {
                    if let Some((_, items)) = &it.content {
                        let path = self.named(module, &it.ident, it);
                        self.items(&path, items);
                    }
                }
                syn::Item::Impl(it) => self.methods(module, it),
                _ => {}
            }
        }
    }

    fn methods(&mut self, module: &[String], it: &syn::ItemImpl) {
        let syn::Type::Path(of) = &*it.self_ty else {
            return;
        };
        let Some(last) = of.path.segments.last() else {
            return;
        };
        let path: Vec<String> = module
            .iter()
            .cloned()
            .chain([last.ident.to_string()])
            .collect();
        for item in &it.items {
            match item {
                syn::ImplItem::Fn(method) => drop(self.named(&path, &method.sig.ident, method)),
                syn::ImplItem::Const(constant) => {
                    drop(self.named(&path, &constant.ident, constant));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! A module (P1).
use x::y;

/// A type (C1).
struct Type;

impl Type {
    /// C12: a method.
    fn method(&self) {
        call();
    }
}

impl Drop for Type {
    fn drop(&mut self) {}
}

trait Trait {
    fn required(&self);
}

mod inner {
    const VALUE: u32 = 1;
}

mod elsewhere;
";

    fn sources() -> Sources {
        let mut sources = Sources::default();
        let module = ["krate", "module"].map(str::to_owned);
        sources.add_text(Path::new("a/module.rs"), &module, SOURCE);
        sources
    }

    #[test]
    fn items_are_found_with_their_documentation() {
        let sources = sources();
        for (path, lines) in [
            ("krate::module", 1..=26),
            ("krate::module::Type", 4..=5),
            ("krate::module::Type::method", 8..=11),
            ("krate::module::Type::drop", 15..=15),
            ("krate::module::Trait::required", 19..=19),
            ("krate::module::inner::VALUE", 23..=23),
        ] {
            assert_eq!(
                sources.find(path).map(|item| &item.lines),
                Ok(&lines),
                "{path}"
            );
        }
        for path in ["krate::module::elsewhere", "Type", "krate::module::call"] {
            assert!(sources.find(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_rule_is_cited_by_its_whole_name() {
        let sources = sources();
        let method = sources.find("krate::module::Type::method").unwrap();
        assert!(method.cites("C12") && !method.cites("C1"));
        assert!(sources.find("krate::module::Type").unwrap().cites("C1"));
    }

    #[test]
    fn public_functions_are_those_of_a_module_and_of_a_type() {
        let mut sources = Sources::default();
        let text = "pub fn one() {}
fn two() {}
impl Type {
    /// Three.
    pub const fn three(&self) {}
    pub(crate) fn four(&self) {}
}
pub struct Type;
";
        sources.add_text(Path::new("a.rs"), &["krate".to_owned()], text);
        let found: Vec<_> = sources
            .public_functions("krate::")
            .map(|(path, _)| path)
            .collect();
        assert_eq!(found, ["krate::Type::three", "krate::one"]);
        assert_eq!(sources.public_functions("other").count(), 0);
    }

    #[test]
    fn two_items_of_one_path_are_none() {
        let mut sources = sources();
        let module = ["krate", "module"].map(str::to_owned);
        sources.add_text(Path::new("b/module.rs"), &module, "struct Type;");
        let error = sources.find("krate::module::Type").unwrap_err();
        assert!(error.contains("one of 2"), "{error}");
    }
}
