/** Addresses of lessons: `#predicts`, `#predicts/sheet`, and with a class's version `#predicts?class=…`. */

export interface Place {
  /** Null for the list of lessons. */
  lesson: string | null;
  sheet: boolean;
  /** A packed version; see class-link.ts. */
  packed: string | null;
}

export function placeOf(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?');
  const [lesson = '', part] = path.split('/');
  return { lesson: lesson || null, sheet: part === 'sheet', packed: new URLSearchParams(query).get('class') };
}

export function hashOf(lesson: string | null, packed: string | null = null, sheet = false): string {
  if (!lesson) return '#';
  return `#${lesson}${sheet ? '/sheet' : ''}${packed ? `?class=${packed}` : ''}`;
}

/** The whole address, to be given to others. */
export function addressOf(lesson: string, packed: string | null): string {
  const { origin, pathname } = window.location;
  return `${origin}${pathname}${hashOf(lesson, packed)}`;
}
