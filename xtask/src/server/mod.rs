//! The local server: the built page, the models that are there, and a job's inputs and outputs.
//!
//! | path | what |
//! | --- | --- |
//! | `/…` | the built page (`www/dist`), and beside it the pages that do not ship (`www/dist-tools`) |
//! | `/models/index.json`, `/models/<name>/<file>` | the models that are there |
//! | `/hub/<repo>/resolve/<revision>/<file>`, `/hub/api/models/<repo>…` | the same, laid out like the Hugging Face Hub |
//! | `/job/in/<n>`, `PUT /job/out/<file>` | inputs and outputs of a headless command |

mod http;
mod models;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::error::{Context, Failure, Result};
use crate::paths;
use http::{Request, Response};
use models::Models;

pub use models::files_in;

/// The files that a headless command hands to the page, and where the page may write.
#[derive(Default, Clone)]
pub struct JobFiles {
    pub inputs: BTreeMap<String, PathBuf>,
    pub outputs: Option<PathBuf>,
}

/// A server that runs until the process ends.
pub struct Server {
    pub port: u16,
    accepting: thread::JoinHandle<()>,
}

impl Server {
    /// Port 0 takes any free one.
    pub fn start(port: u16, job: JobFiles) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
            Failure::Input(format!("port {port} cannot be used ({error}); choose another with --port"))
        })?;
        let port = listener.local_addr().context("the server has no address")?.port();
        let site = Site {
            pages: [paths::www().join("dist"), paths::tool_pages()],
            models: Models::find(),
            job,
            uploads: AtomicU64::new(0),
        };
        let accepting = thread::spawn(move || http::listen(listener, move |request| site.answer(request)));
        Ok(Self { port, accepting })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Serves until the process is ended.
    pub fn wait(self) {
        let _ = self.accepting.join();
    }
}

struct Site {
    /// Where the pages and their files are.
    pages: [PathBuf; 2],
    models: Models,
    job: JobFiles,
    /// How many uploads have begun.
    uploads: AtomicU64,
}

impl Site {
    fn answer(&self, request: &mut Request) -> Response {
        let path = request.path.clone();
        let mut response = match request.method.as_str() {
            "GET" | "HEAD" => self.get(request, &path),
            "PUT" => self.put(request, &path),
            "OPTIONS" => Response::text(204, "text/plain", ""),
            _ => Response::text(405, "text/plain", "only GET, HEAD and PUT are understood here\n"),
        };
        response.headers.extend([
            ("Cross-Origin-Opener-Policy", "same-origin".to_string()),
            ("Cross-Origin-Embedder-Policy", "credentialless".into()),
            ("X-Content-Type-Options", "nosniff".into()),
        ]);
        response
    }

    fn get(&self, request: &Request, path: &str) -> Response {
        let open = |file: &Path| Response::file(request, file).unwrap_or_else(|_| Response::not_found(path));
        if let Some(rest) = path.strip_prefix("/models/") {
            return self.models.by_name(rest, open).unwrap_or_else(|| Response::not_found(path));
        }
        if let Some(rest) = path.strip_prefix("/hub/") {
            let response = self.models.as_hub(rest, open).unwrap_or_else(|| Response::not_found(path));
            return models::hub_headers(response);
        }
        if let Some(name) = path.strip_prefix("/job/in/") {
            return self.job.inputs.get(name).map_or_else(|| Response::not_found(path), |file| open(file));
        }
        let file = if path.ends_with('/') { format!("{path}index.html") } else { path.into() };
        let file = self.pages.iter().filter_map(|dir| below(dir, &file[1..])).find(|file| file.is_file());
        file.map_or_else(|| Response::not_found(path), |file| open(&file))
    }

    fn put(&self, request: &mut Request, path: &str) -> Response {
        let outputs = self.job.outputs.as_deref();
        let target = outputs.zip(path.strip_prefix("/job/out/")).and_then(|(dir, name)| below(dir, name));
        let Some(file) = target else { return Response::not_found(path) };
        // Under its own name only when it is whole; two uploads of one file must not share a part.
        let upload = self.uploads.fetch_add(1, Ordering::Relaxed);
        let part = file.with_added_extension(format!("part{upload}"));
        let saved = fs::create_dir_all(file.parent().unwrap_or(&file))
            .and_then(|()| request.save_body(&part))
            .and_then(|_| fs::rename(&part, &file));
        match saved {
            Ok(()) => Response::text(201, "text/plain", ""),
            Err(error) => {
                Response::text(500, "text/plain", format!("{} was not written: {error}\n", file.display()))
            }
        }
    }
}

/// `dir/name`, unless `name` leads out of `dir`.
fn below(dir: &Path, name: &str) -> Option<PathBuf> {
    let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    (plain && !name.contains('\\')).then(|| dir.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// Sends a request and reads the answer up to the end of the connection.
    fn ask(server: &Server, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
        let length = body.len();
        write!(stream, "{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn server(name: &str) -> (Server, PathBuf) {
        let dir = std::env::temp_dir().join(format!("loralet-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let input = dir.join("input.txt");
        fs::write(&input, "0123456789").unwrap();
        let inputs = BTreeMap::from([("0".to_string(), input)]);
        (Server::start(0, JobFiles { inputs, outputs: Some(dir.join("out")) }).unwrap(), dir)
    }

    #[test]
    fn a_download_can_be_resumed() {
        let (server, _) = server("ranges");
        let whole = ask(&server, "GET /job/in/0 HTTP/1.1", "");
        assert!(whole.starts_with("HTTP/1.1 200 OK") && whole.ends_with("\r\n\r\n0123456789"), "{whole}");
        let etag = whole.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();

        let rest =
            ask(&server, &format!("GET /job/in/0 HTTP/1.1\r\nRange: bytes=7-\r\nIf-Range: {etag}"), "");
        assert!(rest.starts_with("HTTP/1.1 206 ") && rest.ends_with("\r\n\r\n789"), "{rest}");
        assert!(rest.contains("Content-Range: bytes 7-9/10"), "{rest}");

        let changed = ask(&server, "GET /job/in/0 HTTP/1.1\r\nRange: bytes=7-\r\nIf-Range: \"another\"", "");
        assert!(changed.starts_with("HTTP/1.1 200 OK") && changed.ends_with("0123456789"), "{changed}");

        let head = ask(&server, "HEAD /job/in/0 HTTP/1.1", "");
        assert!(head.contains("Content-Length: 10") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn uploads_go_into_the_output_folder_only() {
        let (server, dir) = server("uploads");
        let put = ask(&server, "PUT /job/out/adapter/a.bin HTTP/1.1", "weights");
        assert!(put.starts_with("HTTP/1.1 201 "), "{put}");
        assert_eq!(fs::read_to_string(dir.join("out/adapter/a.bin")).unwrap(), "weights");
        for path in ["/job/out/../escaped", "/job/out/%2e%2e/escaped", "/job/in/0", "/index.html"] {
            let refused = ask(&server, &format!("PUT {path} HTTP/1.1"), "x");
            assert!(refused.starts_with("HTTP/1.1 404 "), "{path}: {refused}");
        }
        assert!(!dir.join("escaped").exists());
    }

    #[test]
    fn uploads_of_one_file_at_once_leave_a_whole_one() {
        let (server, dir) = server("at-once");
        let bodies = ["a", "b", "c", "d"].map(|letter| letter.repeat(300_000));
        thread::scope(|scope| {
            for body in bodies.iter().cycle().take(16) {
                let put = || ask(&server, "PUT /job/out/checkpoint.bin HTTP/1.1", body);
                scope.spawn(move || assert!(put().starts_with("HTTP/1.1 201 ")));
            }
        });
        let saved = fs::read_to_string(dir.join("out/checkpoint.bin")).unwrap();
        assert!(bodies.contains(&saved), "{} bytes of mixed origin", saved.len());
        assert_eq!(fs::read_dir(dir.join("out")).unwrap().count(), 1, "a part was left behind");
    }

    #[test]
    fn a_refused_upload_still_hears_why() {
        let (server, _) = server("refused");
        let refused = ask(&server, "PUT /job/in/0 HTTP/1.1", &"x".repeat(3_000_000));
        assert!(refused.starts_with("HTTP/1.1 404 "), "{refused}");
    }

    #[test]
    fn nonsense_is_answered_too() {
        let (server, _) = server("nonsense");
        assert!(ask(&server, "GET /no/such/file HTTP/1.1", "").starts_with("HTTP/1.1 404 "));
        assert!(ask(&server, "POST / HTTP/1.1", "").starts_with("HTTP/1.1 405 "));
        assert!(ask(&server, "what is this", "").starts_with("HTTP/1.1 400 "));
    }

    #[test]
    fn names_do_not_lead_out_of_the_folder() {
        let dir = Path::new("/srv");
        assert_eq!(below(dir, "a/b.js"), Some(PathBuf::from("/srv/a/b.js")));
        for name in ["../b", "a/../../b", "/etc/passwd", "a\\..\\b"] {
            assert_eq!(below(dir, name), None, "{name}");
        }
    }
}
