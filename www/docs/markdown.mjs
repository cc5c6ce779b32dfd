/** Markdown as GitHub shows it, with headings that can be linked to and examples that can be run. */
import MarkdownIt from 'markdown-it';

const markdown = new MarkdownIt({ html: true });

/**
 * Makes HTML of a page's text. `toHref(target)` answers the address of a link or picture, or throws where it leads nowhere;
 * a link that is called by its file gets the name `toName(file)`. `examples` are the blocks marked `js live`, in order.
 */
export function render(text, page, toHref, toName) {
  const tokens = markdown.parse(text, {});
  const headings = [];
  const slugs = new Map();
  tokens.forEach((token, place) => {
    if (token.type !== 'heading_open') return;
    const title = plain(tokens[place + 1]);
    const base = slug(title);
    const seen = slugs.get(base) ?? 0;
    slugs.set(base, seen + 1);
    const id = seen === 0 ? base : `${base}-${seen}`;
    token.attrSet('id', id);
    headings.push({ level: Number(token.tag.slice(1)), id, title });
  });
  for (const token of tokens) {
    // A policy without inline styles would leave them out.
    const align = /text-align:(\w+)/.exec(token.attrGet('style') ?? '');
    if (align) token.attrs = [['class', align[1]]];
  }
  const inline = tokens.flatMap(({ children }) => children ?? []);
  for (const [place, token] of inline.entries()) {
    const attribute = { link_open: 'href', image: 'src' }[token.type];
    if (attribute) token.attrSet(attribute, toHref(token.attrGet(attribute)));
    const file = token.type === 'link_open' && /^([\w-]+)\.md$/.exec(inline[place + 1]?.content);
    if (file) inline[place + 1].content = toName(file[1]);
    if (token.type === 'image') token.attrSet('loading', 'lazy');
  }
  const examples = [];
  let tables = 0;
  const fence = markdown.renderer.rules.fence;
  const rules = {
    ...markdown.renderer.rules,
    // Wide tables and code scroll by themselves, by keyboard too.
    table_open: () =>
      `<div class="wide" tabindex="0" role="region" aria-label="Table ${(tables += 1)}"><table>\n`,
    table_close: () => '</table></div>\n',
    fence(all, place, options, env, self) {
      const token = all[place];
      const block = fence(all, place, options, env, self).replace('<pre>', '<pre tabindex="0">');
      if (token.info.trim() !== 'js live') return block;
      examples.push(token.content);
      const name = `${page}-${examples.length}`;
      return `<div class="example" data-example="${name}">${block}<button type="button" hidden>Run it</button><pre class="printed" role="log" aria-label="What it prints" tabindex="0" hidden></pre></div>\n`;
    },
  };
  const renderer = Object.assign(Object.create(markdown.renderer), { rules });
  return { html: renderer.render(tokens, markdown.options, {}), headings, examples };
}

/** The first heading of a text, without marks. */
export function titleOf(text) {
  return /^# (.*)$/m.exec(text)[1].replaceAll('`', '');
}

/** As GitHub makes the fragment of a heading. */
function slug(title) {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
    .replaceAll(' ', '-');
}

function plain(inline) {
  return inline.children
    .filter(({ type }) => type === 'text' || type === 'code_inline')
    .map(({ content }) => content)
    .join('');
}
