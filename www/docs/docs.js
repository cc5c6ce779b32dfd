/** Runs the examples of a page of the documentation; what they print stands below them. */
globalThis.examples = {};
let runs = 0;

for (const example of document.querySelectorAll('[data-example]')) {
  const name = example.dataset.example;
  const button = example.querySelector('button');
  const printed = example.querySelector('.printed');
  const print = (...values) => {
    printed.textContent += `${values.map(words).join(' ')}\n`;
    printed.scrollTop = printed.scrollHeight;
  };
  globalThis.examples[name] = { console: { ...console, log: print } };
  button.hidden = false;
  button.addEventListener('click', async () => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    button.textContent = 'Running';
    printed.hidden = false;
    printed.textContent = '';
    // A module runs once; another address is another module.
    await import(`./live/${name}.js?${(runs += 1)}`).catch((error) => print(error.message));
    button.removeAttribute('aria-disabled');
    button.textContent = 'Run it again';
  });
}

function words(value) {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(3);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const contents = document.querySelector('.contents');
// On a narrow screen the contents would stand before the text; on a low one the page's own line may lie below its end.
if (matchMedia('(max-width: 900px)').matches) contents.removeAttribute('open');
else contents.scrollTop = contents.querySelector('[aria-current]').offsetTop - contents.clientHeight / 2;
