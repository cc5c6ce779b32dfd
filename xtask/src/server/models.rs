//! The models that are on this machine, by name and laid out like the Hugging Face Hub.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::http::Response;
use crate::{paths, provision};

/// The page resolves a branch to a commit; here there is only one.
const REVISION: &str = "0000000000000000000000000000000000000000";

struct Model {
    name: &'static str,
    label: &'static str,
    /// Name and path of each file, sorted.
    files: Vec<(String, PathBuf)>,
}

pub struct Models(Vec<Model>);

impl Models {
    /// Looks which models are there; none is fetched.
    pub fn find() -> Self {
        let tiny = paths::www().join("public/models/tiny");
        let smollm2 = provision::default_model_dir();
        let models = [
            ("tiny", "Tiny, a million parameters, writes simple English", tiny),
            ("smollm2", "SmolLM2-135M-Instruct", smollm2),
            ("minilm", "all-MiniLM-L6-v2, an encoder for search", provision::minilm_dir()),
        ];
        let models =
            models.into_iter().map(|(name, label, dir)| Model { name, label, files: files_in(&dir) });
        Self(models.filter(|model| !model.files.is_empty()).collect())
    }

    /// `index.json` or `<name>/<file>`.
    pub fn by_name(&self, rest: &str, open: impl Fn(&Path) -> Response) -> Option<Response> {
        if rest == "index.json" {
            return Some(Response::json(&self.index()));
        }
        let (name, file) = rest.split_once('/')?;
        self.get(name)?.file(file).map(open)
    }

    /// What the Hub answers to `rest`, for the repositories `loralet/<name>`.
    pub fn as_hub(&self, rest: &str, open: impl Fn(&Path) -> Response) -> Option<Response> {
        let parts: Vec<&str> = rest.split('/').collect();
        match parts.as_slice() {
            ["api", "models", "loralet", name] | ["api", "models", "loralet", name, "revision", _] => {
                let siblings: Vec<Value> =
                    self.get(name)?.files.iter().map(|(file, _)| json!({ "rfilename": file })).collect();
                let id = format!("loralet/{name}");
                Some(Response::json(&json!({ "id": id, "sha": REVISION, "siblings": siblings })))
            }
            ["api", "models", "loralet", name, "tree", _] => {
                let entry = |(file, path): &(String, PathBuf)| json!({ "type": "file", "path": file, "size": size(path) });
                Some(Response::json(&self.get(name)?.files.iter().map(entry).collect()))
            }
            ["loralet", name, "resolve", _, file] => self.get(name)?.file(file).map(open),
            _ => None,
        }
    }

    fn index(&self) -> Value {
        let entry = |model: &Model| {
            let files: Vec<&String> = model.files.iter().map(|(name, _)| name).collect();
            let bytes: u64 = model.files.iter().map(|(_, path)| size(path)).sum();
            json!({ "name": model.name, "label": model.label, "files": files, "bytes": bytes })
        };
        self.0.iter().map(entry).collect()
    }

    fn get(&self, name: &str) -> Option<&Model> {
        self.0.iter().find(|model| model.name == name)
    }
}

impl Model {
    fn file(&self, name: &str) -> Option<&Path> {
        self.files.iter().find(|(file, _)| file == name).map(|(_, path)| path.as_path())
    }
}

/// Pages of other origins may read this server as they may read the Hub.
pub fn hub_headers(mut response: Response) -> Response {
    response.headers.extend([
        ("Access-Control-Allow-Origin", "*".to_string()),
        ("Access-Control-Allow-Headers", "range, if-range".into()),
        ("Access-Control-Expose-Headers", "ETag, Accept-Ranges, Content-Range, X-Repo-Commit".into()),
        ("Cross-Origin-Resource-Policy", "cross-origin".into()),
        ("X-Repo-Commit", REVISION.into()),
    ]);
    response
}

/// What belongs to a model among the files of a folder.
pub fn files_in(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<(String, PathBuf)> = entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(name, path)| path.is_file() && is_model_file(name))
        .collect();
    files.sort();
    files
}

fn is_model_file(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    // A model's own general text lies beside it.
    ["json", "safetensors", "jinja", "gguf"].contains(&extension) || name.starts_with("loralet-")
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}
