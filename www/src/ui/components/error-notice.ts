import { html, nothing } from 'lit';
import type { Problem } from '../problem.js';

/** What went wrong, beside its cause: read out as it appears. Its kind and key stand on it for whoever cannot read. */
export function errorNotice(problem: Problem | null | undefined, name: string) {
  if (!problem) return nothing;
  return html`<p
    class="notice error"
    role="alert"
    data-test=${name}
    data-kind=${problem.kind}
    data-key=${problem.key ?? nothing}
    .textContent=${problem.text}
  ></p>`;
}
