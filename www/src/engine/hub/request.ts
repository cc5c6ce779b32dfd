/** Requests for models: what fails is one sentence that names the file and the host, and a busy server is waited for. */
import { LoraletError } from '../errors.js';

/** What a request may do meanwhile: end early, and say each second how long it still waits; null when it goes on. */
export interface Link {
  signal: AbortSignal;
  onWait: (wait: Wait | null) => void;
}

export interface Wait {
  why: string;
  secondsLeft: number;
}

export interface Asked {
  method?: 'GET' | 'HEAD';
  headers?: Record<string, string>;
  /** A repository's listing is asked for, not one of its files. */
  listing?: boolean;
  /** A person wrote the address; no listing has it. */
  written?: boolean;
  /** Where a person can look at the repository. */
  page?: string;
}

/** Whether the host could not be reached, or the connection broke, which may pass. */
export function mayPass(error: unknown): boolean {
  return error instanceof LoraletError && error.kind === 'unreachable';
}

/** 429 is too many requests, 503 a server that is not available. */
const BUSY = [429, 503];
const WAITS = 3;
const LONGEST_WAIT_SECONDS = 120;
/** How long to wait first where the server does not say, or pages may not read it; doubled each time. */
const FIRST_WAIT_SECONDS: Record<number, number> = { 429: 10, 503: 2 };
/** A server that says nothing for so long has gone. */
export const SILENCE_MS = 60_000;

/** `fetch` for what is named `what`. Throws one sentence, or the signal's reason. */
export async function get(url: string, what: string, link: Link, asked: Asked = {}): Promise<Response> {
  for (let waits = 0; ; waits += 1) {
    const response = await answer(url, what, link.signal, asked);
    const host = hostOf(response.url || url);
    if (response.ok) {
      if (!/^text\/html\b/i.test(response.headers.get('content-type') ?? '')) return response;
      void response.body?.cancel();
      throw webPage(what, response.url || url);
    }
    void response.body?.cancel();
    const about = { key: what, args: { host, status: String(response.status) } };
    if (!BUSY.includes(response.status))
      throw new LoraletError('refused', `${what}: ${refusal(response, host, asked)}`, about);
    const why = `${host} ${response.status === 429 ? 'has had too many requests' : 'is not available now'} (${response.status})`;
    const asks = secondsAsked(response.headers);
    if (asks !== null && asks > LONGEST_WAIT_SECONDS) {
      const time = new Date(Date.now() + asks * 1000).toLocaleTimeString([], { timeStyle: 'short' });
      throw new LoraletError(
        'busy',
        `${what}: ${why} and asks to wait ${Math.ceil(asks / 60)} min; press the button again after ${time}`,
        about,
      );
    }
    if (waits === WAITS) {
      const message = `${what}: ${why}, even after ${WAITS} waits; try again in some minutes`;
      throw new LoraletError('busy', message, about);
    }
    const seconds = asks ?? (FIRST_WAIT_SECONDS[response.status] ?? 1) * 2 ** waits;
    await countDown(Math.max(1, Math.ceil(seconds)), `${what}: ${why}`, link);
  }
}

/** That a page for people came where a file was expected: a network's sign-in, an error page. */
export function webPage(what: string, url: string): LoraletError {
  return new LoraletError(
    'wrong_answer',
    `${what}: ${hostOf(url)} sent a web page in place of the file, as networks do that want a sign-in; open ${absolute(url).origin} in another tab to see what it asks for, then press the button again`,
    { key: what, args: { host: hostOf(url) } },
  );
}

/** Resolves after the seconds, saying each how many are left. */
export async function countDown(seconds: number, why: string, { signal, onWait }: Link): Promise<void> {
  const end = performance.now() + seconds * 1000;
  try {
    for (;;) {
      const left = end - performance.now();
      if (left <= 0) return;
      onWait({ why, secondsLeft: Math.ceil(left / 1000) });
      await pause(Math.min(left, 1000), signal);
    }
  } finally {
    onWait(null);
  }
}

export function hostOf(url: string): string {
  return absolute(url).host;
}

/** Addresses may be relative to the page's. */
export function absolute(url: string): URL {
  return new URL(url, location.href);
}

export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

async function answer(url: string, what: string, signal: AbortSignal, asked: Asked): Promise<Response> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    return await fetch(url, {
      method: asked.method ?? 'GET',
      headers: asked.headers ?? {},
      signal: AbortSignal.any([signal, silence.signal]),
    });
  } catch (error) {
    signal.throwIfAborted();
    if (silence.signal.aborted) {
      throw new LoraletError(
        'unreachable',
        `${what}: ${hostOf(url)} did not answer within ${SILENCE_MS / 1000} s; try again later`,
        { key: what, args: { host: hostOf(url) }, cause: error },
      );
    }
    throw await unreadable(url, what, signal, error);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Why `fetch` failed without an answer. A browser tells a page neither the reason nor where a redirect led; two
 * requests whose answers nobody reads show whether the host answers and whether it hands on to another.
 */
async function unreadable(url: string, what: string, signal: AbortSignal, cause: unknown): Promise<Error> {
  const host = hostOf(url);
  const about = { key: what, args: { host }, cause };
  const probe = (how: RequestInit) =>
    fetch(url, { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(10_000), ...how }).catch(
      () => null,
    );
  const [first, last] = await Promise.all([probe({ redirect: 'manual' }), probe({ mode: 'no-cors' })]);
  signal.throwIfAborted();
  const handsOn = `${host} hands this on to another host, whose name the browser does not tell a page`;
  const elsewhere = 'download the files with another program and open them here, or choose another endpoint';
  if (first?.type === 'opaqueredirect') {
    return last
      ? new LoraletError(
          'refused',
          `${what}: ${handsOn}; that host answers, but does not let web pages read it (it sends no CORS headers), so ${elsewhere}`,
          about,
        )
      : new LoraletError(
          'unreachable',
          `${what}: ${handsOn}; that host could not be reached, so try again later, or ${elsewhere}`,
          about,
        );
  }
  if (last && !first) {
    return new LoraletError(
      'refused',
      `${what}: ${host} answers, but does not let web pages read it (it sends no CORS headers), so ${elsewhere}`,
      about,
    );
  }
  return new LoraletError(
    'unreachable',
    last
      ? `${what}: the connection to ${host} broke; try again`
      : `${what}: ${host} could not be reached; check the address and the connection`,
    about,
  );
}

/** What `Retry-After` asks for, in seconds or as a date, or the Hub's `RateLimit: "api";r=0;t=55`. */
function secondsAsked(headers: Headers): number | null {
  const after = headers.get('retry-after')?.trim() ?? '';
  const seconds = /^\d+$/.test(after) ? Number(after) : (Date.parse(after) - Date.now()) / 1000;
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const window = /;\s*t\s*=\s*(\d+)/.exec(headers.get('ratelimit') ?? '');
  return window ? Number(window[1]) : null;
}

/**
 * Why the server gives nothing, as far as it says. The Hub answers 401 alike for a repository that does not exist
 * and for a private one, unless the request is signed in, which a page's is not.
 */
function refusal(response: Response, host: string, { listing, written, page }: Asked): string {
  const { status } = response;
  if (written) {
    return status === 404 || status === 410
      ? `not found on ${host} (${status}); check the address`
      : `${host} answered ${status}; check the address, or try again later`;
  }
  const code = response.headers.get('x-error-code');
  if (/access to this resource is disabled/i.test(response.headers.get('x-error-message') ?? '')) {
    return `${host} has taken this repository down (${status}); choose another`;
  }
  const ask = `sign in at ${page ?? host}, ask for access, download the files there and open them here, or choose another model`;
  if (code === 'GatedRepo') {
    return `this repository is gated (${status}): its owner decides who gets it; ${ask}`;
  }
  if (code === 'RevisionNotFound') return `${host} has no such revision (${status}); check the revision`;
  if (status === 401 || (code === 'RepoNotFound' && status !== 404)) {
    return listing
      ? `${host} shows no repository of this name to visitors who are not signed in (${status}); the name may be wrong or the repository private, so check the name or choose a public one`
      : `${host} lists this file but gives it only to those who are signed in (${status}), as with gated repositories; ${ask}`;
  }
  if (status === 403) {
    return `${host} refuses to give it out (403), as with private and gated repositories; ${ask}`;
  }
  if (status === 404 || status === 410) {
    return listing
      ? `not found on ${host} (${status}); check the name and the revision`
      : `not found on ${host} (${status}), though it was listed; the repository may have changed, so press the button again`;
  }
  return `${host} answered ${status}; try again later`;
}
