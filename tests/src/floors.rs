//! Which file of a crate knows which: the `use` lines, read as the compiler does.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use syn::{Attribute, Item, UseTree};

/// A module, by its path in the crate; the crate itself is empty.
pub type Module = Vec<String>;

/// The files of a crate that are no tests, and whom each of them names.
pub struct Crate {
    /// Each with the files that its `use` lines lead to.
    pub uses: BTreeMap<Module, BTreeSet<Module>>,
    /// Each with the first part of every `crate::…` in it.
    pub floors: BTreeMap<Module, BTreeSet<String>>,
}

impl Crate {
    /// Reads the crate whose `lib.rs` or `main.rs` lies in `source`.
    ///
    /// # Panics
    /// A file cannot be read or is no Rust.
    pub fn read(source: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(source, &mut Vec::new(), &mut files);
        let mut read = Self {
            uses: BTreeMap::new(),
            floors: BTreeMap::new(),
        };
        for (module, text) in &files {
            let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{module:?}: {error}"));
            let (mut uses, mut floors) = (BTreeSet::new(), BTreeSet::new());
            for item in file.items.iter().filter(|item| !is_test(item)) {
                if let Item::Use(item) = item {
                    let mut paths = Vec::new();
                    paths_of(&item.tree, &mut Vec::new(), &mut paths);
                    let known = paths
                        .iter()
                        .filter_map(|path| resolve(module, path, &files));
                    uses.extend(known.filter(|known| known != module));
                    floors.extend(paths.iter().filter_map(|path| floor_of(path)));
                } else {
                    named(quote(item), &mut floors);
                }
            }
            read.uses.insert(module.clone(), uses);
            read.floors.insert(module.clone(), floors);
        }
        read
    }

    /// Files that know each other in a circle, the largest circle first.
    pub fn circles(&self) -> Vec<BTreeSet<Module>> {
        let reach: BTreeMap<_, _> = self
            .uses
            .keys()
            .map(|module| (module, self.reached_from(module)))
            .collect();
        let mut circles = BTreeSet::new();
        for (module, reached) in &reach {
            let circle: BTreeSet<_> = reached
                .iter()
                .filter(|other| reach.get(other).is_some_and(|back| back.contains(*module)))
                .cloned()
                .collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        let mut circles: Vec<_> = circles.into_iter().collect();
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
        circles
    }

    fn reached_from(&self, module: &Module) -> BTreeSet<Module> {
        let mut reached = BTreeSet::new();
        let mut next = vec![module.clone()];
        while let Some(module) = next.pop() {
            for used in self.uses.get(&module).into_iter().flatten() {
                if reached.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
        reached
    }

    /// Arrows against the order of `floors`, the lowest first: file, and the floor that it names.
    pub fn upwards(&self, floors: &[&str]) -> Vec<String> {
        let height = |name: &str| floors.iter().position(|floor| *floor == name);
        let mut found = Vec::new();
        for (module, named) in &self.floors {
            let Some(own) = module.first().and_then(|name| height(name)) else {
                continue;
            };
            for floor in named {
                if height(floor).is_some_and(|other| other > own) {
                    found.push(format!("{} names {floor}", module.join("::")));
                }
            }
        }
        found
    }
}

fn collect(folder: &Path, above: &mut Module, files: &mut BTreeMap<Module, String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for entry in entries.map(|entry| entry.expect("the folder can be read").path()) {
        let name = entry.file_stem().unwrap_or_default().to_string_lossy();
        if name.contains("test") {
            continue;
        }
        if entry.is_dir() {
            above.push(name.into_owned());
            collect(&entry, above, files);
            above.pop();
        } else if entry.extension().is_some_and(|kind| kind == "rs") {
            let mut module = above.clone();
            if !matches!(&*name, "lib" | "main" | "mod") {
                module.push(name.into_owned());
            }
            let text = fs::read_to_string(&entry);
            files.insert(
                module,
                text.unwrap_or_else(|error| panic!("{entry:?}: {error}")),
            );
        }
    }
}

fn is_test(item: &Item) -> bool {
    let (Item::Mod(syn::ItemMod { attrs, .. }) | Item::Use(syn::ItemUse { attrs, .. })) = item
    else {
        return false;
    };
    attrs.iter().any(|attribute: &Attribute| {
        attribute.path().is_ident("cfg") && quote(&attribute.meta).to_string().contains("test")
    })
}

fn quote(tokens: impl ToTokens) -> TokenStream {
    tokens.into_token_stream()
}

fn paths_of(tree: &UseTree, before: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let mut end = |name: &syn::Ident| {
        let mut path = before.clone();
        path.push(name.to_string());
        paths.push(path);
    };
    match tree {
        UseTree::Name(name) => end(&name.ident),
        UseTree::Rename(name) => end(&name.ident),
        UseTree::Glob(_) => paths.push(before.clone()),
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            paths_of(&path.tree, before, paths);
            before.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                paths_of(tree, before, paths);
            }
        }
    }
}

/// The file that a path leads to, if it lies in the crate.
fn resolve(module: &Module, path: &[String], files: &BTreeMap<Module, String>) -> Option<Module> {
    let mut at = module.clone();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                at.pop();
                rest = &rest[1..];
            }
        }
        child => {
            at.push(child.to_owned());
            if !files.contains_key(&at) {
                return None;
            }
            rest = &rest[1..];
        }
    }
    for part in rest {
        at.push(part.clone());
        if !files.contains_key(&at) {
            at.pop();
            break;
        }
    }
    files.contains_key(&at).then_some(at)
}

fn floor_of(path: &[String]) -> Option<String> {
    (path.first()? == "crate").then(|| path.get(1).cloned())?
}

/// Every `crate::name` in the tokens.
fn named(tokens: TokenStream, names: &mut BTreeSet<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => named(group.stream(), names),
            TokenTree::Ident(ident) if ident == "crate" => {
                let next = tokens.get(index + 1..index + 4).unwrap_or_default();
                if let [
                    TokenTree::Punct(_),
                    TokenTree::Punct(_),
                    TokenTree::Ident(name),
                ] = next
                {
                    names.insert(name.to_string());
                }
            }
            _ => {}
        }
    }
}
