//! HTTP/1.1 as far as a browser on the same machine needs it: a thread a connection, kept alive,
//! byte ranges, uploads of known length. Bound to the loopback address only.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

const LONGEST_HEAD: usize = 64 * 1024;
const IDLE: Duration = Duration::from_secs(120);

pub struct Request<'a> {
    pub method: String,
    /// Percent-decoded, without the query.
    pub path: String,
    headers: BTreeMap<String, String>,
    /// Bytes of the body that have not been read yet.
    body_left: u64,
    reader: &'a mut BufReader<TcpStream>,
}

impl Request<'_> {
    /// By lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Writes the body to the file.
    pub fn save_body(&mut self, file: &Path) -> io::Result<u64> {
        let mut sink = File::create(file)?;
        let copied = io::copy(&mut self.reader.by_ref().take(self.body_left), &mut sink)?;
        self.body_left -= copied;
        if self.body_left > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the upload ended early"));
        }
        Ok(copied)
    }

    /// Reads what is left of a body that nobody wants.
    fn drop_body(&mut self) -> io::Result<()> {
        self.body_left -= io::copy(&mut self.reader.by_ref().take(self.body_left), &mut io::sink())?;
        Ok(())
    }
}

pub enum Body {
    Text(String),
    /// `length` bytes of the file from `start`.
    File {
        file: File,
        start: u64,
        length: u64,
    },
}

pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

impl Response {
    pub fn text(status: u16, content_type: &str, text: impl Into<String>) -> Self {
        Self { status, headers: vec![("Content-Type", content_type.into())], body: Body::Text(text.into()) }
    }

    pub fn json(value: &serde_json::Value) -> Self {
        Self::text(200, "application/json", value.to_string())
    }

    pub fn not_found(path: &str) -> Self {
        Self::text(404, "text/plain; charset=utf-8", format!("there is no {path} here\n"))
    }

    /// The file, or the part of it that the request asks for.
    pub fn file(request: &Request, path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        let modified = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let etag = format!("\"{:x}-{modified:x}\"", meta.len());
        let mut headers = vec![
            ("Content-Type", content_type(path).to_string()),
            ("Accept-Ranges", "bytes".into()),
            ("Cache-Control", "no-cache".into()),
            ("ETag", etag.clone()),
        ];
        if request.header("if-none-match") == Some(&etag) {
            return Ok(Self { status: 304, headers, body: Body::Text(String::new()) });
        }
        // A range of a file that has changed since would be glued to the wrong beginning.
        let unchanged = request.header("if-range").is_none_or(|seen| seen == etag);
        let asked = request.header("range").filter(|_| unchanged);
        match asked.map(|range| parse_range(range, meta.len())) {
            None | Some(Range::Unknown) => {
                Ok(Self { status: 200, headers, body: Body::File { file, start: 0, length: meta.len() } })
            }
            Some(Range::Part(start, end)) => {
                headers.push(("Content-Range", format!("bytes {start}-{end}/{}", meta.len())));
                Ok(Self { status: 206, headers, body: Body::File { file, start, length: end - start + 1 } })
            }
            Some(Range::Outside) => {
                headers.push(("Content-Range", format!("bytes */{}", meta.len())));
                Ok(Self { status: 416, headers, body: Body::Text(String::new()) })
            }
        }
    }
}

/// Answers connections until the process ends.
pub fn listen<F>(listener: TcpListener, handler: F)
where
    F: Fn(&mut Request) -> Response + Send + Sync + 'static,
{
    let handler = Arc::new(handler);
    for stream in listener.incoming().flatten() {
        let handler = Arc::clone(&handler);
        // A client that goes away ends its own connection only.
        thread::spawn(move || drop(converse(stream, handler.as_ref())));
    }
}

fn converse(stream: TcpStream, handler: &impl Fn(&mut Request) -> Response) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(head) = read_head(&mut reader)? {
        let Some(mut request) = parse_head(&head, &mut reader) else {
            let bad = Response::text(400, "text/plain", "that was not an HTTP request\n");
            return respond(&mut writer, bad, false, true);
        };
        let response = handler(&mut request);
        let head_only = request.method == "HEAD";
        let close = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        // A connection closed with bytes unread is reset, and the client may lose the answer.
        request.drop_body()?;
        respond(&mut writer, response, head_only, close)?;
        if close {
            break;
        }
    }
    Ok(())
}

/// The bytes up to and with the empty line; `None` when the client has closed.
fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let read = reader.by_ref().take(LONGEST_HEAD as u64).read_until(b'\n', &mut head)?;
        if read == 0 {
            return Ok(None);
        }
        if head.ends_with(b"\r\n\r\n") {
            return Ok(Some(head));
        }
        if head.len() >= LONGEST_HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the request's head is too long"));
        }
    }
}

fn parse_head<'a>(head: &[u8], reader: &'a mut BufReader<TcpStream>) -> Option<Request<'a>> {
    let mut slots = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut slots);
    if !parsed.parse(head).ok()?.is_complete() {
        return None;
    }
    let target = parsed.path?;
    let headers: BTreeMap<String, String> = parsed
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let body_left = match headers.get("content-length") {
        Some(length) => length.parse().ok()?,
        // Uploads here always know their length.
        None if headers.contains_key("transfer-encoding") => return None,
        None => 0,
    };
    let path = percent_decode(target.split(['?', '#']).next()?)?;
    Some(Request { method: parsed.method?.to_string(), path, headers, body_left, reader })
}

fn respond(writer: &mut TcpStream, response: Response, head_only: bool, close: bool) -> io::Result<()> {
    let length = match &response.body {
        Body::Text(text) => text.len() as u64,
        Body::File { length, .. } => *length,
    };
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if response.status != 304 {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head.push_str(if close { "Connection: close\r\n\r\n" } else { "Connection: keep-alive\r\n\r\n" });
    writer.write_all(head.as_bytes())?;
    if head_only || response.status == 304 {
        return writer.flush();
    }
    match response.body {
        Body::Text(text) => writer.write_all(text.as_bytes())?,
        Body::File { mut file, start, length } => {
            file.seek(SeekFrom::Start(start))?;
            io::copy(&mut file.take(length), writer)?;
        }
    }
    writer.flush()
}

#[derive(Debug, PartialEq)]
enum Range {
    /// First and last byte, both included.
    Part(u64, u64),
    Outside,
    /// Several ranges or another unit: the whole file is the right answer.
    Unknown,
}

fn parse_range(header: &str, length: u64) -> Range {
    let parse = || -> Option<(Option<u64>, Option<u64>)> {
        let (from, to) = header.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| match text.trim() {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        Some((number(from)?, number(to)?))
    };
    match parse() {
        Some((Some(from), _)) if from >= length => Range::Outside,
        Some((Some(from), Some(to))) if to < from => Range::Unknown,
        Some((Some(from), to)) => Range::Part(from, to.unwrap_or(u64::MAX).min(length - 1)),
        Some((None, Some(last))) if last > 0 && length > 0 => {
            Range::Part(length.saturating_sub(last), length - 1)
        }
        Some((None, Some(_))) => Range::Outside,
        Some((None, None)) | None => Range::Unknown,
    }
}

fn percent_decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'%' => {
                let hex = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
            }
            byte => byte,
        };
        bytes.push(decoded);
    }
    String::from_utf8(bytes).ok()
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" | "jinja" | "jsonl" | "csv" | "tsv" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clamped_to_the_file() {
        assert_eq!(parse_range("bytes=0-", 10), Range::Part(0, 9));
        assert_eq!(parse_range("bytes=4-6", 10), Range::Part(4, 6));
        assert_eq!(parse_range("bytes=4-600", 10), Range::Part(4, 9));
        assert_eq!(parse_range("bytes=-3", 10), Range::Part(7, 9));
        assert_eq!(parse_range("bytes=-30", 10), Range::Part(0, 9));
        assert_eq!(parse_range("bytes=10-", 10), Range::Outside);
        assert_eq!(parse_range("bytes=-0", 10), Range::Outside);
    }

    #[test]
    fn ranges_that_are_not_understood_give_the_whole_file() {
        for header in ["bytes=1-2,4-5", "lines=1-2", "bytes=x-2", "bytes=6-4", "bytes=-"] {
            assert_eq!(parse_range(header, 10), Range::Unknown, "{header}");
        }
    }

    #[test]
    fn paths_are_percent_decoded() {
        assert_eq!(percent_decode("/a%20b%C3%A9").as_deref(), Some("/a bé"));
        assert_eq!(percent_decode("/a%2"), None);
        assert_eq!(percent_decode("/%ff"), None);
    }
}
