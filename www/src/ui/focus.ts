/**
 * Keeps the keyboard's place. A control that is switched off or taken away while it has the focus would drop it, and
 * the next Tab would begin at the top of the page. So the focus goes to what the control stands in, and back to it
 * when it works again and nobody has gone elsewhere meanwhile.
 */
export function keepFocus(): void {
  let place: Place | null = null;

  const check = () => {
    if (!place) return;
    const { control, refuge } = place;
    const now = focused();
    const works = control.isConnected && !control.matches(':disabled') && control.checkVisibility();
    if (refuge) {
      if (now !== refuge && now !== null) place = null;
      else if (works && now === refuge) control.focus({ preventScroll: true });
    } else if (!works && (now === control || now === null)) {
      const next = place.around.find((element) => element.isConnected && element.hasAttribute('tabindex'));
      place.refuge = next ?? null;
      next?.focus({ preventScroll: true });
    }
  };
  const watch = new MutationObserver(check);

  window.addEventListener('focusin', (event) => {
    const around = event.composedPath().filter((node): node is HTMLElement => node instanceof HTMLElement);
    const control = around.shift();
    if (!control || control === place?.refuge) return;
    place = { control, around, refuge: null };
    watch.disconnect();
    for (const root of new Set(around.map((element) => element.getRootNode()).concat(control.getRootNode())))
      watch.observe(root, {
        subtree: true,
        childList: true,
        attributes: true,
        attributeFilter: ['disabled', 'hidden', 'open'],
      });
  });

  // Who leaves a control that works has gone elsewhere.
  window.addEventListener('focusout', () => {
    const left = place;
    queueMicrotask(() => {
      const stays = left?.control.isConnected && !left.control.matches(':disabled');
      if (left === place && stays && !left?.refuge && focused() === null && document.hasFocus()) place = null;
    });
  });
}

interface Place {
  control: HTMLElement;
  /** What the control stands in, from the inside out. */
  around: HTMLElement[];
  /** Where the focus went from a control that does not work. */
  refuge: HTMLElement | null;
}

/** The element that has the focus, through all shadow trees; null where none has. */
function focused(): Element | null {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element === document.body ? null : element;
}
