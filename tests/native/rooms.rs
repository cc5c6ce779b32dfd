//! The order of the rooms of `src/`, and of the stages of `src/data/`: each imports only from those before it, so that no two of
//! them point at each other.

use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every room of `src/`, in order.
const ROOMS: [&str; 20] = [
    "error",
    "recipe",
    "sweep",
    "kernels",
    "native",
    "weights",
    "models",
    "data",
    "adapters",
    "metrics",
    "objectives",
    "rewards",
    "generate",
    "memory",
    "eval",
    "train",
    "bench",
    "export",
    "session",
    "web",
];

/// The stages of `src/data/`, in the order in which the bytes go, after what all of them speak of.
const STAGES: [&str; 9] =
    ["types", "listing", "read", "shape", "curate", "encode", "batch", "general", "report"];

/// A path in the code that begins with `crate` or `super`; modules are named from the root of the crate on.
struct Import {
    file: String,
    line: usize,
    /// The module that it stands in.
    from: Vec<String>,
    /// What it names, up to the first brace.
    to: Vec<String>,
}

#[test]
fn rooms_import_only_from_rooms_before_them() {
    let imports = imports();
    let in_room = |import: &Import| (import.from[0].clone(), room(&import.to[0]).to_string());
    let wrong = out_of_order(&imports, &ROOMS, in_room);
    assert!(wrong.is_empty(), "the order is {}\n{}", ROOMS.join(" ← "), wrong.join("\n"));
}

#[test]
fn stages_of_data_import_only_from_stages_before_them() {
    let imports: Vec<Import> =
        imports().into_iter().filter(|import| import.from.len() > 1 && import.from[0] == "data").collect();
    let within: Vec<Import> = imports.into_iter().filter(|import| import.to[0] == "data").collect();
    assert!(within.len() > 100, "only {} imports were found", within.len());
    let stage = |path: &[String]| path.get(1).cloned().unwrap_or_default();
    let wrong = out_of_order(&within, &STAGES, |import| (stage(&import.from), stage(&import.to)));
    assert!(wrong.is_empty(), "the order is {}\n{}", STAGES.join(" ← "), wrong.join("\n"));
}

/// Files of one stage have an order too, whichever it is.
#[test]
fn no_files_of_data_import_each_other_in_a_circle() {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut edges: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    let files: Vec<PathBuf> = rust_files(&source.join("data"));
    let modules: BTreeSet<Vec<String>> =
        files.iter().map(|path| module(path.strip_prefix(source).unwrap())).collect();
    // The file that a path leads into: the longest beginning of it that is one.
    let file = |path: &[String]| {
        (1..=path.len()).rev().map(|end| path[..end].to_vec()).find(|m| modules.contains(m))
    };
    let mut add = |from: &[String], to: &[String]| {
        if let (Some(from), Some(to)) = (file(from), file(to))
            && from != to
        {
            edges.entry(from).or_default().insert(to);
        }
    };
    for Import { from, to, .. } in imports().into_iter().filter(|import| import.from[0] == "data") {
        add(&from, &to);
    }
    for path in &files {
        // What a file takes from the modules in its folder, which it names without more; handing it on is no use of it.
        let text = std::fs::read_to_string(path).unwrap();
        let parent = module(path.strip_prefix(source).unwrap());
        let code = text.lines().filter(|line| !line.starts_with("pub use") && !line.trim().starts_with("//"));
        for child in code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':'))
        {
            if let Some((name, _)) = child.split_once("::") {
                add(&parent, &[parent.as_slice(), &[name.to_string()]].concat());
            }
        }
    }
    assert!(edges.len() > 30, "only {} files import others", edges.len());
    // Takes away what imports nothing that is left, until only circles are left.
    let mut left: BTreeSet<Vec<String>> = edges.keys().cloned().collect();
    while let Some(free) = left.iter().find(|file| edges[*file].is_disjoint(&left)).cloned() {
        left.remove(&free);
    }
    let named: Vec<String> = left.iter().map(|file| format!("src/{}", file.join("/"))).collect();
    assert!(left.is_empty(), "these import each other in a circle, or one that does: {}", named.join(", "));
}

/// A sentence for each import from a place that comes later in `order`; `places` says where an import stands and what it names.
fn out_of_order(
    imports: &[Import],
    order: &[&str],
    places: impl Fn(&Import) -> (String, String),
) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    for import in imports {
        let (from, to) = places(import);
        let number = |name: &str| order.iter().position(|known| *known == name);
        let Import { file, line, .. } = import;
        sentences.extend(match (number(&from), number(&to)) {
            (Some(importer), Some(imported)) if imported <= importer => None,
            (Some(_), Some(_)) => Some(format!(
                "{file}:{line}: \"{from}\" imports from \"{to}\", which comes after it; move what both need to where the earlier \
                 one may import it"
            )),
            (None, _) => Some(format!("{file}:{line}: \"{from}\" has no place in the order; give it one")),
            (_, None) => Some(format!("{file}:{line}: \"{from}\" imports \"{to}\", which has no place in the order")),
        });
    }
    sentences
}

/// The room of a name that stands right behind `crate`.
fn room(name: &str) -> &str {
    if ["Error", "Result"].contains(&name) { "error" } else { name }
}

/// Every import of `src/` but those of `lib.rs`; comments do not count.
fn imports() -> Vec<Import> {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let import = Regex::new(r"\b(crate|super(?:::super)*)::(\w+(?:::\w+)*|\{)").unwrap();
    let mut imports = Vec::new();
    for path in rust_files(source) {
        let path = path.strip_prefix(source).unwrap();
        let text = std::fs::read_to_string(source.join(path)).unwrap();
        // Tests are a module of their own within the file.
        let tests = text.find("\nmod tests {").unwrap_or(text.len());
        for found in import.captures_iter(&text) {
            let start = found.get(0).unwrap().start();
            let line_start = text[..start].rfind('\n').map_or(0, |place| place + 1);
            let mut from = module(path);
            if from.is_empty() || text[line_start..start].contains("//") {
                continue;
            }
            if start > tests {
                from.push("tests".into());
            }
            let base = match &found[1] {
                "crate" => &[],
                supers => &from[..from.len() - supers.split("::").count()],
            };
            let named = match &found[2] {
                "{" => first_names(&text[found.get(0).unwrap().end()..]),
                path => vec![path.split("::").map(String::from).collect()],
            };
            for name in named {
                imports.push(Import {
                    file: format!("src/{}", path.display()),
                    line: 1 + text[..start].matches('\n').count(),
                    to: [base, &name].concat(),
                    from: from.clone(),
                });
            }
        }
    }
    assert!(imports.len() > 500, "only {} imports were found", imports.len());
    imports
}

/// A list in braces begins here: the path of each item up to its own braces.
fn first_names(list: &str) -> Vec<Vec<String>> {
    let (mut depth, mut names) = (0, vec![String::new()]);
    for character in list.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            _ if depth == 0 => names.last_mut().unwrap().push(character),
            _ => {}
        }
    }
    let path = |name: &String| {
        name.trim().split("::").map(str::trim).filter(|part| !part.is_empty()).map(String::from).collect()
    };
    names.iter().filter(|name| !name.trim().is_empty()).map(path).collect()
}

/// `data/curate/mod.rs` and `data/curate.rs` are `[data, curate]`; the root is empty.
fn module(path: &Path) -> Vec<String> {
    let mut module: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let file = module.pop().unwrap();
    match file.as_str() {
        "lib.rs" | "mod.rs" => {}
        file => module.push(file.trim_end_matches(".rs").into()),
    }
    module
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn an_import_of_a_later_room_is_told_with_its_line() {
    let import = |to: &str| Import {
        file: "src/recipe/data.rs".into(),
        line: 3,
        from: vec!["recipe".into(), "data".into()],
        to: vec![to.into()],
    };
    let of = |import: &Import| (import.from[0].clone(), room(&import.to[0]).to_string());
    assert!(out_of_order(&[import("Result"), import("recipe")], &ROOMS, of).is_empty());
    let said = out_of_order(&[import("models")], &ROOMS, of);
    assert!(said[0].starts_with("src/recipe/data.rs:3: \"recipe\" imports from \"models\""), "{said:?}");
    assert_eq!(first_names("a::b, c::{d, e}, f};")[1], ["c"]);
}
