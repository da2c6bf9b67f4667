//! Which file of `src/` uses names that which other file defines, and the rings this makes. A path is followed through
//! modules and re-exports to the file that defines the name, so a door (`mod.rs`) ties nobody who only passes it.
// there are far more kinds of items than define a name
#![allow(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::Visit;

/// A module's path from the crate's root: `["store", "engine"]`.
type ModulePath = Vec<String>;

/// What one file says: the names it defines, the modules it declares and what it imports.
#[derive(Default)]
struct Module {
    file: PathBuf,
    defined: BTreeSet<String>,
    /// Local name and the path it stands for; `*` for a glob.
    imports: Vec<(String, Vec<String>)>,
    /// Every path in code, tests left out.
    paths: Vec<Vec<String>>,
}

/// The files, and for each the files it uses with the names that tie them.
pub struct Graph {
    modules: BTreeMap<ModulePath, Module>,
}

impl Graph {
    /// Reads every file below `root` (a crate's `src`), tests left out.
    pub fn read(root: &Path, files: &[PathBuf]) -> Self {
        let mut modules = BTreeMap::new();
        for file in files {
            let relative = file.strip_prefix(root).unwrap().with_extension("");
            let mut path: ModulePath =
                relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            if matches!(path.last().map(String::as_str), Some("mod" | "lib")) {
                path.pop();
            }
            let text = std::fs::read_to_string(file).unwrap();
            let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let mut module = Module { file: relative, ..Module::default() };
            module.visit_file(&parsed);
            modules.insert(path, module);
        }
        Self { modules }
    }

    /// For each file the files it uses, and by which names.
    pub fn edges(&self) -> BTreeMap<&Path, BTreeMap<&Path, BTreeSet<String>>> {
        let mut edges: BTreeMap<&Path, BTreeMap<&Path, BTreeSet<String>>> = BTreeMap::new();
        for (at, module) in &self.modules {
            let own = edges.entry(&module.file).or_default();
            let imported = module.imports.iter().map(|(_, path)| path);
            for path in imported.chain(&module.paths) {
                for (target, name) in self.resolve(at, path, 0) {
                    let target = &self.modules[&target].file;
                    if *target != module.file {
                        own.entry(target).or_default().insert(name);
                    }
                }
            }
        }
        edges
    }

    /// The files that name a library, by the first word of a path.
    pub fn files_that_name(&self, library: &str) -> BTreeSet<String> {
        let names = |module: &&Module| {
            let imported = module.imports.iter().map(|(_, path)| path);
            imported.chain(&module.paths).any(|path| path.len() > 1 && path[0] == library)
        };
        self.modules.values().filter(names).map(|module| module.file.display().to_string()).collect()
    }

    /// Groups of files that use each other, directly or in a ring, each with the ties inside it.
    pub fn rings(&self) -> Vec<Vec<String>> {
        let edges = self.edges();
        let reach = |start: &Path| {
            let (mut seen, mut stack) = (BTreeSet::new(), vec![start.to_path_buf()]);
            while let Some(file) = stack.pop() {
                for next in edges[file.as_path()].keys() {
                    if seen.insert(next.to_path_buf()) {
                        stack.push(next.to_path_buf());
                    }
                }
            }
            seen
        };
        let reached: BTreeMap<&Path, BTreeSet<PathBuf>> =
            edges.keys().map(|file| (*file, reach(file))).collect();
        let mut groups: BTreeSet<Vec<&Path>> = BTreeSet::new();
        for (file, files) in reached.iter().filter(|(file, files)| files.contains(**file)) {
            let both = |other: &&PathBuf| reached[other.as_path()].contains(*file);
            groups.insert(files.iter().filter(both).map(PathBuf::as_path).collect());
        }
        let ties = |group: &Vec<&Path>| {
            let mut ties = Vec::new();
            for file in group {
                for (to, names) in edges[file].iter().filter(|(to, _)| group.contains(to)) {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    ties.push(format!("{} -> {}: {}", file.display(), to.display(), names.join(", ")));
                }
            }
            ties
        };
        groups.iter().map(ties).collect()
    }

    /// The modules that define what `path`, written in module `at`, names, with the name.
    fn resolve(&self, at: &ModulePath, path: &[String], depth: usize) -> Vec<(ModulePath, String)> {
        let Some(first) = path.first().filter(|_| depth < 16) else { return Vec::new() };
        let mut here = at.clone();
        match first.as_str() {
            "crate" | "stafette" => return self.walk(Vec::new(), &path[1..], depth),
            "self" => return self.walk(here, &path[1..], depth),
            "super" => {
                let mut rest = path;
                while rest.first().is_some_and(|part| part == "super") {
                    here.pop();
                    rest = &rest[1..];
                }
                return self.walk(here, rest, depth);
            }
            _ => {}
        }
        self.walk(here, path, depth)
    }

    /// Follows `path` from module `at` down to the file that defines the name.
    fn walk(&self, at: ModulePath, path: &[String], depth: usize) -> Vec<(ModulePath, String)> {
        let Some((first, rest)) = path.split_first().filter(|_| depth < 16) else { return Vec::new() };
        let Some(module) = self.modules.get(&at) else { return Vec::new() };
        if module.defined.contains(first) {
            return vec![(at, first.clone())];
        }
        let child: ModulePath = at.iter().cloned().chain([first.clone()]).collect();
        if self.modules.contains_key(&child) {
            return self.walk(child, rest, depth);
        }
        let named = module.imports.iter().filter(|(name, target)| name == first && target[..] != path[..1]);
        for (_, target) in named {
            let full: Vec<String> = target.iter().chain(rest).cloned().collect();
            let found = self.resolve(&at, &full, depth + 1);
            if !found.is_empty() {
                return found;
            }
        }
        let globs = module.imports.iter().filter(|(name, _)| name == "*");
        globs
            .flat_map(|(_, target)| {
                let full: Vec<String> = target.iter().chain(path).cloned().collect();
                self.resolve(&at, &full, depth + 1)
            })
            .collect()
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

fn leaves(tree: &syn::UseTree, before: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
    match tree {
        syn::UseTree::Path(path) => leaves(&path.tree, &with(&path.ident), found),
        syn::UseTree::Name(name) if name.ident == "self" => {
            found.push((before.last().cloned().unwrap_or_default(), before.to_vec()));
        }
        syn::UseTree::Name(name) => found.push((name.ident.to_string(), with(&name.ident))),
        syn::UseTree::Rename(rename) => found.push((rename.rename.to_string(), with(&rename.ident))),
        syn::UseTree::Glob(_) => found.push(("*".to_owned(), before.to_vec())),
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                leaves(tree, before, found);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let (attributes, name) = match item {
            syn::Item::Const(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            syn::Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            syn::Item::Static(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Type(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Impl(item) => (&item.attrs, None),
            syn::Item::Mod(item) => (&item.attrs, item.content.as_ref().map(|_| &item.ident)),
            syn::Item::Use(item) => {
                if !is_test(&item.attrs) {
                    leaves(&item.tree, &[], &mut self.imports);
                }
                return;
            }
            syn::Item::ExternCrate(_)
            | syn::Item::ForeignMod(_)
            | syn::Item::TraitAlias(_)
            | syn::Item::Union(_)
            | syn::Item::Verbatim(_) => return,
            _ => return,
        };
        if !is_test(attributes) {
            self.defined.extend(name.map(ToString::to_string));
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        type Arguments = syn::punctuated::Punctuated<syn::Expr, syn::Token![,]>;
        if let Ok(arguments) = called.parse_body_with(Arguments::parse_terminated) {
            for argument in &arguments {
                // the argument lives no longer than this call
                let mut inner = Module::default();
                inner.visit_expr(argument);
                self.paths.append(&mut inner.paths);
                self.imports.append(&mut inner.imports);
            }
        }
        syn::visit::visit_macro(self, called);
    }
}
