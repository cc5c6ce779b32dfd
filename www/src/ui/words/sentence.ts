/** A sentence with a capital letter and a full stop. */
export function sentence(words: string): string {
  const text = words.trim();
  // The name of a file or a repository at the start keeps its letters.
  const nameFirst = /^\S*(\.[a-z0-9]+\b|\/\S)/i.test(text);
  const start = nameFirst ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
